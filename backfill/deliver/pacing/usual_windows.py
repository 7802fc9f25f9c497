"""The windows that servers count requests in. Pure.

Those of long windows refuse for long; the windows have round lengths. What was accepted before,
divided by the length, is the rate.

Those of one second are told by their numbers, which are the same at each refusal, however fast the
requests came: what was taken in the second before it, or since a second of their clock began.

A long window that slides gives back what was taken a window ago, at the speed of then. So the
number in it is the same at each refusal, while what is taken between two refusals, which of a
bucket is the same for all, is not. In such a window is room for as much as leaves it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from backfill.deliver.pacing.refusal_cycle import Cycle

__all__ = ["RecentlyTaken", "Seconds", "Windows", "soonest_end"]

_SECONDS = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
_LATE = 0.05  # seconds after the end of a window when it is surely over
_ALIKE = 0.015  # numbers that differ by less, or by one, are the same
_FEW = 10  # requests a second that are the same by chance
_UNLIKE = 1.1  # and speeds whose ratio is higher are not
_END = 0.4  # seconds before a refusal that give its speed
_CATCH_UP = 0.03  # of a second's number: what is caught up with counts in this second, too
_CYCLES, _PHASES = 3, 100  # that tell of a clock's seconds, and how many are tried
_LONG_WAIT = 3.0  # seconds of refusals that tell of a long window
_SLIDING = tuple(seconds for seconds in _SECONDS if seconds <= 60.0)  # told by their numbers
_SAME = 0.0006  # of such a number, or two: by how much one is miscounted
_NEAR = 2.0  # windows between the refusals that tell
_NOT_ALL = 0.9  # of a window's number: a cycle of fewer was refused for what came before it
_AHEAD = 0.5  # seconds for which a window that slides has room
_TRICKLE = 0.1  # of the rate that is sent where it has none
_STEP, _POINTS = 0.005, 25_000  # seconds between two moments that are remembered, and how many are


def soonest_end(begin: float, now: float, guess: float) -> float:
    """Seconds from `now` to the end of a usual window that began then, at most `guess`."""
    ends = (begin + seconds + _LATE - now for seconds in _SECONDS)
    return min((end for end in ends if _LATE < end < guess), default=guess)


class Seconds:
    """Whether a server counts by the second: the last one, or each one that its clock begins."""

    def __init__(self) -> None:
        # The last ones, and the waits before them.
        self._cycles: deque[tuple[Cycle, float]] = deque(maxlen=_CYCLES)
        self._most = 0.0  # requests that were taken in a second

    def counted(self, cycle: Cycle, waited: float) -> float | None:
        """The requests a second that it takes, by this refusal, which came `waited` seconds and
        a cycle after the one before; None where nothing tells that it counts so.
        """
        self._most = max(self._most, cycle.within(1.0))
        if self._cycles and cycle.seconds + waited < 1.0:
            return None  # some of the second before the refusal belongs to another cycle
        self._cycles.append((cycle, waited if self._cycles else math.inf))
        cycles = [each for each, _ in self._cycles]
        for last in (cycles[-2:], cycles):
            if _unlike(last) and _alike([self._most, *(each.within(1.0) for each in last)]):
                return self._most
        return self._by_clock() if len(cycles) == _CYCLES and _unlike(cycles) else None

    def _by_clock(self) -> float | None:
        """The number that was the same at each refusal if a second begins at the right moment."""
        for step in range(_PHASES):
            numbers = [_since(*each, step / _PHASES) for each in self._cycles]
            if _alike(numbers) and self._most <= 2 * min(numbers):
                return numbers[-1]
        return None


def _since(cycle: Cycle, waited: float, phase: float) -> float:
    """Requests since a second began, at this phase of it; 0 where that is not known."""
    seconds = (cycle.end - phase) % 1.0
    return cycle.within(seconds) if seconds <= cycle.seconds + waited else 0.0


def _unlike(cycles: Sequence[Cycle]) -> bool:
    """Whether the refusals came at different speeds."""
    speeds = [each.within(_END) for each in cycles]
    return max(speeds) > _UNLIKE * min(speeds)


def _alike(numbers: Sequence[float]) -> bool:
    return min(numbers) >= _FEW and max(numbers) - min(numbers) <= max(1.0, _ALIKE * max(numbers))


class RecentlyTaken:
    """What was taken in the last minute or longer, as far as is known by now: what was sent and not
    refused. How many had left is remembered for moments, because a minute may have many requests.
    """

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._before: list[int] = []  # how many had left before each
        self._sent = 0
        self._refused: list[float] = []  # when those that were refused had left

    def sent(self, at: float, number: int = 1) -> None:
        """So many requests left at a moment; of other runs' ones one hears a little later."""
        if not self._moments or at - self._moments[-1] >= _STEP:
            self._moments.append(at)
            self._before.append(self._sent)
        if self._moments[-1] > at:
            for place in range(bisect_right(self._moments, at), len(self._moments)):
                self._before[place] += number
        self._sent += number
        if len(self._moments) > _POINTS:
            del self._moments[: _POINTS // 2], self._before[: _POINTS // 2]
            del self._refused[: bisect_left(self._refused, self._moments[0])]

    def refused(self, sent_at: float) -> None:
        """A request that left then was refused."""
        insort(self._refused, sent_at)

    def taken(self, begin: float, end: float) -> float:
        """Requests that left in between and were taken, or are not answered yet."""
        refused = bisect_left(self._refused, end) - bisect_left(self._refused, begin)
        return self._left(end) - self._left(begin) - refused

    def _left(self, at: float) -> float:
        """How many had left before a moment."""
        place = bisect_left(self._moments, at)
        if place == 0:
            return self._before[0] if self._before else 0
        if place == len(self._moments):
            return self._sent
        t0, t1 = self._moments[place - 1 : place + 1]
        n0, n1 = self._before[place - 1 : place + 1]
        return n0 + (n1 - n0) * (at - t0) / (t1 - t0)


class Window(NamedTuple):
    """The server takes so many requests in so many seconds, and allows a burst of them at once."""

    number: float
    seconds: float
    burst: float


class _Refusal(NamedTuple):
    """Requests in each usual window before a refusal, and those taken since the one before."""

    at: float
    numbers: list[float]
    new: float


class Windows:
    """In which windows the server counts, as far as its refusals tell. `span` is the seconds of
    one that is known, else None.
    """

    def __init__(self) -> None:
        self.span: float | None = None
        self._number = 0.0
        self._slides = False
        self._seconds = Seconds()
        self._recently = RecentlyTaken()
        self._refusals: deque[_Refusal] = deque(maxlen=_CYCLES)

    def sent(self, at: float, number: int = 1) -> None:
        """So many requests left."""
        self._recently.sent(at, number)

    def refused(self, sent_at: float) -> None:
        """A request that left then was refused."""
        self._recently.refused(sent_at)

    def forget(self) -> None:
        """Forget the window: it was another limit."""
        self.span, self._slides = None, False

    def told(self, cycle: Cycle, waited: float, last: float, now: float) -> Window | None:
        """The window that a refusal tells of, which came a wait of `waited` seconds and a cycle
        after the one before; the `last` refused request left then, and one that left `now` is
        accepted. None where it tells of none.
        """
        self._remember(cycle)
        counted = self._seconds.counted(cycle, waited)
        sliding = self._sliding(cycle)
        if sliding is not None:
            return self._found(*sliding, slides=True)
        if now - cycle.end >= _LONG_WAIT:  # one was used up
            if self.span is not None and self._slides:
                number = self._number_in(self.span, cycle)
                return self._found(number, self.span, slides=True)
            return self._found(*self._used_up(cycle, last - cycle.begin, now - cycle.begin))
        if counted is not None and self.span is None:
            return self._found(counted, 1.0)
        return None

    def room(self, now: float, rate: float) -> float:
        """Requests a second that a window that slides has room for, if it takes as many as leave
        at such a rate; infinite where none is known.
        """
        if not self._slides or self.span is None:
            return math.inf
        room = rate * self.span - self._recently.taken(now - self.span + _AHEAD, now)
        return max(room / _AHEAD, _TRICKLE * rate)

    def _used_up(self, cycle: Cycle, least: float, most: float) -> tuple[float, float]:
        """Number and seconds of the window that ended so many seconds after a cycle began, with it
        or after others; of several the one that allows most, because none refuses what it allows.
        """
        found = [(float(cycle.requests), most)]
        for span in _SECONDS:
            end = math.ceil(least / span) * span
            if end <= most and end - cycle.seconds <= span:
                end += cycle.begin
                found.append((self._recently.taken(end - span, cycle.end), span))
        return max(found, key=lambda each: each[0] / each[1])

    def _found(self, number: float, seconds: float, *, slides: bool = False) -> Window:
        self._number, self.span, self._slides = number, seconds, slides
        long = seconds > 1.0
        return Window(number, seconds, max(1.0, number) if long else max(2.0, _CATCH_UP * number))

    def _number_in(self, span: float, cycle: Cycle) -> float:
        """Requests that were taken in so many seconds before the refusal that ended a cycle."""
        return self._recently.taken(cycle.end - span, cycle.end)

    def _remember(self, cycle: Cycle) -> None:
        numbers = [self._number_in(span, cycle) for span in _SLIDING]
        since = self._refusals[-1].at if self._refusals else cycle.begin
        self._refusals.append(_Refusal(cycle.end, numbers, self._recently.taken(since, cycle.end)))

    def _sliding(self, cycle: Cycle) -> tuple[float, float] | None:
        """Number and seconds of the window that slides, by this refusal and those before it."""
        if self.span is not None and self.span >= _SLIDING[0]:
            number = self._number_in(self.span, cycle)
            if cycle.seconds >= self.span:
                self._number = number
            elif cycle.requests < _NOT_ALL * self._number and _alike([self._number, number]):
                return number, self.span
        for span, *numbers in zip(
            _SLIDING, *(each.numbers for each in self._refusals), strict=True
        ):
            if self._given_back(span, numbers):
                return numbers[-1], span
        return None

    def _given_back(self, span: float, numbers: Sequence[float]) -> bool:
        """Whether the number in a window was the same at the last refusals, not far from each
        other, while the speeds at which was taken in between were not.
        """
        first, *later = self._refusals
        if len(later) < _CYCLES - 1 or later[-1].at - first.at > _NEAR * span:
            return False
        same = max(2.0, _SAME * max(numbers))
        if max(numbers) - min(numbers) > same:
            return False
        apart = [(each.at - before.at, each.new) for before, each in pairwise(self._refusals)]
        slowest = min((new + same / 2) / max(seconds, _STEP) for seconds, new in apart)
        fastest = max((new - same / 2) / max(seconds, _STEP) for seconds, new in apart)
        return fastest > _UNLIKE * slowest
