"""The permission to send one request, and a line of those who wait, served as they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.lowlevel

__all__ = ["Grant", "Turns"]

_Permission = TypeVar("_Permission")


class Grant:
    """The permission to send one request, as long as no quiet period begins before it is used.

    It was given `at` a moment, when `rate` requests a second went. Where it has not `left`, the
    request still has to wait for its departure; then `at` and `rate` are of that, `number` is how
    many had left with this one, of which so many were `out`, and `gap` the seconds since the one
    before. `holds` says whether what was granted in a `generation` holds still.
    """

    __slots__ = ("_holds", "at", "gap", "generation", "given_back", "left", "number", "out", "rate")

    def __init__(
        self, holds: Callable[[int], bool], generation: int, *, at: float, rate: float, left: bool
    ) -> None:
        self._holds = holds
        self.generation = generation
        self.at = at
        self.rate = rate
        self.gap = 0.0
        self.number = self.out = 0
        self.left = left
        self.given_back = False

    def still_valid(self) -> bool:
        """Whether the request may go out now. Ask after the intent is written down."""
        return self._holds(self.generation)

    def leave(self, at: float, *, rate: float, number: int, out: int, gap: float) -> None:
        """The request goes out."""
        self.left = True
        self.at, self.rate, self.number, self.out, self.gap = at, rate, number, out, gap


class Turns:
    """A queue of which only the first one looks whether there is something for it.

    In the last `early` seconds of a wait it looks in each round of the event loop, which takes CPU
    and is more exact than a timer.
    """

    def __init__(self, *, early: Callable[[], float] = lambda: 0.0) -> None:
        self._early = early
        self.over = False
        self._queue: deque[anyio.Event] = deque()
        self._alarm: anyio.Event | None = None  # set to let the first one look again

    async def take(
        self, look: Callable[[], _Permission | None], until_next: Callable[[], float]
    ) -> _Permission | None:
        """Wait until it is one's turn and `look` finds something. None once all is over.

        `until_next` says how many seconds it takes until there may be something.
        """
        if not self._queue:
            found = look()
            if found is not None or self.over:
                return found
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            if self._queue[0] is not turn:
                await turn.wait()
            while not self.over:
                found = look()
                if found is not None:
                    return found
                await self._sleep(until_next())
            return None
        finally:
            self._leave(turn)

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._queue)

    def look_again(self) -> None:
        """Something has changed: there may be something for the first one."""
        if self._alarm is not None:
            self._alarm.set()

    def end(self) -> None:
        """End every wait."""
        self.over = True
        for turn in self._queue:
            turn.set()
        self.look_again()

    async def _sleep(self, seconds: float) -> None:
        early = self._early()
        if seconds <= early:
            before = anyio.current_time()
            await anyio.lowlevel.checkpoint()
            if anyio.current_time() > before:
                return
            early = 0.0  # a clock that stands still until all sleep
        self._alarm = anyio.Event()
        try:
            # A wait of 0 can be left over from rounding; a moment later it is there.
            with anyio.move_on_after(max(seconds - early, 1e-6)):
                await self._alarm.wait()
        finally:
            self._alarm = None

    def _leave(self, turn: anyio.Event) -> None:
        """Go out of the queue, and let the next one come to the front of it."""
        if self._queue[0] is turn:
            self._queue.popleft()
            if self._queue:
                self._queue[0].set()
        else:
            self._queue.remove(turn)
