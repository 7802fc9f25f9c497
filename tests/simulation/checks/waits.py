"""The waits that the server asked for, as far as a process can know of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

__all__ = ["Waits"]

_ROUNDING = 1e-6  # seconds


@dataclass
class _Wait:
    """A wait asked for in the reply to some records, in seconds of both clocks.

    `end` is when it ends, `known_until` that as the process at hand knows it, and `until` as the
    next one may.
    """

    until: float
    known_until: float
    until_wall: float
    asked_wall: float
    numbers: list[int]
    end: float
    durable: bool = False

    def covers(self, earlier: _Wait) -> bool:
        """Whether it says as much as one that was asked for before, such as the same date."""
        return self.end > earlier.end - _ROUNDING


class Waits:
    """All waits of a life.

    A process that goes on holds them by a clock that does not jump. The next one has no more than
    the moments that were written down, and a wall clock that may have been set meanwhile.
    """

    def __init__(self, marks: Counter[str]) -> None:
        self._marks = marks
        self._all: list[_Wait] = []
        self._end = -math.inf  # of the last one, as the process at hand knows it
        self._held = False  # by a run that goes on
        self._read = False

    def hear(self, now: float, wall: float, seconds: float, numbers: list[int]) -> None:
        """The client has heard that it is to wait."""
        until = now + seconds
        self._marks["a later wait ended earlier by the wall clock"] += any(
            each.until < until and each.until_wall > wall + seconds for each in self._all
        )
        self._all.append(_Wait(until, until, wall + seconds, wall, numbers, until))
        self._end = max(self._end, until)

    def read(self, now: float, wall: float) -> None:
        """A process reads when the waits before it end.

        Set ahead, the wall clock says that they are over. Set back, it says no more than that they
        may have just begun, and that is written down instead.
        """
        if self._held:
            return
        for each in self._all:
            back = max(0.0, each.asked_wall - wall)
            each.until_wall -= back
            each.asked_wall -= back
            known_until = min(each.until, now + each.until_wall - wall)
            self._marks["a wait was over at a second reading"] += (
                self._read and each.known_until > now >= known_until
            )
            each.known_until = known_until
            self._marks["opened within a quiet period"] += not self._read and each.until > now
        self._read = True
        self._find_end()

    def hold(self) -> None:
        """A run goes on by what it has read, and by nothing that is read later."""
        if not self._held:
            self._held = True
            for each in self._all:
                each.until = each.known_until

    def left(self, now: float) -> float:
        """Seconds until the last wait ends, as the process at hand knows it."""
        return self._end - now if self._all else 0.0

    def write(self, number: int) -> None:
        """What became of a record is written down, and with it the wait that came with it."""
        for each in self._all:
            if not each.durable:
                each.durable = number in each.numbers

    def tear(self, flying: set[int]) -> None:
        """What was written down with these records may be gone."""
        for each in self._all:
            each.durable &= not flying.intersection(each.numbers)

    def process_ends(self, flying: set[int]) -> None:
        """A process is gone, and with it what it alone knew."""
        self._all = [
            each for each in self._all if each.durable or not flying.intersection(each.numbers)
        ]
        self._held = self._read = False
        for each in self._all:
            each.known_until = each.until
        self._find_end()

    def _find_end(self) -> None:
        """A process knows of the waits that no later one covers."""
        self._end, later = -math.inf, list[_Wait]()
        for each in reversed(self._all):
            if not any(other.covers(each) for other in later):
                self._end = max(self._end, each.known_until)
                later.append(each)
