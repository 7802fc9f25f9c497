"""The moments at which requests leave.

A rate that is being found is kept here, because this is what a server sees, and it may allow no
burst. A request is granted before its intent is written down, and a commit that takes long would
send those together that were granted one after another. So a grant comes as much earlier as commits
have lately taken, and the request leaves when it is due, or as soon as it may after those before.

A set rate is kept where requests are granted: they leave as soon as their intents are written down.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from backfill.deliver.pacing.found_limits import FoundLimits
from backfill.deliver.pacing.rate_limiter import RateLimiter
from backfill.deliver.pacing.turns import Grant, Turns

__all__ = ["Departures"]

_LONGEST_LEAD = 0.25  # seconds
_EARLY = 0.002  # seconds; event loops sleep for whole milliseconds, rounded up, and wake up late
_FORGET = 0.05  # of the lead, with each commit that takes less


class Departures:
    """The line of those whose intents are written down, and the count of all who have a grant.

    `pace` says how many requests a second go now; `found` is what is known of the server's limits,
    None where the rate is set.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        found: FoundLimits | None,
        *,
        clock: Callable[[], float],
        pace: Callable[[], float],
    ) -> None:
        self.limiter = limiter
        self.found = found
        self.waiting = 0  # granted, and not left yet
        self.under_way = 0  # left, and not answered yet
        self._clock = clock
        self._pace = pace
        self._lead = 0.0  # seconds from a grant until its intent is written down
        self._last = -math.inf  # when the last one left
        self._turns = Turns(early=lambda: self.early)

    @property
    def early(self) -> float:
        """Seconds before a departure in which it is looked for again and again, because a late one
        cannot be made up for: where the server allows no burst.
        """
        return _EARLY if self.limiter.exact else 0.0

    def due(self, now: float, rate: float) -> bool:
        """Whether it is time for a grant. A set rate is taken from here."""
        if self.found is None:
            return self.limiter.take(now, rate)
        return self.until_due(now, rate) == 0

    def until_due(self, now: float, rate: float) -> float:
        """Seconds until it is time for a grant."""
        if self.found is None:
            return self.limiter.wait(now, rate)
        return self.limiter.wait(now, rate, ahead=self.waiting, lead=self._lead + 2 * self.early)

    def granted(self) -> bool:
        """A request is granted. Returns whether it may leave without waiting for its departure."""
        if self.found is None:
            self.under_way += 1
            return True
        self.waiting += 1
        return False

    def wait(self, grant: Grant) -> Awaitable[bool | None]:
        """Wait, once the intent is written down, for the moment to send. False, or None, where the
        request may not leave any more.
        """
        self.written(grant)
        return self._turns.take(lambda: self.leave(grant), self.until_next)

    def written(self, grant: Grant) -> None:
        """Take note of how long it took to write the intent down."""
        took = self._clock() - grant.at
        self._lead = min(_LONGEST_LEAD, max(took, self._lead + _FORGET * (took - self._lead)))

    def leave(self, grant: Grant) -> bool | None:
        """Whether the request leaves now, and must do so at once; None while it has to wait."""
        if not grant.still_valid():
            return False
        if self._full():
            return None
        now, rate = self._clock(), self._pace()
        if self.found is not None:
            self.found.shape(self.limiter, rate)
        if not self.limiter.take(now, rate):
            return None
        self.waiting -= 1
        self.under_way += 1
        number = 0 if self.found is None else self.found.sent(now)
        gap, self._last = now - self._last, now
        grant.leave(now, rate=rate, number=number, out=self.under_way, gap=gap)
        return True

    def until_next(self) -> float:
        """Seconds until a request may leave; infinite while one must be answered first."""
        return math.inf if self._full() else self.limiter.wait(self._clock(), self._pace())

    def ended(self, grant: Grant) -> None:
        """The request was answered, or not sent after all."""
        if grant.left:
            self.under_way -= 1
        else:
            self.waiting -= 1
        self._turns.look_again()

    def look_again(self) -> None:
        """Something has changed: the first in the line may leave, or none any more."""
        self._turns.look_again()

    def end(self) -> None:
        """Nobody leaves any more."""
        self._turns.end()

    def _full(self) -> bool:
        """Whether as many are under way as the server takes at a time."""
        return self.found is not None and self.under_way >= self.found.most_out
