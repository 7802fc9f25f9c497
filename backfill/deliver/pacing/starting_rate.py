"""How fast to go while nothing is known of a limit, and how much of a rate is used. Pure."""

from __future__ import annotations

import math

from backfill.deliver.pacing.refusal_cycle import Cycle

__all__ = ["FIRST", "RecentUse", "rate_at_end", "starting_rate"]

FIRST = 32.0
"""Requests a second before anything is known."""

_DOUBLING = 0.4  # seconds in which the rate doubles
_IN_FLIGHT, _SHARE = 3.0, 0.006  # growth slows above so many in flight, and such a share of all
_GROWN, _LEAST = 1.25, 0.5  # by how much use grew in the last quarter of a second; of the rate
_SECONDS, _REQUESTS = 0.25, 5  # of one measurement of the use, at least


def starting_rate(passed: float, sent: int, used: float, round_trip: float) -> float:
    """Requests a second after `passed` seconds and so many requests `sent`.

    It doubles again and again, but not above twice what was `used` lately, and more slowly where
    many requests are in flight, because those are what the first refusal costs.
    """
    fast = FIRST * math.exp2(min(passed / _DOUBLING, 60.0))
    in_flight = _IN_FLIGHT + passed + passed**2 + _SHARE * sent
    return max(FIRST, min(fast, in_flight / round_trip, 2 * used))


def rate_at_end(cycle: Cycle, rate: float) -> float:
    """What really left, in requests a second, at the end of a cycle whose rate doubled up to `rate`
    until it was refused. Several runs follow a rate that grows with a delay; a run that stood still
    for a moment is no reason to take it for much lower.
    """
    if not cycle.others or cycle.seconds < _SECONDS:
        return rate
    return min(rate, max(_LEAST * rate, _GROWN * cycle.within(_SECONDS) / _SECONDS))


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
