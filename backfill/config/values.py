"""Small values that a person writes: a rate, a share, a duration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = ["Rate", "Share", "parse_duration", "parse_rate", "parse_share"]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d)"  # of a duration


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second."""

    per_second: float

    def __str__(self) -> str:
        """As `parse_rate` reads it: in digits, also where a float would be written with an `e`."""
        return f"{Decimal(repr(self.per_second)):f}/s"


@dataclass(frozen=True, slots=True)
class Share:
    """So many records, or a fraction of those sent."""

    count: int | None = None
    fraction: float | None = None

    def __str__(self) -> str:
        return str(self.count) if self.fraction is None else f"{self.fraction * 100:g}%"


def parse_rate(value: Any) -> Rate | None:
    """Read "50/s", "3000/min", "auto" (None), or a number of requests a second."""
    if value is None or isinstance(value, Rate):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _positive(float(value))
    if isinstance(value, str):
        text = value.strip().lower()
        if text == "auto":
            return None
        match = re.fullmatch(
            r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|sec|second|m|min|minute|h|hour)", text
        )
        if match:
            return _positive(float(match[1]) / _SECONDS[match[2][0]])
    raise ValueError('a rate is written "50/s", "3000/min" or "auto"')


def _positive(per_second: float) -> Rate:
    if not 0 < per_second < float("inf"):
        raise ValueError("a rate is more than 0")
    return Rate(per_second)


def parse_share(value: Any) -> Share:
    """Read "1%" or a whole number of records."""
    if isinstance(value, Share):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Share(count=value)
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch("[0-9]+", text):
            return Share(count=int(text))
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text)
        if match and float(match[1]) <= 100:
            return Share(fraction=float(match[1]) / 100)
    raise ValueError('is a whole number of records, or a share such as "1%"')


def parse_duration(value: Any) -> float | None:
    """Read "30s", "5m", "1h30m", or a number of seconds. Returns seconds."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(rf"(?:{_PART}\s*)+", text):
            return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))
    raise ValueError('a duration is written "30s", "5m" or "1h30m"')
