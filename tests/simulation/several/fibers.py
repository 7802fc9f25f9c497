"""Threads in virtual time, of which one runs at a time: the next one goes on where this one waits.

Real threads carry them, so that a process may wait anywhere: in its event loop, in a thread of its
own, in the middle of a call to the database. Who runs next is decided by the agenda alone.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.promises import Finding
from tests.simulation.world.clock import EPOCH
from tests.simulation.world.death import DeathError

__all__ = ["Fiber", "Owner", "Turn", "World"]

_MOST_AT_ONCE = 100_000  # things that happen at one moment, after which time will not pass any more
_MOST_TO_END = 10_000  # steps
_BEGIN = 1000.0  # seconds


class Owner(Protocol):
    """The process that a fiber belongs to."""

    dead: bool
    frozen_until: float


class _Outside:
    """Who is no process: the life itself."""

    dead = False
    frozen_until = 0.0


class Fiber:
    """One thread of a process, reused for another one after its end."""

    def __init__(self, owner: Owner) -> None:
        self.owner: Owner = owner
        self.waiting = False
        self.turn = 0  # of its waits
        self.work: Callable[[], None] | None = None
        self.baton = threading.Lock()
        self.baton.acquire()


class World:
    """Seconds that pass only while everybody waits, and who goes on when.

    `now` never goes back. What is put into the agenda must not wait. `wall` is the time by the
    server's clock, which is right.
    """

    def __init__(self) -> None:
        self.now = _BEGIN
        self.main = Fiber(_Outside())
        self.current = self.main
        self.error: BaseException | None = None
        self._agenda: list[tuple[float, int, Callable[[], None] | None, Fiber, int]] = []
        self._number = 0
        self._at_once = 0
        self._idle: list[Fiber] = []
        self._alive: set[Fiber] = set()
        self._ends = False

    @property
    def elapsed(self) -> float:
        """Seconds since the life began."""
        return self.now - _BEGIN

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.now - _BEGIN + EPOCH

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen so many seconds from now."""
        self._put(self.now + max(0.0, seconds), action, self.main, 0)

    def spawn(self, owner: Owner, work: Callable[[], None]) -> Fiber:
        """Have a fiber of a process do something, from now on."""
        if self._idle:
            fiber = self._idle.pop()
        else:
            fiber = Fiber(owner)
            threading.Thread(target=self._live, args=(fiber,), daemon=True).start()
        fiber.owner, fiber.work = owner, work
        fiber.turn += 1
        fiber.waiting = True
        self._alive.add(fiber)
        self._put(self.now, None, fiber, fiber.turn)
        return fiber

    def wait(self, until: float | None = None) -> None:
        """Wait until a moment, or until woken. Raises DeathError where the process dies."""
        fiber = self.current
        if fiber.owner.dead:
            raise DeathError
        self._let_others(fiber, until)
        if fiber.owner.dead:
            raise DeathError

    def sleep(self, seconds: float) -> None:
        """Wait so long, whoever wakes it."""
        until = self.now + seconds
        self.wait(until)
        while self.now < until:
            self.wait(until)

    def yield_dead(self) -> None:
        """Let the other fibers of a dead process come to their end."""
        self._let_others(self.current, self.now)

    def wake(self, fiber: Fiber) -> None:
        """Have one that waits go on now."""
        if fiber.waiting:
            self._put(self.now, None, fiber, fiber.turn)

    def kill(self, owner: Owner) -> None:
        """Have every fiber of a dead process come to its end. The current one goes on."""
        for fiber in sorted(self._alive, key=lambda each: each.turn):
            if fiber.owner is owner and fiber is not self.current:
                self.wake(fiber)

    def close(self) -> None:
        """End all fibers, wherever they are."""
        self._agenda.clear()
        for fiber in list(self._alive):
            fiber.owner.dead = True
            self._put(self.now, None, fiber, fiber.turn)
        for _ in range(_MOST_TO_END):
            if not self._alive:
                break
            self.error = None
            with contextlib.suppress(BaseException):
                self._let_others(self.main, self.now)
        self._ends = True
        for fiber in self._idle:
            fiber.baton.release()

    # --- the baton ---------------------------------------------------------------------------

    def _put(self, at: float, action: Callable[[], None] | None, fiber: Fiber, turn: int) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, action, fiber, turn))

    def _let_others(self, fiber: Fiber, until: float | None) -> None:
        fiber.turn += 1
        fiber.waiting = True
        if until is not None:
            self._put(max(until, self.now), None, fiber, fiber.turn)
        self._pass_on(fiber)
        fiber.waiting = False
        if fiber is self.main and self.error is not None:
            raise self.error

    def _pass_on(self, fiber: Fiber) -> None:
        upcoming = self._next()
        if upcoming is not fiber:
            self.current = upcoming
            upcoming.baton.release()
            fiber.baton.acquire()
        self.current = fiber

    def _next(self) -> Fiber:
        """Do what is due, until a fiber is to go on."""
        if self.error is not None:
            return self.main
        while self._agenda:
            at, _, action, fiber, turn = heapq.heappop(self._agenda)
            if action is None:
                if not fiber.waiting or fiber.turn != turn:
                    continue
                if at < fiber.owner.frozen_until and not fiber.owner.dead:
                    self._put(fiber.owner.frozen_until, None, fiber, turn)
                    continue
            if at > self.now:
                self.now, self._at_once = at, 0
            self._at_once += 1
            if self._at_once > _MOST_AT_ONCE:
                self.error = Finding("time does not pass", f"{_MOST_AT_ONCE:,} steps at a moment")
                return self.main
            if action is None:
                return fiber
            self.current = self.main
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - told by the life itself
                self.error = error
                return self.main
        self.error = RuntimeError("everybody waits, and nobody will wake them")
        return self.main

    def _live(self, fiber: Fiber) -> None:
        while True:
            fiber.baton.acquire()
            if self._ends:
                return
            fiber.waiting = False
            self.current = fiber
            try:
                if not fiber.owner.dead and fiber.work is not None:
                    fiber.work()
            except DeathError:
                pass
            except BaseException as error:  # noqa: BLE001 - told by the life itself
                self.error = self.error or error
            self._alive.discard(fiber)
            fiber.work = None
            upcoming = self._next()
            self._idle.append(fiber)
            self.current = upcoming
            upcoming.baton.release()


class Turn:
    """What `threading.RLock` gives, for fibers: who came first goes first."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._owner: Fiber | None = None
        self._count = 0
        self._waiting: deque[Fiber] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        fiber = self._world.current
        while self._owner is not None and self._owner is not fiber:
            if not blocking or timeout >= 0:
                return False
            self._waiting.append(fiber)
            try:
                self._world.wait()
            finally:
                if fiber in self._waiting:
                    self._waiting.remove(fiber)
        self._owner = fiber
        self._count += 1
        return True

    def release(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._owner = None
            if self._waiting:
                self._world.wake(self._waiting[0])

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *ended: Any) -> None:
        self.release()
