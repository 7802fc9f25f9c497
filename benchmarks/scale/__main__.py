"""What plans and deliveries of any size take, from measured tasks and a simulation, as Markdown.

    python -m benchmarks.scale --events 1_000_000 --contacts 100_000
    python -m benchmarks.scale --measured figures.json

Measures every kind of planning task, a task's cost to Dask, and commits and draws of PostgreSQL,
which takes some five minutes, keeps the figures in a file where one is named, and simulates what
1, 2, 16 and 64 workers and deliverers make of them. `docs/explain/scale.md` holds the tables.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.prepare import generate
from benchmarks.scale.delivering import PostgreSQL, delivered
from benchmarks.scale.planning import Cluster, simulated
from benchmarks.scale.services import Commits, Database, Scheduler, database, scheduler
from benchmarks.scale.tasks import GRIDS, WAYS, Cost, Planned, Seen, measured, plans

_WORKERS = (1, 2, 16, 64)
_ROWS = (10_000_000, 100_000_000, 1_000_000_000)
_REPLY = 0.05  # seconds
_AT_ONCE = 64
_OWN = 10_000  # requests a second of one process, as `benchmarks.deliver` found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--measured", type=Path, help="figures to take, or to keep if not there")
    given = parser.parse_args()
    if given.measured is not None and given.measured.exists():
        figures = json.loads(given.measured.read_text())
    else:
        figures = _figures(given.events, given.contacts)
        if given.measured is not None:
            given.measured.write_text(json.dumps(figures))
    found = [
        Planned(**{**each, "tasks": [Seen(**task) for task in each["tasks"]]})
        for each in figures["plans"]
    ]
    costs = {way: measured(found, way) for way in WAYS}
    dask = Scheduler(**figures["scheduler"])
    base = Database(**figures["database"])
    commits = [Commits(**each) for each in figures["database"]["commits"]]
    _tasks(costs)
    _services(dask, base, commits)
    _validated(costs["one pass"], dask, figures["whole"])
    for way in WAYS:
        _planning(way, costs[way], dask)
    _delivering(_postgres(commits, base))


def _figures(events: int, contacts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        half, directory = Path(temporary) / "half", Path(temporary) / "all"
        for each, share in ((half, 2), (directory, 1)):
            each.mkdir()
            generate(each, events // share, contacts // share)
        whole = {name: _whole(directory, name) for name in ("one process", "local:2")}
        # Of two sizes, or what a plan costs once could not be told from what its rows cost.
        tasks = [asdict(each) for each in plans(half, events // 2)]
        tasks += [asdict(each) for each in plans(directory, events, GRIDS[:1])]
    return {
        "plans": tasks,
        "whole": {**whole, "events": events},
        "scheduler": asdict(scheduler()),
        "database": asdict(database()),
    }


def _whole(directory: Path, name: str) -> dict[str, float]:
    """A whole plan, as `benchmarks.cluster` measures it."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--measure", name]
    done = subprocess.run(
        [*command, "--directory", str(directory)], check=True, stdout=subprocess.PIPE, text=True
    )
    shutil.rmtree(directory / "job")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _tasks(costs: Mapping[str, Mapping[str, Cost]]) -> None:
    print("| plan | task | CPU of one | a million rows | a file | read, a row | written |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for way, kinds in costs.items():
        for kind, each in kinds.items():
            times = f"{each.task * 1e3:.0f} ms | {each.row * 1e6:.2f} s | {each.file * 1e3:.2f} ms"
            print(f"| {way} | `{kind}` | {times} | {each.read:.0f} B | {each.written:.0f} B |")
    print()


def _services(dask: Scheduler, base: Database, commits: list[Commits]) -> None:
    print("| what | connections | a second | of one, by the clock | CPU of it |")
    print("|---|---:|---:|---:|---:|")
    cost = f"{dask.wall * 1e3:.1f} ms | {dask.cpu * 1e3:.2f} ms"
    print(f"| a task that does nothing, Dask | 2 | {1 / dask.wall:,.0f} | {cost} |")
    for each in commits:
        name = f"a commit of {each.intents}"
        cost = f"{each.latency * 1e3:.1f} ms | {each.cpu * 1e3:.2f} ms"
        print(f"| {name} | {each.connections} | {each.per_second:,.0f} | {cost} |")
    rate, cpu = base.draws_per_second, base.draw_cpu
    print(f"| a draw | 4 | {rate:,.0f} | {4e3 / rate:.1f} ms | {cpu * 1e3:.2f} ms |\n")


def _validated(costs: Mapping[str, Cost], dask: Scheduler, whole: Mapping[str, Any]) -> None:
    print("| plan | | model | measured | deviation |")
    print("|---|---|---:|---:|---:|")
    for workers, name in ((1, "one process"), (2, "local:2")):
        was = whole[name]
        cluster = Cluster(workers, task=dask.cpu if workers > 1 else 0.0)
        found = simulated(costs, whole["events"], cluster)
        cpu = found.busy + found.alone + (found.scheduling if workers > 1 else 0.0)
        # One process has both cores for its tasks, as two workers have.
        both = simulated(costs, whole["events"], Cluster(2, task=cluster.task))
        for what, model, real in (("CPU", cpu, was["cpu"]), ("wall", both.wall, was["wall"])):
            deviation = f"{model / real - 1:+.0%}"
            print(f"| {name} | {what} | {model:.1f} s | {real:.1f} s | {deviation} |")
    print()


def _planning(way: str, costs: Mapping[str, Cost], dask: Scheduler) -> None:
    print(f"Planning in {way}:\n")
    print(
        "| events | workers | wall | gain | tasks | files on the way | rows of one | scheduler"
        " messages/s | storage | what limits it |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    for rows in _ROWS:
        alone = None
        for workers in _WORKERS:
            each = simulated(costs, rows, Cluster(workers, task=dask.cpu))
            alone = alone or each.wall
            sizes = f"{rows / each.parts / each.ranges:,.0f}"
            print(
                f"| {rows:,} | {workers} | {_time(each.wall)} | {alone / each.wall:.1f} |"
                f" {each.tasks:,} | {each.files:,} | {sizes} | {each.messages:,.0f} |"
                f" {each.moved / each.wall / 1e6:,.0f} MB/s | {each.limit} |"
            )
    most = simulated(costs, _ROWS[-1], Cluster(_WORKERS[-1], task=dask.cpu))
    stages = ", ".join(f"`{kind}` {_time(took)}" for kind, took in most.stages.items())
    print(f"\nThe stages of the last line: {stages}. {most.passed_on / 1e9:.1f} GB go through the")
    print(
        f"scheduler, and {most.parts:,} buckets of {most.rows // most.parts:,} events come out.\n"
    )


def _postgres(commits: list[Commits], base: Database) -> PostgreSQL:
    """One connection at a time tells best what a commit and an intent cost."""
    alone = {each.intents: each.cpu for each in commits if each.connections == 1}
    (few, cheap), (many, dear) = sorted(alone.items())
    intent = (dear - cheap) / (many - few)
    return PostgreSQL(cheap - intent * few, intent, base.draw_cpu)


def _delivering(base: PostgreSQL) -> None:
    print(
        "| deliverers | requests/s | commits/s | intents of one | budget updates/s | database's"
        " processors | the budget's row | what limits it | 10 million | 100 million | 1 billion |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|")
    for count in _WORKERS:
        each = delivered(count, base, reply=_REPLY, at_once=_AT_ONCE, own=_OWN)
        times = " | ".join(_time(rows / each.requests) for rows in _ROWS)
        print(
            f"| {count} | {each.requests:,.0f} | {each.commits:,.0f} | {each.batch:.1f} |"
            f" {each.draws:.0f} | {each.busy:.0%} | {each.row:.0%} | {each.limit} | {times} |"
        )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


if __name__ == "__main__":
    main()
