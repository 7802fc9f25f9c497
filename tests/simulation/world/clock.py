"""Virtual time: a clock with an agenda, and an event loop that goes by it."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Mapping
from typing import Any

from tests.promises import Finding

__all__ = ["EPOCH", "Clock", "Selector", "VirtualLoop"]

EPOCH = 1_700_000_000.0
"""Seconds since the epoch when a life begins."""

_MOST_ROUNDS = 100_000  # of the loop at one moment, after which time will not pass any more


class Clock:
    """Seconds that pass only when everybody waits. `now` never goes back; `wall` may jump.

    What the world does at a moment of its own (a request arrives, an outage ends) stands in the
    agenda and goes on whether a program runs or not.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = EPOCH - self.now
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.now + self.offset

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.advance(self.now + seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen so many seconds from now."""
        self._number += 1
        heapq.heappush(self._agenda, (self.now + max(0.0, seconds), self._number, action))

    @property
    def next(self) -> float | None:
        """When the world does something next."""
        return self._agenda[0][0] if self._agenda else None

    def advance(self, to: float) -> None:
        """Let time pass, and what stands in the agenda happen on the way."""
        while self._agenda and self._agenda[0][0] <= to:
            at, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action()
        self.now = max(self.now, to)


class Selector(selectors.BaseSelector):
    """Knows the files that a loop registers, and waits for none of them."""

    def __init__(self) -> None:
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return self._keys.pop(number)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {key.fileobj: key for key in self._keys.values()} | self._keys


class _TimeSelector(Selector):
    """Waits for nothing but time. `idle` is called before each wait."""

    def __init__(self, clock: Clock, idle: Callable[[], None]) -> None:
        super().__init__()
        self._clock = clock
        self._idle = idle
        self._moment = clock.now
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        clock = self._clock
        if timeout is not None and timeout <= 0:
            clock.advance(clock.now)
            self._rounds = self._rounds + 1 if clock.now == self._moment else 0
            self._moment = clock.now
            if self._rounds > _MOST_ROUNDS:
                self._rounds = 0
                raise Finding("time does not pass", f"{_MOST_ROUNDS:,} rounds of the loop")
            return []
        self._idle()
        upcoming = clock.next
        if timeout is None and upcoming is None:
            raise RuntimeError("everybody waits, and nobody will wake them")
        ends = [] if timeout is None else [clock.now + timeout]
        clock.advance(min(ends if upcoming is None else [*ends, upcoming]))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio as it is, on virtual time."""

    def __init__(self, clock: Clock, idle: Callable[[], None]) -> None:
        self._virtual = clock
        super().__init__(_TimeSelector(clock, idle))

    def time(self) -> float:
        return self._virtual.now
