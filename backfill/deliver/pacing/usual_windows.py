"""The windows that servers count requests in. Pure.

Those of long windows refuse for long; the windows have round lengths. What was accepted before,
divided by the length, is the rate.

Those of one second are told by their numbers, which are the same at each refusal, however fast the
requests came: what was taken in the second before it, or since a second of their clock began.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from backfill.deliver.pacing.refusal_cycle import Cycle

__all__ = ["Seconds", "soonest_end", "usual_window"]

_SECONDS = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
_LATE = 0.05  # seconds after the end of a window when it is surely over
_ALIKE = 0.015  # numbers that differ by less, or by one, are the same
_FEW = 10  # requests a second that are the same by chance
_UNLIKE = 1.2  # and speeds whose ratio is higher are not
_END = 0.4  # seconds before a refusal that give its speed
_CYCLES, _PHASES = 3, 100  # that tell of a clock's seconds, and how many are tried


def usual_window(least: float, most: float) -> float:
    """The shortest usual window, in seconds, between two bounds; where there is none, `most`."""
    return next((seconds for seconds in _SECONDS if least <= seconds <= most), most)


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
        last = [each for each, _ in self._cycles][-2:]
        speeds = [each.within(_END) for each in last]
        if max(speeds) <= _UNLIKE * min(speeds):
            return None
        if _alike([self._most, *(each.within(1.0) for each in last)]):
            return self._most
        return self._by_clock() if len(self._cycles) == _CYCLES else None

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


def _alike(numbers: Sequence[float]) -> bool:
    return min(numbers) >= _FEW and max(numbers) - min(numbers) <= max(1.0, _ALIKE * max(numbers))
