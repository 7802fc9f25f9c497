"""Limits that are no rate: how many requests at a time, and how soon after one another. Pure.

A server that counts requests a second refuses what comes at a certain moment, whatever it looks
like. One that takes so many at a time refuses what goes out while unusually many are out already,
and one that allows no burst refuses what follows unusually soon. So with each refusal goes the
question how many of the requests that were accepted lately were out with as many, or followed as
soon. Where several refusals in close succession say that hardly any did, that is what is refused:
it is kept to from then on, and the rate is free to rise to what it gives. The first refusal ends a
climb, at which both are unusual whatever is counted, and tells nothing.

A refusal of what keeps to such a limit makes it stricter; several, or one of what is accepted as a
rule, and it is dropped for good. A long peace loosens it a little.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["OtherLimits"]

_LATELY = 200  # accepted requests that a refused one is compared with
_ENOUGH = 50  # of them say how unusual something is
_FUTILE = 6  # refusals of what keeps to a limit, without a peace between, after which it is dropped
_PEACE = 60.0  # seconds without a refusal after which a limit is loosened; doubles each time
_COMMON = 0.5  # a share of what is accepted that cannot be what a limit refuses
_MARGIN = 1.04  # of the gap between two requests, for a network whose delays vary
_LOOSER = 0.99


class _Suspicion:
    """Whether a number is higher for what is refused than for what is accepted.

    By `usual` the logarithm of each chance has to be exceeded; what goes beyond, at most `most` of
    one refusal, adds up to `convincing`.
    """

    def __init__(self, *, usual: float, most: float, convincing: float) -> None:
        self._usual, self._most, self._convincing = usual, most, convincing
        self._taken: deque[float] = deque(maxlen=_LATELY)
        self._sum = 0.0
        self.least = math.inf  # the number of the refusals that count, the lowest of them

    def accepted(self, number: float) -> None:
        self._taken.append(number)

    def chance(self, number: float) -> float:
        """The share of accepted requests whose number is as high, this one counted."""
        return (sum(each >= number for each in self._taken) + 1) / (len(self._taken) + 1)

    def convinced(self, number: float) -> bool:
        """Whether the refusal of a request of this number completes the evidence."""
        if len(self._taken) < _ENOUGH:
            return False
        beyond = -math.log(self.chance(number)) - self._usual
        self._sum = max(0.0, self._sum + min(beyond, self._most))
        self.least = min(self.least, number) if self._sum else math.inf
        return self._sum >= self._convincing


class OtherLimits:
    """What is kept to beside the rate; nothing while there is no reason to believe in it."""

    def __init__(self) -> None:
        self.most_out = math.inf  # requests at a time
        self.gap = 0.0  # seconds between two requests, at least
        self._crowd = _Suspicion(usual=1.0, most=2.2, convincing=3.0)
        # Late timers let some requests follow each other soon, wherever they are refused.
        self._haste = _Suspicion(usual=3.0, most=2.2, convincing=4.0)
        self._first = True
        self._futile = 0
        self._dropped = False
        self._since = 0.0  # when a limit was changed, or a request was refused
        self._peace = _PEACE

    @property
    def fastest(self) -> float:
        """Requests a second that the gap allows at most."""
        return 1 / self.gap if self.gap else math.inf

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.gap > 0 or self.most_out < math.inf

    def accepted(self, now: float, out: int, gap: float) -> None:
        """A request was accepted that left `gap` seconds after the one before it, as one of so
        many `out`.
        """
        self._crowd.accepted(out)
        self._haste.accepted(-gap)
        # A number that is not reached is kept to without cost, and tells nothing of one more.
        if now - self._since > self._peace and (self.gap or out >= self.most_out):
            self.most_out += 1
            self.gap *= _LOOSER
            self._since, self._futile, self._peace = now, 0, 2 * self._peace

    def refused(self, now: float, out: int, gap: float) -> bool:
        """The first request of several was refused. Returns whether one of these limits is why,
        and not the rate.
        """
        first, self._first, self._since = self._first, False, now
        if first or self._dropped:
            return False
        if self.any:
            self._tighten(out, gap)
        elif self._crowd.convinced(out) and self._crowd.least >= 2:
            self.most_out = self._crowd.least - 1
        elif self._haste.convinced(-gap):
            self.gap = _MARGIN * -self._haste.least
        return self.any

    def _tighten(self, out: int, gap: float) -> None:
        self._futile += 1
        chance = self._haste.chance(-gap) if self.gap else self._crowd.chance(out)
        if self._futile >= _FUTILE or chance > _COMMON:
            self.most_out, self.gap, self._dropped = math.inf, 0.0, True
        elif self.gap:
            self.gap = _MARGIN * max(self.gap, min(gap, 1.2 * self.gap))
        else:
            self.most_out = max(1.0, min(self.most_out, out - 1))
