"""Single values: which texts are missing, and the one text of a typed value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

__all__ = ["Broken", "Cell", "in_zone", "stripped", "text_of", "utc_text"]

# A cell as a reader gives it: None, a text, a number, a moment, or something with parts.
Cell = object

# Unicode's White_Space property, the four separators of ASCII, and marks without width.
_AROUND = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\x1c\x1d\x1e\x1f"
    "\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069"
    "\ufeff"
)


@dataclass(frozen=True)
class Broken(Exception):  # noqa: N818 - it is a row's fault, not ours
    """A value breaks a rule."""

    rule: str


def stripped(text: str) -> str:
    """The text without the white space and the invisible marks around it."""
    return text.strip(_AROUND)


def in_zone(moment: datetime, zone: str | None) -> datetime:
    """A moment without a zone as one of `zone`: the earlier of two, and none that never was."""
    if zone is None:
        raise Broken("timezone")
    local = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
    try:
        there = local.astimezone(UTC)
        if there.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != moment:
            raise Broken("nonexistent")
    except OverflowError:
        raise Broken("range") from None
    return there


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    fraction = f".{moment.microsecond // 1000:03}" if moment.microsecond >= 1000 else ""
    whole = moment.astimezone(UTC)
    return f"{whole.year:04}-{whole:%m-%dT%H:%M:%S}{fraction}Z"


def text_of(value: Cell, zone: str | None) -> str | None:
    """The text of a single value, None where it is missing. Breaks a rule where it has none."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Broken("finite")
        plain = format(Decimal(float.__repr__(value)), "f")
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return "0" if plain in ("-0", "0") else plain
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        moment = value if value.tzinfo else in_zone(value, zone)
        fraction = f"{moment.microsecond:06}"
        fraction = fraction[:3] if fraction.endswith("000") else fraction  # all that it has
        whole = utc_text(moment.replace(microsecond=0)).removesuffix("Z")
        return f"{whole}.{fraction}Z" if moment.microsecond else f"{whole}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        raise Broken("nested")
    assert isinstance(value, (bytes, timedelta, time)), type(value)
    raise Broken("type")
