"""The one budget as arithmetic: who may send when. Pure; times are seconds of one clock.

The rate is kept by the generic cell rate algorithm, which is a token bucket without a timer:
`_due` is when the next request would be due if all went out evenly, and a request may go up to
a small burst earlier. In any second at most rate + burst requests are granted.
"""

from __future__ import annotations

__all__ = ["RateLimiter"]

_TIMER = 0.004  # seconds; what is closer together than this a timer cannot keep apart
_LOST = 0.04  # seconds that late timers may lose, and that are caught up with, at most


class RateLimiter:
    """Requests at a rate that may change, none in a quiet period, no stored burst after one.

    The burst is `burst` seconds' worth of requests, and at least `least` requests: what was not
    used may be caught up with that far back, so a late timer costs no throughput.
    """

    def __init__(self, now: float, *, burst: float = 0.1, least: float = 1.2) -> None:
        self._burst = burst
        self._extra = least - 1
        self._late: float | None = None  # requests that may be caught up with
        self._due = now
        self._begin = now  # nothing is granted, and nothing accrues, before this

    def allow(self, late: float) -> None:
        """Catch up with so many requests at most; with 0 each is spaced evenly from the last."""
        self._late = late

    def wait(self, now: float, rate: float) -> float:
        """Seconds until a request may go, 0 where one may go now. `rate` is a second."""
        return max(0.0, self._due - self._slack(rate) - now, self._begin - now)

    def take(self, now: float, rate: float) -> bool:
        """Take one request out of the budget, if there is one."""
        slack = self._slack(rate)
        due = max(self._due, self._begin + slack)
        if now < due - slack:
            return False
        self._due = max(due, now) + 1 / rate
        return True

    def quiet(self, until: float) -> bool:
        """Grant nothing before `until`, and begin with an empty budget then.

        The later end wins where two periods overlap. Returns whether the end has moved.
        """
        if until <= self._begin:
            return False
        self._begin = until
        return True

    def _slack(self, rate: float) -> float:
        if self._late is not None:
            apart = rate * _TIMER < 1
            return min(self._late / rate, max(_LOST, 1 / rate)) if apart else _LOST / 2
        return max(self._burst - 1 / rate, self._extra / rate)
