"""Lines of TOML, below each other, with their comments."""

from __future__ import annotations

import textwrap

__all__ = ["Line", "aligned", "wrapped"]

Line = tuple[str, str, str]
"""A key, its value and a comment."""

_WIDE = 100  # characters of a value beside which the comments of others do not wait


def aligned(lines: list[Line], *, hidden: bool = False) -> list[str]:
    """Lines with their signs and comments below each other; hidden ones as comments."""
    keys = max((len(key) for key, _, _ in lines), default=0)
    commented = (len(value) for _, value, comment in lines if comment)
    values = max((each for each in commented if each <= _WIDE), default=0)
    return [
        ("# " if hidden else "")
        + f"{key:<{keys}} = {value:<{values if comment else 0}}"
        + (f"  # {comment}" if comment else "")
        for key, value, comment in lines
    ]


def wrapped(text: str) -> list[str]:
    """Text as lines of a comment."""
    return textwrap.wrap(
        text,
        width=98,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
