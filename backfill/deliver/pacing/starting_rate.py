"""How fast to go while nothing is known of a limit, and how much of a rate is used. Pure."""

from __future__ import annotations

import math

__all__ = ["FIRST", "RecentUse", "starting_rate"]

FIRST = 32.0
"""Requests a second before anything is known."""

_DOUBLING = 0.4  # seconds in which the rate doubles
_IN_FLIGHT, _SHARE = 3.0, 0.009  # growth slows above so many in flight, and such a share of all
_SECONDS, _REQUESTS = 0.25, 5  # of one measurement of the use, at least


def starting_rate(passed: float, sent: int, used: float, round_trip: float) -> float:
    """Requests a second after `passed` seconds and so many requests `sent`.

    It doubles again and again, but not above twice what was `used` lately, and more slowly where
    many requests are in flight, because those are what the first refusal costs.
    """
    fast = FIRST * math.exp2(min(passed / _DOUBLING, 60.0))
    in_flight = _IN_FLIGHT + passed + passed**2 + _SHARE * sent
    return max(FIRST, min(fast, in_flight / round_trip, 2 * used))


class RecentUse:
    """Requests a second that were sent lately; before anything is known, `first`."""

    def __init__(self, now: float, first: float) -> None:
        self.rate = first
        self._since, self._serial = now, 0

    def sent(self, now: float, serial: int) -> None:
        """The request `serial` goes out."""
        passed, count = now - self._since, serial - self._serial
        if passed >= _SECONDS and count >= _REQUESTS:
            self.rate = count / passed
            self._since, self._serial = now, serial

    def paused(self, until: float, serial: int) -> None:
        """Nothing goes out before `until`, which says nothing of the use."""
        self._since, self._serial = max(self._since, until), serial
