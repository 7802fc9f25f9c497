"""Times in a form of one's own: strftime notation, and the pattern of the texts that fit it.

Polars reads such texts with chrono, which is forgiving: it skips white space, takes a sign before
a year and a year of two digits for one of the first century, rolls `:60` over into the next
minute, and has no words for a notation that it does not know. So each format is checked here, and
gets a pattern that a text has to fit from its first character to its last before it is read.

Source: chrono's `format::strftime`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TimeFormat", "read_time_format"]


@dataclass(frozen=True)
class TimeFormat:
    """One format: its text for Polars, a pattern in the syntax of Polars for the whole of a text,
    and whether it says a moment (with a zone) or a local time.
    """

    text: str
    pattern: str
    zoned: bool


@dataclass(frozen=True)
class _Part:
    """What one `%…` stands for. `digits` where it begins and ends with one; `tight` is its pattern
    directly beside other digits, where one digit alone could mean two things.
    """

    says: str
    pattern: str
    tight: str | None = None
    digits: bool = True
    polars: str | None = None


def _names(*words: str) -> str:
    return f"(?i:{'|'.join(words)})"


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_MONTHS, _SHORT_DAYS = (tuple(n[:3] for n in names) for names in (_MONTHS, _DAYS))
_DAY = ("(?:0?[1-9]|[12][0-9]|3[01])", "(?:0[1-9]|[12][0-9]|3[01])")
_HOUR = ("(?:[01]?[0-9]|2[0-3])", "(?:[01][0-9]|2[0-3])")
_HALF = ("(?:0?[1-9]|1[0-2])", "(?:0[1-9]|1[0-2])")
_OFFSET = "[+-](?:[01][0-9]|2[0-3])"
_FRACTION = "the fraction of a second"

_PARTS = {
    "Y": _Part("the year", "[0-9]{4}"),
    "y": _Part("the year", "[0-9]{2}"),
    "m": _Part("the month", *_HALF),
    "_m": _Part("the month", f"(?: [1-9]|{_HALF[0]})", f"(?: [1-9]|{_HALF[1]})", polars="%m"),
    "b": _Part("the month", _names(*_SHORT_MONTHS), digits=False),
    "h": _Part("the month", _names(*_SHORT_MONTHS), digits=False, polars="%b"),
    "B": _Part("the month", _names(*_MONTHS, *_SHORT_MONTHS), digits=False),
    "d": _Part("the day", *_DAY),
    "e": _Part("the day", f"(?: [1-9]|{_DAY[0]})", f"(?: [1-9]|{_DAY[1]})", polars="%d"),
    "j": _Part("the day of the year", "[0-3][0-9]{2}"),
    "a": _Part("the day of the week", _names(*_SHORT_DAYS), digits=False),
    "A": _Part("the day of the week", _names(*_DAYS, *_SHORT_DAYS), digits=False),
    "H": _Part("the hour", *_HOUR),
    "k": _Part("the hour", f"(?: [0-9]|{_HOUR[0]})", f"(?: [0-9]|{_HOUR[1]})", polars="%H"),
    "I": _Part("the hour", *_HALF),
    "l": _Part("the hour", f"(?: [1-9]|{_HALF[0]})", f"(?: [1-9]|{_HALF[1]})", polars="%I"),
    "M": _Part("the minute", "[0-5][0-9]"),
    "S": _Part("the second", "[0-5][0-9]"),
    "p": _Part("the half of the day", _names("AM", "PM"), digits=False),
    "P": _Part("the half of the day", _names("AM", "PM"), digits=False, polars="%p"),
    "z": _Part("the zone", f"{_OFFSET}:?[0-5][0-9]", digits=False),
    ":z": _Part("the zone", f"{_OFFSET}:?[0-5][0-9]", digits=False),
    "#z": _Part("the zone", f"(?:[Zz]|{_OFFSET}(?::?[0-5][0-9])?)", digits=False),
    ".f": _Part(_FRACTION, "(?:[.][0-9]+)?"),
    **{f".{n}f": _Part(_FRACTION, f"[.][0-9]{{{n}}}") for n in (3, 6, 9)},
    **{f"{n}f": _Part(_FRACTION, f"[0-9]{{{n}}}") for n in (3, 6, 9)},
}
_PADDED = {"d": "e", "m": "_m", "H": "k", "I": "l"}
_WHOLE = {
    "F": "%Y-%m-%d",
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "v": "%e-%b-%Y",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "r": "%I:%M:%S %p",
    "c": "%a %b %e %H:%M:%S %Y",
}
_WHY = {
    "f": 'is a count of nanoseconds: "%.f" reads a fraction after its point, "%3f" three digits',
    "Z": "tells no offset: write the name as it stands in the texts, and set `timezone`",
    "s": "needs no format: an epoch is always known",
}
_TOKEN = re.compile(r"%(?P<pad>[-_0]?)(?P<name>[:#]z|[.]?[369]?f|.|$)|(?P<plain>[^%]+)", re.DOTALL)


def read_time_format(text: str) -> TimeFormat:
    """Understand one format. Raises ValueError, in words, where it says no whole date, where it
    says something twice or by halves, and for notation that is not known.
    """
    tokens = _tokens(text.strip())
    parts = {name: _PARTS[name] for name in tokens if isinstance(name, _Name)}
    said = [_PARTS[name].says for name in tokens if isinstance(name, _Name)]
    _check(text, said, twelve=bool({"I", "l"} & set(parts)))
    patterns = [
        _pattern(each, before, after)
        for before, each, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False)
    ]
    read = "".join(
        (_PARTS[each].polars or f"%{each}") if isinstance(each, _Name) else each.replace("%", "%%")
        for each in tokens
    )
    return TimeFormat(read, f"^{''.join(patterns)}$", "the zone" in said)


class _Name(str):
    """The name of a part, apart from plain text."""

    __slots__ = ()


def _tokens(text: str) -> list[str]:
    """The names of parts, and plain text between them."""
    found: list[str] = []
    for token in _TOKEN.finditer(text):
        name = token["name"]
        if name is None:
            found.append(token["plain"])
        elif name == "%" and not token["pad"]:
            found.append("%")
        elif name in _WHOLE and not token["pad"]:
            found += _tokens(_WHOLE[name])
        elif name in _PARTS:
            # How a number is padded is said for writing; for reading, only a space matters.
            padded = _PADDED.get(name, name) if token["pad"] == "_" else name
            found.append(_Name(padded))
        else:
            why = _WHY.get(name, "is no part of a time that is known")
            raise ValueError(f"{token[0]!r} in {text!r} {why}")
    return found


def _check(text: str, said: Sequence[str], *, twelve: bool) -> None:
    twice = next((each for each in said if said.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"{text!r} says {twice} twice")
    known = set(said)
    if "the year" not in known or not (
        {"the month", "the day"} <= known or "the day of the year" in known
    ):
        raise ValueError(f'{text!r} has no whole date in it; "%d.%m.%Y", for one, reads 31.12.2023')
    clock = known & {"the hour", "the minute", "the second", _FRACTION, "the half of the day",
                     "the zone"}  # fmt: skip
    if clock and not {"the hour", "the minute"} <= known:
        raise ValueError(f'{text!r} has no whole time of day in it, such as "%H:%M"')
    if _FRACTION in known and "the second" not in known:
        raise ValueError(f"{text!r} has {_FRACTION}, and no second")
    if twelve != ("the half of the day" in known):
        raise ValueError(f'{text!r}: "%I", the hour of 12, and "%p", AM or PM, need each other')


def _pattern(token: str, before: str, after: str) -> str:
    if not isinstance(token, _Name):
        return "".join(_literal(char) for char in token)
    part = _PARTS[token]
    beside = _digit(before, -1) or _digit(after, 0)
    return part.tight if part.tight is not None and beside else part.pattern


def _digit(token: str, end: int) -> bool:
    """Whether a token begins (0) or ends (-1) with a digit."""
    if isinstance(token, _Name):
        return _PARTS[token].digits and not (end == 0 and token.startswith("."))
    return bool(token) and token[end] in "0123456789"


def _literal(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}"
