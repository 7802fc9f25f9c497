"""The parts of the operating system that a life is given instead of the real ones."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import anyio.to_thread
import polars as pl
import sniffio

from tests.simulation.world.clock import Clock
from tests.simulation.world.disk import Disk
from tests.simulation.world.job import SimulatedJob

__all__ = ["simulated"]


@contextmanager
def simulated(
    clock: Clock, disk: Disk, job: SimulatedJob, in_thread: Callable[..., Awaitable[Any]]
) -> Iterator[None]:
    """Time, threads, and what SQLite, Polars and the mark ask of a disk, for this process."""
    with (
        mock.patch.object(time, "time", clock.wall),
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(time, "perf_counter", clock.monotonic),
        mock.patch.object(time, "sleep", clock.sleep),
        mock.patch.object(anyio.to_thread, "run_sync", in_thread),
        mock.patch.object(sqlite3, "connect", disk.connect),
        mock.patch.object(os, "pwrite", disk.pwrite),
        mock.patch.object(os, "fsync", disk.fsync),
        mock.patch.object(sniffio.thread_local, "name", "asyncio"),  # asked for at each step
        mock.patch.object(pl, "scan_parquet", job.scan),
        mock.patch.object(pl, "read_parquet", job.read),
    ):
        yield
