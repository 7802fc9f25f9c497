"""The world around a job: a faulty server, and the road to it, which can be cut and blocked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from backfill.sandbox import Arrival, Sandbox

__all__ = ["AMBIGUOUS", "REFUSING", "Road", "World", "running_world"]

AMBIGUOUS = frozenset(
    {
        "cut-before",
        "cut-after",
        "half-reply",
        "wrong-length",
        "html",
        "html-after",
        "hang",
        "hang-after",
        "500",
        "500-after",
        "502-after",
        "504",
    }
)
"""Faults after which nobody but the server knows what became of the records."""

DISTRUSTED = frozenset({"html-after", "wrong-length"})
"""Successes in words that cannot be trusted: unknown under any guarantee."""

REFUSING = frozenset({"bad-item", "not-ok"})
"""Faults that refuse records for good."""

_HARMLESS = ("429:0.2", "503:0.2", "408", "slow:0.3")
_RARE = frozenset({"hang", "hang-after"})  # each costs a lane the whole timeout


class Road:
    """The way to the server: a port that passes bytes on, refuses, or swallows them."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self) -> None:
        """Take connections, always at the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._converse, "127.0.0.1", self.port, backlog=512
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections, and tear down those that stand."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def block(self) -> None:
        """Let bytes vanish for a while: nothing is refused and nothing arrives."""
        self._flowing.clear()

    async def unblock(self) -> None:
        self._flowing.set()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._to)
            ways = {
                asyncio.ensure_future(self._pass_on(reader, there)),
                asyncio.ensure_future(self._pass_on(back, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # a cut road is what it is for
        finally:
            self._passing.discard(task)
            for each in (writer, there):
                if each is not None:
                    # What was passed on already, such as half a reply, still goes out.
                    each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


class World:
    """A server and the road to it. What it saw is the truth that books are compared with."""

    def __init__(self, chance: random.Random, destination: str, portal: BlockingPortal) -> None:
        self.arrivals: list[tuple[float, bytes]] = []  # seconds since the epoch, body
        self.calm = False
        self._chance = chance
        self._portal = portal
        self._lock = threading.Lock()
        # Feedbacks and events share their replies; only Pristo says no in a success.
        refusals = ["bad-item", *["not-ok"] * (destination == "pristo-events")]
        self._kinds = [*sorted(AMBIGUOUS - _RARE), *refusals]
        # A batch makes few requests of many records, so more of them must go wrong.
        few = destination != "pristo-events"
        self._share = chance.choice((0.0, 0.1, 0.2) if few else (0.0, 0.03, 0.08))
        rate_limit = chance.choice((None, None, None, 120.0))
        self.sandbox = Sandbox(
            faults=self._fault,
            latency=chance.choice((0.0, 0.01, 0.05)),
            idle=chance.choice((1.6, 5.0, 75.0)),
            rate_limit=rate_limit,
            seed=chance.getrandbits(30),
        )
        self.road: Road

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.road.port}"

    def open(self) -> None:
        self._portal.call(self.road.open)

    def close(self) -> None:
        self._portal.call(self.road.close)

    def block(self) -> None:
        self._portal.call(self.road.block)

    def unblock(self) -> None:
        self._portal.call(self.road.unblock)

    def spoilt(self) -> Counter[str]:
        """The requests that met each kind of fault."""
        return Counter(each.fault for each in list(self.sandbox.injected))

    def _fault(self, arrival: Arrival) -> str | None:
        with self._lock:
            self.arrivals.append((time.time(), arrival.body))
            draw = self._chance.random()
            if self.calm or draw >= 1.4 * self._share:
                return None
            if draw < 0.02 * self._share:
                return self._chance.choice(sorted(_RARE))
            if draw < self._share:
                return self._chance.choice(self._kinds)
            return self._chance.choice(_HARMLESS)


@contextmanager
def running_world(chance: random.Random, destination: str) -> Iterator[World]:
    """A world in a thread of its own."""
    with start_blocking_portal() as portal:
        world = World(chance, destination, portal)
        with portal.wrap_async_context_manager(world.sandbox):
            world.road = portal.call(_road, int(world.sandbox.url.rpartition(":")[2]))
            world.open()
            try:
                yield world
            finally:
                world.unblock()
                world.close()


async def _road(port: int) -> Road:
    return Road(port)
