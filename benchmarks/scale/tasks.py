"""What each kind of planning task costs: measured on real plans, then fitted.

A plan is made by one process in which Polars has one thread, so a task's CPU seconds are what a
worker of one thread needs for it. Each plan is made with few and with many parts and ranges: what
a task costs by the row and what it costs by the file is told apart by that.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from backfill.prepare.engines.engine import Threads

__all__ = ["GRIDS", "WAYS", "Cost", "Planned", "measured", "plans"]

GRIDS = ((3, 0), (3, 60), (8, 24))
"""Ranges and parts of the plans that are measured; 0 parts are as many as the planner takes."""

WAYS = ("one pass", "two passes")

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Seen:
    """One task that ran: rows that it read, files that it opened or made, bytes in and out."""

    kind: str
    rows: int
    files: int
    read: int
    written: int
    sent: int  # bytes through the scheduler, to the worker and back
    cpu: float  # seconds


@dataclass(frozen=True)
class Planned:
    """One whole plan: its tasks, and what the process that asked for it did by itself."""

    way: str
    ranges: int
    parts: int
    rows: int
    tasks: list[Seen]
    cpu: float  # seconds of everything
    wall: float


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a task: so much for being a task, for each row, and for each file."""

    task: float
    row: float
    file: float
    read: float  # bytes of each row
    written: float
    sent: float  # bytes of each file's name and of each task

    def seconds(self, rows: float, files: float) -> float:
        return self.task + self.row * rows + self.file * files


class Measuring(Threads):
    """Runs one task after another and keeps what each cost."""

    def __init__(self, ranges: int, rows: int) -> None:
        super().__init__(1)
        self.ranges = ranges
        self._rows = rows
        self.tasks: list[Seen] = []

    def run(
        self,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        waiting: Callable[[str | None], None],
    ) -> Iterator[tuple[int, ResultT]]:
        del waiting
        for index, item in enumerate(items):
            known = _files(item)
            read = sum(map(os.path.getsize, known))
            before = time.process_time()
            result = task(item)
            cpu = time.process_time() - before
            made = _files(result)
            written = sum(map(os.path.getsize, made))
            sent = len(pickle.dumps((task, item))) + len(pickle.dumps(result))
            files = len(set(known) | set(made))
            # Whatever counts no rows has its share of them all.
            rows: int = getattr(result, "rows", self._rows // len(items))
            self.tasks.append(Seen(_name(task), rows, files, read, written, sent, cpu))
            yield index, result


def _name(task: Any) -> str:
    """The name of the function that a task is, whatever it is given."""
    name: str = getattr(task, "func", task).__name__
    return name


def _files(value: Any) -> list[str]:
    """The files that an item or a result names, in whatever depth."""
    if isinstance(value, str):
        return [value] if value.startswith("/") and value.endswith(".parquet") else []
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [name for each in value for name in _files(each)]
    own = ("files", "events", "contacts")
    return [name for at in own for name in _files(getattr(value, at, ()))]


def measure(directory: Path, way: str, ranges: int, parts: int, rows: int) -> Planned:
    """Make one plan in this process."""
    from backfill.config import config_from_mapping  # noqa: PLC0415
    from backfill.destinations import destination  # noqa: PLC0415
    from backfill.jobs.sealing import seals  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415
    from benchmarks.prepare import CONFIG, NOW  # noqa: PLC0415

    shape: dict[str, Any] = CONFIG
    if way == "two passes":  # the phone orders the records, and only the contacts have it
        shape = {
            "destination": "watch-events",
            "fields": {
                "target.value": "contacts.phone",
                "label": "event",
                "confidence": {"value": "high"},
            },
        }
    config = config_from_mapping(
        {
            **shape,
            "events": {"files": "events.parquet", "contact_key": "user_id", "time": "at"},
            "contacts": {"files": "contacts.parquet", "key": "id"},
        },
        directory=directory,
    )
    into = directory / "job"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    engine = Measuring(ranges, rows)
    wall, before = time.perf_counter(), time.process_time()
    prepare(
        config,
        destination(config.destination),
        into,
        now=NOW,
        parts=parts or None,
        engine=engine,
    )
    seals(into, engine)
    cpu, wall = time.process_time() - before, time.perf_counter() - wall
    shutil.rmtree(into)
    return Planned(way, ranges, parts, rows, engine.tasks, cpu, wall)


def plans(directory: Path, rows: int, grid: Sequence[tuple[int, int]] = GRIDS) -> list[Planned]:
    """A plan for all ranges and parts of a grid, each in a process of its own."""
    found = []
    for way in WAYS:
        for ranges, parts in grid:
            given = [str(directory), way, str(ranges), str(parts), str(rows)]
            done = subprocess.run(
                [sys.executable, "-m", __name__, *given],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "POLARS_MAX_THREADS": "1"},
            )
            read = json.loads(done.stdout)
            found.append(Planned(**{**read, "tasks": [Seen(**each) for each in read["tasks"]]}))
            print(f"{way}, {ranges} ranges, {parts} parts: {read['cpu']:.1f} s", file=sys.stderr)
    return found


def measured(found: Sequence[Planned], way: str) -> dict[str, Cost]:
    """The cost of each kind of task, and of the process that asks, under "client"."""
    own = [each for each in found if each.way == way]
    costs = {}
    tasks = [task for each in own for task in each.tasks]
    for kind in sorted({task.kind for task in tasks}):
        alike = [task for task in tasks if task.kind == kind]
        row = sum(task.rows for task in alike)
        task_, row_, file_ = _fit([(1, task.rows, task.files, task.cpu) for task in alike])
        costs[kind] = Cost(
            task_,
            row_,
            file_,
            sum(task.read for task in alike) / row,
            sum(task.written for task in alike) / row,
            sum(task.sent for task in alike) / sum(task.files + 1 for task in alike),
        )
    asking = [
        (
            1,
            each.rows,
            sum(task.files for task in each.tasks),
            each.cpu - sum(task.cpu for task in each.tasks),
        )
        for each in own
    ]
    task_, row_, file_ = _fit(asking)
    costs["client"] = Cost(task_, row_, file_, 0.0, 0.0, 0.0)
    return costs


def _fit(rows: Sequence[tuple[float, float, float, float]]) -> tuple[float, float, float]:
    """Least squares of relative errors, with no cost below zero."""
    table = np.array(rows, dtype=float)
    weight = 1 / np.maximum(table[:, 3], 1e-3)
    left, right = table[:, :3] * weight[:, None], table[:, 3] * weight
    kept = [0, 1, 2]
    while True:
        scale = np.abs(left[:, kept]).max(axis=0)
        solved = np.linalg.lstsq(left[:, kept] / scale, right, rcond=None)[0] / scale
        if (solved >= 0).all():
            break
        kept.pop(int(np.argmin(solved * scale)))
    costs = [0.0, 0.0, 0.0]
    for at, value in zip(kept, solved, strict=True):
        costs[at] = float(value)
    return costs[0], costs[1], costs[2]


if __name__ == "__main__":
    directory_, way_, *numbers = sys.argv[1:]
    print(json.dumps(asdict(measure(Path(directory_), way_, *map(int, numbers)))))
