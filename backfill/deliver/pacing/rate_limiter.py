"""The one budget as arithmetic: who may send when. Pure; times are seconds of one clock.

The rate is kept by the generic cell rate algorithm, which is a token bucket without a timer:
`_due` is when the next request would be due if all went out evenly, and a request may go up to
a small burst earlier. In any second at most rate + burst requests are granted.
"""

from __future__ import annotations

__all__ = ["RateLimiter"]

_TIMER = 0.004  # seconds; what is closer together than this a timer cannot keep apart
_FEW = 2.0  # requests; a server that allows no more at once is sent to evenly, whatever it costs
_ENOUGH = 4.0  # requests; one that allows so many has room for late timers
_ROOM = 0.5  # of what it allows at once
_LOST = 0.1  # seconds' worth of requests that may be caught up with, at most
_UNKNOWN = 0.04  # and where nothing is known
_SPACING, _LEAST = 0.9, 0.4  # of an even gap: on time, and a request behind or more


class RateLimiter:
    """Requests at a rate that may change, none in a quiet period, no stored burst after one.

    The burst is `burst` seconds' worth of requests, and at least `least` requests: what was not
    used may be caught up with that far back, so a late timer costs no throughput. `spacing` is the
    least time between two requests as a share of an even one, for limiters that allow no burst at
    all; between requests so close that timers cannot tell them apart it is not kept.
    """

    def __init__(
        self, now: float, *, burst: float = 0.1, least: float = 1.2, spacing: float = 0.0
    ) -> None:
        self._burst = burst
        self._spacing = self._least = spacing
        self._next = now  # the earliest next request, where they are spaced
        self._gap = 0.0
        self._extra = least - 1
        self.exact = False  # whether what is sent late cannot be caught up with
        self._due = now
        self._begin = now  # nothing is granted, and nothing accrues, before this

    @classmethod
    def for_rate(cls, rate: float | None, now: float) -> RateLimiter:
        """For a set rate, or for one that is being found: that is spaced evenly, for servers that
        allow no burst.
        """
        if rate is not None:
            return cls(now)
        return cls(now, burst=_UNKNOWN, least=1.9, spacing=_SPACING)

    def allow(self, burst: float | None, rate: float, *, gap: float = 0.0) -> None:
        """Catch up with what late timers lost, in so far as the server allows some `burst` of
        requests at once; None where that is not known. At least `gap` seconds lie between two
        requests. For a rate that is being found.
        """
        self._gap = gap
        self.exact = gap > 0 or (burst is not None and burst < _FEW)
        self._spacing, self._least = _SPACING, _LEAST
        if burst is not None and burst < _FEW:
            self._burst, self._least = 0.0, _SPACING
        elif burst is None or burst < _ENOUGH:
            self._burst = _UNKNOWN
        else:
            self._spacing, self._burst = 0.0, min(_LOST, _ROOM * burst / rate)

    def wait(self, now: float, rate: float, *, ahead: int = 0, lead: float = 0.0) -> float:
        """Seconds until a request may go, 0 where one may go now, or `lead` seconds before one may
        that has so many `ahead` of it. `rate` is a second.
        """
        due = max(self._due, now) + ahead / rate - self._slack(rate)
        spaced = self._next + ahead * self._least / rate
        return max(0.0, due - lead - now, spaced - lead - now, self._begin - now)

    def take(self, now: float, rate: float) -> bool:
        """Take one request out of the budget, if there is one."""
        slack = self._slack(rate)
        due = max(self._due, self._begin + slack)
        if now < due - slack or now < self._next:
            return False
        self._due = max(due, now) + 1 / rate
        if self._spacing and rate * _TIMER < 1:
            behind = max(0.0, now - due) * rate
            share = max(self._least, self._spacing - (self._spacing - self._least) * behind)
            self._next = now + share / rate
        if self._gap:
            self._next = max(self._next, now + self._gap)
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
        return max(self._burst - 1 / rate, self._extra / rate)
