"""The sandbox's own rate limit: a bucket of tokens that refills steadily."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

from backfill.core.errors import ConfigError

__all__ = ["Allowance", "RetryStyle", "parse_rate_limit", "retry_headers"]

RetryStyle = Literal["seconds", "milliseconds", "date", "none"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_rate_limit(text: str | float | None) -> float | None:
    """Read "50/s" or "3000/min" as requests a second. Raises ConfigError."""
    if text is None or (isinstance(text, int | float) and text > 0):
        return text
    match = re.fullmatch(
        r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(?:(s)(?:ec|econd)?|(m)(?:in|inute)?|(h)(?:our)?)",
        str(text).strip().lower(),
    )
    rate = float(match[1]) / _SECONDS[match[2] or match[3] or match[4]] if match else 0.0
    if rate <= 0:
        raise ConfigError(
            f"{text!r} is no rate", where="--rate-limit", hint='Write "50/s" or "3000/min".'
        )
    return rate


class Allowance:
    """A token bucket. `rate` is requests a second, `burst` how many may come at once.

    `clock` gives seconds and never goes back.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._tokens = self._burst
        self._at = clock()

    def take(self) -> float:
        """Take a token. Returns 0, or the seconds until there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        # A wait that was served to the full must be enough in floating point too.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


def retry_headers(seconds: float, style: RetryStyle) -> dict[str, str]:
    """How a 429 says when to come back. Never earlier than `seconds` from now."""
    match style:
        case "seconds":
            return {"Retry-After": str(math.ceil(seconds))}
        case "milliseconds":
            return {"retry-after-ms": str(math.ceil(seconds * 1000))}
        case "date":
            # An HTTP date has whole seconds only.
            at = datetime.now(UTC) + timedelta(seconds=seconds + 1)
            return {"Retry-After": format_datetime(at.replace(microsecond=0), usegmt=True)}
        case "none":
            return {}
