"""How fast to go while nothing is known of a limit. Pure."""

from __future__ import annotations

import math

__all__ = ["FIRST", "starting_rate"]

FIRST = 32.0
"""Requests a second before anything is known."""

_DOUBLING = 0.4  # seconds in which the rate doubles
_IN_FLIGHT, _SHARE = 3.0, 0.009  # growth slows above so many in flight, and such a share of all


def starting_rate(passed: float, sent: int, used: float, round_trip: float) -> float:
    """Requests a second after `passed` seconds and so many requests `sent`.

    It doubles again and again, but not above twice what was `used` lately, and more slowly where
    many requests are in flight, because those are what the first refusal costs.
    """
    fast = FIRST * math.exp2(min(passed / _DOUBLING, 60.0))
    in_flight = _IN_FLIGHT + passed + passed**2 + _SHARE * sent
    return max(FIRST, min(fast, in_flight / round_trip, 2 * used))
