"""A job that several processes deliver to a sandbox, and what must hold whatever befalls them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from backfill.core.errors import BackfillError
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.ledger.postgres import PostgresLedger
from backfill.sandbox import Sandbox, running_sandbox
from tests.acceptance.program import Ended, backfill, start
from tests.acceptance.sources import pristo_job
from tests.forked.program import Program

__all__ = ["LEASE", "World", "running_world", "until"]

LEASE = 1.0  # seconds


def until(so: Callable[[], Any], within: float = 60.0, every: float = 0.01) -> float:
    """Wait until something is so, and look every so many seconds; returns how long that took."""
    began = time.monotonic()
    while not so():
        assert time.monotonic() - began < within
        time.sleep(every)
    return time.monotonic() - began


class World:
    """A job in a storage that is shared, and the processes that deliver it."""

    def __init__(
        self,
        place: Path,
        database: str,
        sandbox: Sandbox,
        *,
        rows: int,
        lease: float,
        storage: str,
        delivery: str = "",
    ) -> None:
        self.place = place
        self.sandbox = sandbox
        self.rows = rows
        (place / "jobs").mkdir()
        self.config = pristo_job(place, rows, delivery=f'base_url = "{sandbox.url}"\n{delivery}')
        text = self.config.read_text(encoding="utf-8").replace('rate = "100000/s"\n', "")
        cluster = f'storage = "{storage}"\nledger = "{database}"\nlease = "{lease:g}s"\n'
        self.config.write_text(f"{text}[cluster]\n{cluster}", encoding="utf-8")
        self.job = job_directory(self.config)
        self.started: list[Program] = []

    def deliverer(self, *options: object, **environment: str) -> Program:
        """Start one more, as a person types it on another machine."""
        process = start("run", self.config, "--json", *options, cwd=self.place, **environment)
        self.started.append(process)
        return process

    def together(self, count: int, *options: object) -> list[Program]:
        """Start so many, and have nothing sent before each of them has a bucket."""
        self.pause()
        started = [self.deliverer(*options) for _ in range(count)]
        until(lambda: self.owners() == count, every=0.1)
        self.go_on()
        return started

    def pause(self) -> None:
        self.command("pace", self.job, "--pause", expect=(0,))

    def go_on(self) -> None:
        self.command("pace", self.job, "--go-on", expect=(0,))

    def command(self, *arguments: object, **more: Any) -> Ended:
        return backfill(*arguments, cwd=self.place, **more)

    def wait(self, *processes: Program, expect: tuple[int, ...]) -> list[Any]:
        """Wait for processes, and return what each printed; `expect` are the right exit codes."""
        found = []
        for process in processes:
            out, err = process.communicate(90)
            assert process.returncode in expect, f"exit code {process.returncode}\n{out}\n{err}"
            assert "Traceback" not in err, err
            found.append(json.loads(out))
        return found

    @property
    def accepted(self) -> int:
        return len(self.sandbox.accepted)

    def ledger(self) -> PostgresLedger:
        place = LedgerPlace.read(self.job)
        assert place is not None
        return PostgresLedger.open_beside(place.database, place.schema)

    def owners(self) -> int:
        """How many deliverers hold a bucket at this moment."""
        return len(self.held())

    def held(self) -> list[int]:
        """How many buckets each deliverer holds at this moment, the most first."""
        if not (self.job / "manifest.json").exists():
            return []
        with suppress(BackfillError), self.ledger() as ledger:
            rows = "SELECT count(*) FROM locks() WHERE bucket < 16777215 GROUP BY pid"
            return sorted((count for (count,) in ledger._session.rows(rows)), reverse=True)
        return []

    def compare(self, *, twice: bool = False) -> Counter[str]:
        """Compare the books with the server's log, record by record; returns the states.

        `twice` says that a record may have been stored more than once.
        """
        stored = Counter(each.record["customFields"]["order"] for each in self.sandbox.accepted)
        target = self.place / "records.parquet"
        self.command("records", self.job, "-o", target, "--force", expect=(0,))
        frame = pl.read_parquet(target)
        states = dict(zip(frame["order_no"], frame["_state"], strict=True))
        assert len(states) == self.rows
        for order, state in states.items():
            seen = stored.pop(order, 0)
            assert twice or seen <= 1, f"{order} was stored {seen} times"
            if state == "delivered":
                assert seen >= 1, f"{order} is delivered, and the server does not know it"
            if state in ("pending", "failed"):
                assert seen == 0, f"{order} is {state}, and the server stored it"
        assert not stored
        found = Counter(states.values())
        books = self.command("status", self.job, "--json").json
        assert books["balanced"]
        assert {state: count for state, count in books["records"].items() if count} == {
            "input": self.rows,
            **found,
        }
        seen_by = self.sandbox.stats["destinations"]["pristo-events"]
        assert (seen_by["overlaps"], seen_by["disorder"]) == (0, 0)
        return found

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.started:
            process.kill()
            process.wait(60)


@contextmanager
def running_world(
    place: Path,
    database: str,
    *,
    rows: int,
    lease: float = 60.0,
    storage: str = "jobs",
    delivery: str = "",
    planned: bool = True,
    **sandbox: Any,
) -> Iterator[World]:
    """A job, planned unless a test says otherwise, and a server for it with these options.

    A deliverer of a busy machine loses its buckets where the lease is short.
    """
    with running_sandbox(**sandbox) as server:
        world = World(
            place, database, server, rows=rows, lease=lease, storage=storage, delivery=delivery
        )
        if planned:
            world.command("plan", world.config, expect=(0,))
        try:
            yield world
        finally:
            world.end()
