"""A crash campaign in small: real processes, killed while they send, and one that ends the job."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfill.config import config_from_mapping
from backfill.core.model import Books, State
from backfill.destination import Destination, Secret
from backfill.jobs.opening import plan_job
from backfill.sandbox import Sandbox, endpoints_for, running_sandbox
from backfill.testing.samples import row_of, telling_field

__all__ = ["Campaign", "crash_campaign"]

_POPULATION = "00000000-0000-4000-8000-000000000000"
_CONCURRENCY = 4
_REQUESTS = 40  # in all, so that several are in flight at any moment
_LATENCY = 0.1  # seconds: each run is killed long before it could end the job
_PATIENCE = 60.0  # seconds that a process has to send something


@dataclass(frozen=True)
class Campaign:
    """What was found after the last run.

    `states` is the state of each record by a value that only it has, `arrived` how often the
    server stored each; `unknown_allowed` is what may have been in flight when a process died.
    """

    books: Books
    states: Mapping[str, State]
    arrived: Mapping[str, int]
    seen: Mapping[str, Any]
    unknown_allowed: int

    def problems(self) -> list[str]:
        """What is not as it must be, in words; empty where all is well."""
        found = []
        if not self.books.balanced or self.books.pending or self.books.input != len(self.states):
            found.append(f"the books: {self.books}")
        if self.books.rejected or self.books.failed or self.books.duplicate:
            found.append(f"valid records did not go: {self.books}, {self.seen}")
        if self.books.unknown > self.unknown_allowed:
            found.append(f"{self.books.unknown} records are unknown")
        twice = [value for value, times in self.arrived.items() if times > 1]
        if twice:
            found.append(f"{len(twice)} records arrived more than once, such as {twice[0]}")
        for value, state in self.states.items():
            if state is State.DELIVERED and value not in self.arrived:
                found.append(f"{value} counts as delivered and never arrived")
            if state is not State.DELIVERED and value in self.arrived and state != State.UNKNOWN:
                found.append(f"{value} arrived and counts as {state}")
        found += [
            f"{self.seen[each]} {each}" for each in ("overlaps", "disorder") if self.seen[each]
        ]
        return found


def crash_campaign(destination: Destination, directory: Path, *, kills: int = 2) -> Campaign:
    """Plan invented records, kill `kills` runs to a sandbox while they send, and end the job.

    The processes find the destination by its entry point, with this one's `sys.path`. Everything
    lies in `directory`.
    """
    rows = _REQUESTS * destination.batch_size
    told = telling_field(destination)
    keys = None if told == destination.ordering_field else max(2, rows // 5)
    source = directory / "records.csv"
    names = _write_source(destination, source, rows, keys)
    config = config_from_mapping(_config(destination, source, names), directory=directory)
    job = plan_job(config, directory / "killed.job")
    with running_sandbox(
        endpoints=endpoints_for([destination]), latency=_LATENCY, retry_after="milliseconds"
    ) as server:
        for _ in range(kills):
            _run_and_kill(destination, job.directory, server)
        status = job.run(
            base_url=server.url, credential=Secret("invented-credential"), rate="100000/s"
        )
        seen = server.stats["destinations"][destination.name]
        arrived = Counter(_text(each.record, told) for each in server.accepted)
    states = job.records().select(names[told], "_state").iter_rows()
    return Campaign(
        books=status.books,
        states={value: State(state) for value, state in states},
        arrived=arrived,
        seen=seen,
        unknown_allowed=kills * _CONCURRENCY * destination.batch_size,
    )


def _write_source(
    destination: Destination, source: Path, rows: int, keys: int | None
) -> dict[str, str]:
    """A CSV of valid records; the column of each field."""
    first = row_of(destination, 0)
    names = {field: f"c{index}" for index, field in enumerate(first)}
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names.values(), "happened"])
        for number in range(rows):
            happened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + number))
            writer.writerow([*row_of(destination, number, keys=keys).values(), happened])
    return names


def _config(destination: Destination, source: Path, names: Mapping[str, str]) -> dict[str, Any]:
    population = {"population": _POPULATION} if destination.needs_population else {}
    fields = {field: name for field, name in names.items() if field != destination.time_field}
    return {
        "destination": destination.name,
        **population,
        "events": {"files": str(source), "time": "happened"},
        "fields": fields,
        "delivery": {"concurrency": _CONCURRENCY, "rate": "100000/s"},
    }


def _run_and_kill(destination: Destination, job: Path, server: Sandbox) -> None:
    """Run the job in a process of its own until more of it has arrived, then kill that."""
    before = len(server.accepted)
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "backfill", "run", str(job), "--base-url", server.url],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            destination.credential_env: "invented-credential",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + _PATIENCE
        while len(server.accepted) == before and process.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        process.kill()
        _, words = process.communicate()
    if len(server.accepted) == before:
        raise AssertionError(f"a run sent nothing: {words.decode(errors='replace')}")


def _text(record: Mapping[str, Any], name: str) -> str:
    value: Any = record
    for each in name.split("."):
        value = value[each]
    return str(value)
