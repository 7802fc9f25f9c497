"""Text for a terminal: measured in cells, free of what could command it, times in words."""

from __future__ import annotations

import shlex
import unicodedata
from pathlib import Path

__all__ = ["cells", "duration", "moment", "pad", "path_argument", "printable", "shorten"]


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(each) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(each) in "WF"
        else 1
        for each in text
    )


def pad(text: str, width: int) -> str:
    """A text with spaces after it up to so many cells."""
    return text + " " * (width - cells(text))


def shorten(text: str, width: int) -> str:
    """A text in so many cells at most; where it is longer, an ellipsis says so."""
    if cells(text) <= width:
        return text
    text = text[:width]
    while text and cells(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def path_argument(path: Path | str) -> str:
    """A path as it is typed in a shell: quoted where it must be, and never taken for an option or
    for somebody's home directory."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith(("-", "~")) else text)


def printable(text: str) -> str:
    """Text from a file or a server without what could command a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def duration(seconds: float) -> str:
    """A duration in the two units that matter: `3 h 20 min`, `45 s`."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts))
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"


def moment(iso: str) -> str:
    """`2024-03-01T09:15:00.5Z` as a person reads it: `2024-03-01 09:15:00 UTC`."""
    return f"{iso[:10]} {iso[11:19]} UTC"
