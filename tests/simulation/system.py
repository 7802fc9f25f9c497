"""The parts of the operating system that a life is given instead of the real ones."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import anyio.to_thread

from backfill.jobs import audit
from tests.simulation.clock import Clock
from tests.simulation.disk import Disk

__all__ = ["simulated"]


_count = audit._rows


def _rows(path: Path) -> int | None:
    """How many rows a file has, read once: in these lives nobody changes one."""
    try:
        return _rows_of(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@cache
def _rows_of(path: Path, changed: int) -> int | None:
    del changed
    return _count(path)


@contextmanager
def simulated(clock: Clock, disk: Disk, in_thread: Callable[..., Awaitable[Any]]) -> Iterator[None]:
    """Time, threads, and what SQLite and the mark ask of a disk, for all of this process."""
    with (
        mock.patch.object(time, "time", clock.wall),
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(time, "perf_counter", clock.monotonic),
        mock.patch.object(time, "sleep", clock.sleep),
        mock.patch.object(anyio.to_thread, "run_sync", in_thread),
        mock.patch.object(sqlite3, "connect", disk.connect),
        mock.patch.object(os, "pwrite", disk.pwrite),
        mock.patch.object(os, "fsync", disk.fsync),
        mock.patch.object(audit, "_rows", _rows),
    ):
        yield
