"""Limits that are no rate: how many requests at a time, and how soon after one another. Pure.

A server that counts requests a second refuses what comes at a certain moment, whatever it looks
like. One that takes so many at a time refuses what goes out while unusually many are out already,
and one that allows no burst refuses what follows unusually soon. So with each refusal goes the
question how many of the requests that were accepted lately were out with as many, or followed as
soon.

**How many at a time** is supposed at a refusal of unusually many, and kept to from then on, while
the rate goes on as if it was the rate that was refused. That costs next to nothing where it was: a
rate below the refused one seldom has as many out. Where it was not, nothing is refused any more.
Then one more is tried: if it is refused, the limit is known, and the rate is free to rise to what
it gives; if it is accepted again and again, one more is tried soon.

**How soon** is believed after several refusals in close succession of what hardly any that was
accepted did. The first one ends a climb, at which every gap is unusual, and tells nothing.

A refusal of what keeps to a known limit makes it stricter; several, or one of what is accepted as a
rule, and it is dropped for good. A long peace loosens it a little.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["OtherLimits"]

_LATELY = 200  # accepted requests that a refused one is compared with
_ENOUGH = 50  # of them say how unusual a gap is
_RARE = 0.15  # a share of what is accepted that may be more than a server takes at a time
_COMMON = 0.5  # and one that cannot be what a limit refuses
_BY_CHANCE = 3  # requests above a limit that are accepted because another one has just ended
_USUAL, _MOST, _CONVINCING = 3.0, 2.2, 4.0  # late timers let some requests follow soon anywhere
_FUTILE = 6  # refusals of what keeps to a limit, soon after each other, after which it is dropped
_HELPED = 30.0  # seconds without one show that it is of use
_SUPPOSED, _SOON = 30.0, 2.0  # seconds without a refusal after which one more is tried, and another
_PEACE = 60.0  # and after which a known limit is loosened; doubles each time
_MARGIN = 1.04  # of the gap between two requests, for a network whose delays vary
_LOOSER = 0.99


class _Taken:
    """A number of each request that was accepted lately."""

    def __init__(self) -> None:
        self._numbers: deque[float] = deque(maxlen=_LATELY)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: float) -> None:
        self._numbers.append(number)

    def chance(self, number: float) -> float:
        """The share of them whose number is as high, this one counted."""
        return (sum(each >= number for each in self._numbers) + 1) / (len(self._numbers) + 1)


class OtherLimits:
    """What is kept to beside the rate; nothing while there is no reason to believe in it."""

    def __init__(self) -> None:
        self.most_out = math.inf  # requests at a time
        self.gap = 0.0  # seconds between two requests, at least
        self.known = False  # whether one of these is why requests are refused, and not the rate
        self._outs, self._gaps = _Taken(), _Taken()
        self._refused = self._highest = 0  # how many at the last refusal, and the most out of them
        # While one more is tried: how often that many were accepted.
        self._one_more: int | None = None
        self._suspicion = self._longest = 0.0  # that the gap is why, and the longest that counts
        self._any_before = False  # whether anything was refused before
        self._futile = 0
        self._dropped = False
        self._since = 0.0  # when a limit was changed, or a request was refused
        self._peace = _SUPPOSED

    @property
    def fastest(self) -> float:
        """Requests a second that the gap allows at most."""
        return 1 / self.gap if self.gap else math.inf

    def accepted(self, now: float, out: int, gap: float) -> None:
        """A request was accepted that left `gap` seconds after the one before it, as one of so
        many `out`.
        """
        self._outs.add(out)
        self._gaps.add(-gap)
        if now - self._since > self._peace and (self.gap or self._is_reached(out)):
            self._loosen(now)
        elif self._one_more is not None and out >= self.most_out:
            self._one_more += 1
            if self._one_more > _BY_CHANCE:
                self._one_more = None
                self._peace = self._peace if self.known else _SOON

    def refused(self, now: float, out: int, gap: float, *, fresh: bool) -> bool:
        """A request was refused; it is `fresh` if it is the first one of several. Returns whether
        one of these limits is known to be why, and not the rate.
        """
        if fresh:
            self._refused, self._highest = 1, out
            self._first_of_several(now, out, gap)
            self._since, self._one_more, self._any_before = now, None, True
        else:
            self._refused += 1
            self._highest = max(self._highest, out)
            if self.most_out < math.inf and not self.known:
                self.most_out = max(1, self._highest - self._refused)
        return self.known

    def explained(self) -> None:
        """What was refused last is known to be refused for another reason."""
        if not self.known:
            self.most_out, self._one_more = math.inf, None

    def _first_of_several(self, now: float, out: int, gap: float) -> None:
        if self._dropped:
            return
        if self._one_more is not None and out >= self.most_out - 1:
            self._know(most_out=self.most_out - 1)
        elif self.known:
            self._tighten(now, out, gap)
        elif self._any_before and self._suspect(gap):
            self._know(gap=_MARGIN * self._longest)
        else:
            self._suppose(out)

    def _suppose(self, out: int) -> None:
        unusual = _COMMON if out >= self.most_out else _RARE
        self.most_out = out - 1 if out > 1 and self._outs.chance(out) < unusual else math.inf
        self._peace = _SUPPOSED

    def _know(self, *, most_out: float = math.inf, gap: float = 0.0) -> None:
        self.most_out, self.gap, self.known = most_out, gap, True
        self._peace = max(_PEACE, self._peace)

    def _is_reached(self, out: int) -> bool:
        """Whether as many are out as may be, now and as a rule. A number that is seldom reached is
        kept to without cost, and a refusal of one more would tell nothing.
        """
        return out >= self.most_out and self._outs.chance(self.most_out) > _COMMON

    def _loosen(self, now: float) -> None:
        self.most_out += 1
        self.gap *= _LOOSER
        self._one_more = None if self.gap else 0
        self._since, self._futile = now, 0
        if self.known:
            self._peace *= 2

    def _suspect(self, gap: float) -> bool:
        """Whether the refusal of a request after such a gap completes the evidence."""
        if len(self._gaps) < _ENOUGH:
            return False
        beyond = -math.log(self._gaps.chance(-gap)) - _USUAL
        self._suspicion = max(0.0, self._suspicion + min(beyond, _MOST))
        self._longest = max(self._longest, gap) if self._suspicion else 0.0
        return self._suspicion >= _CONVINCING

    def _tighten(self, now: float, out: int, gap: float) -> None:
        self._futile = 1 if now - self._since > _HELPED else self._futile + 1
        # As a rule requests follow after the gap that is kept to: a refused one that did is no more
        # than a reason to keep a longer one.
        chance = self._gaps.chance(-gap / _MARGIN) if self.gap else self._outs.chance(out)
        if self._futile >= _FUTILE or chance > _COMMON:
            self.most_out, self.gap, self.known, self._dropped = math.inf, 0.0, False, True
        elif self.gap:
            self.gap = _MARGIN * max(self.gap, min(gap, 1.2 * self.gap))
        else:
            self.most_out = max(1.0, min(self.most_out, out - 1))
