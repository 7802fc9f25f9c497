"""Text as TOML: any name survives, and none can break out of its line."""

from __future__ import annotations

import textwrap

__all__ = ["Line", "aligned", "quoted", "sql_text", "wrapped"]

_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def quoted(text: str) -> str:
    """A basic string (TOML 1.0, "String"), good as a value and as a key.

    What no terminal or editor shows as a character of its own (controls, marks that turn the
    direction of writing) is written as an escape, so that it can be seen.
    """
    return '"' + "".join(_escaped(each) for each in text) + '"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"


def sql_text(sql: str) -> str:
    """SQL as a string without escapes, where it can stand in one."""
    literal = sql.isprintable() and "'''" not in sql and sql[-1] != "'"
    return f"'''{sql}'''" if literal else quoted(sql)


Line = tuple[str, str, str]
"""A key, its value and a comment."""


def aligned(lines: list[Line], *, hidden: bool = False) -> list[str]:
    """Lines with their signs and comments below each other; hidden ones as comments."""
    keys = max((len(key) for key, _, _ in lines), default=0)
    values = max((len(value) for _, value, comment in lines if comment), default=0)
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
