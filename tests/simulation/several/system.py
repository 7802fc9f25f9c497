"""The parts of the operating system and of the driver that the processes of a life are given."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import anyio.from_thread
import anyio.to_thread
import polars as pl
import psycopg
import sniffio

# Whatever binds a clock as a default must do so before another one stands in for it.
from backfill.ledger.postgres.silence import SilenceWatch
from tests.simulation.several.connection import Connection, Server
from tests.simulation.several.fibers import Turn, World
from tests.simulation.several.process import Process
from tests.simulation.world.job import SimulatedJob

__all__ = ["simulated"]


@contextmanager
def simulated(
    world: World, server: Server, job: SimulatedJob, chance: random.Random
) -> Iterator[None]:
    """Time, threads and the database, for whoever runs at the moment."""

    def owner() -> Process | None:
        found = world.current.owner
        return found if isinstance(found, Process) else None

    def clock(of_process: Callable[[Process], float], else_: Callable[[], float]) -> Any:
        def read(*_: Any) -> float:
            process = owner()
            return else_() if process is None else of_process(process)

        return read

    async def run_sync(
        function: Callable[..., Any],
        *args: Any,
        abandon_on_cancel: bool = False,
        limiter: Any = None,
        **_: Any,
    ) -> Any:
        process = owner()
        assert process is not None
        return await process.in_thread(function, *args, abandons=abandon_on_cancel, limiter=limiter)

    def from_thread(function: Callable[..., Any], *args: Any) -> None:
        process = owner()
        assert process is not None
        process.call_soon(function, *args)

    def connect(*_: Any, **__: Any) -> Connection:
        process = owner()
        assert process is not None
        return Connection(server, process)

    def turn() -> Turn:
        return Turn(world)

    def name() -> uuid.UUID:
        return uuid.UUID(int=chance.getrandbits(128))

    wall = clock(Process.wall, world.wall)
    monotonic = clock(Process.monotonic, lambda: world.now)
    boottime = clock(Process.boottime, lambda: world.now)
    with (
        mock.patch.object(time, "time", wall),
        mock.patch.object(time, "monotonic", monotonic),
        mock.patch.object(time, "perf_counter", monotonic),
        mock.patch.object(time, "clock_gettime", boottime),
        mock.patch.object(time, "sleep", world.sleep),
        mock.patch.object(threading, "RLock", turn),
        mock.patch.object(uuid, "uuid4", name),
        mock.patch.object(anyio.to_thread, "run_sync", run_sync),
        mock.patch.object(anyio.from_thread, "run_sync", from_thread),
        mock.patch.object(psycopg, "connect", connect),
        # A database of a life always answers or breaks; the watch is a thread of the real world.
        mock.patch.object(SilenceWatch, "over", return_value=nullcontext()),
        mock.patch.object(sniffio, "current_async_library", return_value="asyncio"),
        mock.patch.object(pl, "scan_parquet", job.scan),
        mock.patch.object(pl, "read_parquet", job.read),
    ):
        yield
