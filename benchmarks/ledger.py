"""What the ledger costs: commits by the requests in each, and as a job grows.

    python -m benchmarks.ledger
    python -m benchmarks.ledger --postgres postgresql://backfill@127.0.0.1/postgres

Every commit is durable (`synchronous=FULL`) before it returns; it holds the outcomes of the
requests that came back and the intents of those that go out. The same is measured in PostgreSQL:
in the database that `--postgres` names, else in one that is started for it where it is installed.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backfill.core.model import Batch, Outcome, Settlement, State, Tick
from backfill.ledger import Ledger
from backfill.ledger.protocol import AnyLedger
from backfill.ledger.statements import RECOUNT
from tests.ledger.postgres.server import PostgresServer, why_none

LANES = 64
_STRIDE = 1_500  # records of a lane
_SPAN = 1_000  # delivered records between two that failed, in a job that is under way
_BUCKET = 150_000  # records
_WANTED = 10_000  # intents a second in PostgreSQL, in commits of as many as there are lanes
_OURS = 1_000_000  # a bucket beyond those that a ledger under way holds already


@dataclass(frozen=True)
class Cost:
    """Of one request, in seconds, by the clock and of the processor."""

    requests: int
    commits_per_second: float
    wall: float
    cpu: float


def cost(opened: AnyLedger, batch: int, commits: int) -> Cost:
    """Settle and start `batch` requests of one record in each of so many commits."""
    lanes = max(LANES, batch)
    sent = [0] * lanes
    in_flight: list[Batch | None] = [None] * lanes
    requests = 0
    with opened as ledger:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(commits):
            settled, started = [], []
            for _ in range(batch):
                lane = requests % lanes
                requests += 1
                before = in_flight[lane]
                if before is not None:
                    outcome = Outcome(before.ranges, State.DELIVERED, "", 201)
                    settled.append(Settlement(before, (outcome,)))
                at = lane * _STRIDE + sent[lane]
                sent[lane] += 1
                each = Batch(_OURS, lane, ((at, at + 1),))
                in_flight[lane] = each
                started.append(each)
            slice_ = int(time.time()) // 10 * 10
            ledger.commit(settled, started, Tick(slice_, sent=batch, delivered=len(settled)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(requests, commits / wall, wall / requests, cpu / requests)


def fill(directory: Path, records: int) -> None:
    """A ledger in which so many records are settled, one in a thousand of them failed.

    Written past the ledger's own way in, which is what the other measurement times.
    """
    path = directory / "ledger.sqlite"
    Ledger.open(path, create=True).close()
    reason = "custom value 'campaign' is longer than 50 characters"
    spans = []
    for first in range(0, records, _SPAN):
        bucket, at = first // _BUCKET, first % _BUCKET
        last = at + _SPAN - 1
        spans.append((bucket, at, last, "delivered", 201, "", None, 1.0, "reply"))
        spans.append((bucket, last, last + 1, "failed", 400, reason, None, 1.0, "reply"))
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO span VALUES (?,?,?,?,?,?,?,?,?)", spans)
        connection.execute(RECOUNT)
    connection.close()


def _in_postgres(address: str) -> AnyLedger:
    from backfill.ledger.postgres import PostgresLedger  # noqa: PLC0415 - needs an extra

    ledger = PostgresLedger.open(address, f"benchmark-{uuid.uuid4().hex[:8]}", create=True)
    if ledger.take(_OURS) is None:
        raise SystemExit("somebody else holds the bucket")
    return ledger


@contextmanager
def _database(address: str | None) -> Iterator[str | None]:
    """The address of a database to measure; None where there is none."""
    if address is not None:
        yield address
    elif (reason := why_none()) is not None:
        print(f"without PostgreSQL: {reason}", file=sys.stderr)
        yield None
    else:
        server = PostgresServer()
        try:
            yield server.address
        finally:
            server.remove()


def _row(name: str, batch: int, found: Cost) -> str:
    rates = f"{found.commits_per_second:,.0f} | {1 / found.wall:,.0f}"
    return (
        f"| {name} | {batch} | {rates} | {found.wall * 1e6:,.0f} µs | {found.cpu * 1e6:,.0f} µs |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=30_000, help="of each measurement")
    parser.add_argument("--directory", type=Path, help="where the ledgers lie meanwhile")
    parser.add_argument("--postgres", help="the address of a database to measure, too")
    given = parser.parse_args()
    print("| ledger | in a commit | commits/s | requests/s | of one request | CPU of it |")
    print("|---|---:|---:|---:|---:|---:|")
    reached = None
    with _database(given.postgres) as address:
        for batch in (1, 16, LANES, 256):
            commits = max(1, min(given.requests, 1_500 * batch) // batch)
            with tempfile.TemporaryDirectory(dir=given.directory) as room:
                opened = Ledger.open(Path(room) / "ledger.sqlite", create=True)
                print(_row("SQLite", batch, cost(opened, batch, commits)))
            if address is not None:
                found = cost(_in_postgres(address), batch, commits)
                print(_row("PostgreSQL", batch, found))
                reached = 1 / found.wall if batch == LANES else reached
    if reached is not None:
        short = "" if reached >= _WANTED else ": **falls short**"
        print(f"\nIn PostgreSQL {reached:,.0f} requests/s at {LANES} a commit; wanted are at least")
        print(f"{_WANTED:,}{short}. The CPU is this process's, without the database's.")
    print()
    print("| records settled before | size | opening | of one request | CPU of it |")
    print("|---:|---:|---:|---:|---:|")
    for records in (0, 100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory(dir=given.directory) as room:
            directory = Path(room)
            fill(directory, records)
            size = sum(each.stat().st_size for each in directory.iterdir())
            began = time.perf_counter()
            Ledger.open(directory / "ledger.sqlite").close()
            opening = time.perf_counter() - began
            opened = Ledger.open(directory / "ledger.sqlite")
            found = cost(opened, LANES, given.requests // LANES)
        each = f"{found.wall * 1e6:,.0f} µs | {found.cpu * 1e6:,.0f} µs"
        print(f"| {records:,} | {size / 1e6:.1f} MB | {opening * 1e3:.0f} ms | {each} |")


if __name__ == "__main__":
    main()
