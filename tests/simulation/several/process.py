"""One process on a machine of its own: its clocks, its event loop, its threads, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from tests.simulation.several.fibers import Fiber, World
from tests.simulation.world.clock import Selector
from tests.simulation.world.death import DeathError

__all__ = ["Process"]

_ROUNDS = 30  # in which the tasks of a dead process come to their end


class Process:
    """A process, from its begin to its end.

    `wall` may be hours away from the right time, and jump; `monotonic` and `boottime` begin
    anywhere. `crosses` is called at each boundary, and may have the process die or freeze there.
    """

    def __init__(
        self,
        name: str,
        world: World,
        *,
        apart: float = 0.0,
        begin: float = 0.0,
        crosses: Callable[[Process, str], None] = lambda process, boundary: None,
        delay: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.name = name
        self.dead = False
        self.ended = False
        self.frozen_until = 0.0
        self.crossed: Counter[str] = Counter()
        self.suffered = False  # from whatever a run may fail for
        self.joined = False  # a run: from now on, to its end, it waits for a database that is away
        self.hurries = False  # a run that was told to end: it waits for some seconds only
        self.heard_at = -math.inf  # when it sent the last command that was answered
        self.apart = apart
        self.result: Any = None
        self.error: BaseException | None = None
        self.faults: list[Mapping[str, Any]] = []
        self.connections: list[Any] = []
        self.at_end: Callable[[], None] = lambda: None
        self._world = world
        self._begin = begin
        self._crosses = crosses
        self._delay = delay
        self._loop: _Loop | None = None

    # --- clocks ------------------------------------------------------------------------------

    def wall(self) -> float:
        return self._world.wall() + self.apart

    def monotonic(self) -> float:
        return self._world.now + self._begin

    def boottime(self) -> float:
        return self._world.now + 3 * self._begin

    # --- its life ----------------------------------------------------------------------------

    def begin(self, main: Callable[[], Awaitable[Any]]) -> None:
        """Run an async function in an event loop of its own, until its end."""
        self._world.spawn(self, lambda: self._run(main))

    def do(self, work: Callable[[], Any]) -> None:
        """Call a function, until its end."""

        def call() -> None:
            try:
                self.result = work()
            except BaseException as error:  # noqa: BLE001 - told by whoever began it
                self.error = error
            self._end()

        self._world.spawn(self, call)

    def step(self, boundary: str) -> None:
        """A boundary is crossed; here the process may die or freeze."""
        if self.dead:
            raise DeathError
        self.crossed[boundary] += 1
        self.crossed["any"] += 1
        self._crosses(self, boundary)
        if self.dead:
            raise DeathError

    def die(self) -> None:
        """It is killed, at whatever it does. Whoever calls this goes on."""
        if self.dead:
            return
        self.dead = True
        for connection in self.connections:
            connection.client_ends()
        self._world.kill(self)

    def freeze(self, seconds: float) -> None:
        """Nothing of it goes on for so long. Called by a fiber of it, which waits, or any other."""
        self.frozen_until = max(self.frozen_until, self._world.now + seconds)
        if self._world.current.owner is self:
            self._world.wait(self.frozen_until)

    def call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Have its event loop call a function, if it has one still."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(function, *args)

    async def in_thread(
        self, function: Callable[..., Any], *args: Any, abandons: bool, limiter: Any
    ) -> Any:
        """What a thread of it does, while its loop goes on."""
        async with limiter or contextlib.AsyncExitStack():
            future = asyncio.get_running_loop().create_future()
            delay = self._delay()

            def work() -> None:
                try:
                    self._world.sleep(delay)
                    self.step("thread")
                    found = function(*args)
                except BaseException as error:  # noqa: BLE001 - raised by whoever awaits it
                    if not future.done():
                        future.set_exception(error)
                else:
                    if not future.done():
                        future.set_result(found)

            self._world.spawn(self, work)
            if abandons:
                return await future
            with anyio.CancelScope(shield=True):
                return await future

    def _run(self, main: Callable[[], Awaitable[Any]]) -> None:
        loop = self._loop = _Loop(self, self._world)
        loop.set_exception_handler(lambda _, context: self.faults.append(context))

        async def call() -> Any:
            return await main()

        task = loop.create_task(call())
        try:
            self.result = loop.run_until_complete(task)
        except BaseException as error:  # noqa: BLE001 - told by whoever began it
            self.error = error
        self._clear(loop, task)
        self._end()

    def _clear(self, loop: _Loop, task: asyncio.Task[Any]) -> None:
        """Bring what is left of it to its end, which nobody sees."""
        alive, self.dead = not self.dead, True
        if alive:
            self._world.kill(self)
        for _ in range(3):
            if task.done():
                break
            task.cancel()
            with contextlib.suppress(BaseException):
                loop.run_until_complete(task)
        loop.close()
        for connection in self.connections:
            connection.client_ends()

    def _end(self) -> None:
        self.dead = self.ended = True
        for connection in self.connections:
            connection.client_ends()
        self.at_end()


class _Selector(Selector):
    """Waits for nothing but time."""

    def __init__(self, process: Process, world: World) -> None:
        super().__init__()
        self._process, self._world = process, world
        self._rounds = 0
        self.fiber: Fiber | None = None
        self.skipped = 0.0  # seconds, by a dead process

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        world = self._world
        if self._process.dead:
            self._rounds += 1
            if self._rounds > _ROUNDS:
                raise DeathError
            self.skipped += timeout or 0.0
            world.yield_dead()
        elif timeout is None or timeout > 0:
            self.fiber = world.current
            try:
                world.wait(None if timeout is None else world.now + timeout)
            finally:
                self.fiber = None
        return []


class _Loop(asyncio.SelectorEventLoop):
    """asyncio as it is, on the clock of a process."""

    def __init__(self, process: Process, world: World) -> None:
        self._process, self._world = process, world
        self._waits = _Selector(process, world)
        super().__init__(self._waits)

    def time(self) -> float:
        return self._process.monotonic() + self._waits.skipped

    def call_soon(  # type: ignore[override]
        self, *args: Any, **options: Any
    ) -> asyncio.Handle:
        handle = super().call_soon(*args, **options)
        if self._waits.fiber is not None:
            self._world.wake(self._waits.fiber)
        return handle
