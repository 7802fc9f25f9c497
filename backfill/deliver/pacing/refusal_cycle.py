"""What was sent between two refusals, and what that tells of a token bucket. Pure.

Just before a refusal the server's allowance is used up. Of a token bucket with rate R and burst B
follows: in any time before the refusal at most `R * time + B` requests were accepted, and exactly
so many since the bucket was last full. It was full at the start, so the first refusal gives B for
each R (`Cycle.burst_at`), and a second one that was approached at another speed gives R.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

__all__ = ["Cycle", "rate_for_burst", "rate_of_both"]

_POINTS = 256  # moments of a cycle that are remembered
_STEPS = 200  # rates that are tried between two bounds
_HALVINGS = 30
_NO_BURST = 0.5  # requests


class Cycle:
    """What was sent from the first request that was accepted to the next refusal.

    `points` are moments and how many requests had left before them.
    """

    def __init__(self, now: float, serial: int) -> None:
        self.end, self.last = math.inf, serial
        self.points: list[tuple[float, int]] = [(now, serial)]
        self.others = 0  # requests of other runs
        self._step = 0.02

    @property
    def begin(self) -> float:
        return self.points[0][0]

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def requests(self) -> int:
        return self.last - self.points[0][1]

    def sent(self, now: float, serial: int) -> None:
        """A request leaves, and `serial` left before it."""
        if now - self.points[-1][0] >= self._step:
            self.points.append((now, serial))
            if len(self.points) > _POINTS:
                del self.points[1:-1:2]
                self._step *= 2

    def insert(self, at: float, number: int) -> None:
        """So many requests of other runs left at a moment; one hears of them later."""
        self.others += number
        place = bisect_right(self.points, (at, math.inf))
        self.points[place:] = [(each, before + number) for each, before in self.points[place:]]
        if at <= self.end:
            self.last += number

    def close(self, at: float, serial: int) -> None:
        """The request after `serial`, which left `at`, is the first one that was refused."""
        self.end, self.last = max(at, self.begin), max(serial, self.points[0][1])
        while len(self.points) > 1 and self.points[-1][1] > serial:
            self.points.pop()

    def sustained(self, waited: float) -> float:
        """Requests a second over this and the wait before it; 0 where no time passed in either."""
        seconds = self.seconds + waited
        return self.requests / seconds if seconds else 0.0

    def number_at(self, at: float) -> int:
        """How many requests had left before a moment, about."""
        return self.points[max(0, bisect_left(self.points, (at, 0)) - 1)][1] + 1

    def burst_at(self, rate: float) -> float:
        """The burst that this refusal tells of if `rate` is the limit."""
        return max((self.last - before) - rate * (self.end - at) for at, before in self.points)

    def within(self, seconds: float) -> float:
        """Requests that left in the last `seconds` before the refusal, at most `self.seconds`."""
        begin = self.end - seconds
        place = bisect_left(self.points, (begin, 0))
        if place == 0:
            return float(self.requests)
        (t0, n0), (t1, n1) = [*self.points, (self.end, self.last)][place - 1 : place + 1]
        return self.last - (n0 + (n1 - n0) * (begin - t0) / max(t1 - t0, 1e-9))


def rate_for_burst(cycle: Cycle, burst: float, low: float, high: float) -> float:
    """The rate between two bounds at which a bucket of `burst` requests refuses as this cycle
    tells; else the nearer bound.
    """
    if high <= low or cycle.burst_at(low) <= burst:
        return low
    if cycle.burst_at(high) >= burst:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cycle.burst_at(middle) > burst else (low, middle)
    return (low + high) / 2


def rate_of_both(one: Cycle, other: Cycle, low: float, high: float) -> float | None:
    """The rate between two bounds of a token bucket that was full at the beginning of two cycles
    and empty at their ends. None where there is none.

    Of several the lowest: well above the limit every cycle looks as if there was no burst.
    """
    step = (high - low) / _STEPS
    before = None
    for number in range(_STEPS):
        rate = low + number * step
        bursts = one.burst_at(rate), other.burst_at(rate)
        gap = bursts[1] - bursts[0]
        if before is not None and gap * before <= 0:
            return rate - step * abs(gap) / max(abs(gap) + abs(before), 1e-9)
        if max(bursts) < _NO_BURST:
            return None
        before = gap
    return None
