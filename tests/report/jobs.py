"""Jobs with a past, written straight to a directory: ready files, a manifest, a ledger."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from backfill.core.model import Batch, Outcome, Settlement, State, Tick
from backfill.jobdir.manifest import Bucket, Example, Facts, Manifest
from backfill.jobs.job import Job
from backfill.ledger import Ledger
from backfill.sources.entries import SourceEntry
from tests.ready_files import READY

BEGIN = datetime(2025, 3, 1, 8, tzinfo=UTC)
NOW = 1_750_000_000  # a slice's start, in seconds since the epoch
_NAMESPACE = uuid.UUID("6f1f64f0-0000-4000-8000-000000000000")

History = Sequence[tuple[int, int, State | None, str]]
"""(bucket, records, what becomes of them, the server's words), in order of position."""


def make_job(
    directory: Path,
    *,
    buckets: Sequence[int] = (40, 25),
    times: timedelta | None = timedelta(hours=7),
    rejected: int = 5,
    duplicate: int = 3,
    examples: dict[str, tuple[Example, ...]] | None = None,
    name: str = "exports/events.csv",
    delivery: dict[str, object] | None = None,
    destination: str = "pristo-events",
    warnings: tuple[str, ...] = (),
) -> Job:
    """A planned job whose records lie `times` apart in their own time, or have none."""
    (directory / "ready").mkdir(parents=True)
    directory.chmod(0o700)
    number = 0
    for index, rows in enumerate(buckets):
        numbers = range(number, number + rows)
        pl.DataFrame(
            {
                "lane": [0] * rows,
                "file": [0] * rows,
                "row": [each + 1 for each in numbers],
                "time": [None if times is None else BEGIN + each * times for each in numbers],
                "key": [f"key-{each}" for each in numbers],
                "record": [str(uuid.uuid5(_NAMESPACE, str(each))) for each in numbers],
                "body": ["{}"] * rows,
            },
            schema=READY,
        ).write_parquet(directory / "ready" / f"{index:03}.parquet")
        number += rows
    _write_beside(directory, name, number + 1, rejected, duplicate)
    found = {"contact.id|uuid": (Example(file=name, row=9, value="not an id"),)}
    manifest = Manifest(
        backfill="0.1.0",
        polars=pl.__version__,
        created=float(NOW - 500),
        destination=destination,
        population="00000000-0000-4000-8000-000000000000",
        shape={"destination": destination, "fields": {"type": {"name": "event"}}},
        shape_sha256="c" * 64,
        identity=("contact.id", "type"),
        delivery=delivery or {},
        events=(
            SourceEntry(
                name=name,
                path=name,
                size=12_345,
                mtime_ns=1,
                sha256="e" * 64,
                rows=number + rejected + duplicate,
            ),
        ),
        columns=("user_id",),
        input=number + rejected + duplicate,
        rejected=rejected,
        duplicate=duplicate,
        ready=number,
        reasons={"contact.id|uuid": rejected} if rejected else {},
        buckets=tuple(
            Bucket(file=f"{index:03}.parquet", rows=rows, lanes=(rows,))
            for index, rows in enumerate(buckets)
        ),
        facts=Facts(
            keys=number,
            requests=number,
            longest_lane=max(buckets, default=0),
            longest_key=1,
            examples=examples if examples is not None else (found if rejected else {}),
            warnings=warnings,
        ),
    )
    manifest.write(directory)
    Ledger.open(directory / "ledger.sqlite", create=True).close()
    return Job(directory, manifest)


def deliver(job: Job, history: History, ticks: Sequence[Tick] = ()) -> None:
    """Write a past into the job's ledger. None as a state leaves records pending."""
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        position: dict[int, int] = {}
        for bucket, records, state, message in history:
            start = position.get(bucket, 0)
            position[bucket] = start + records
            if state is None:
                continue
            ranges = ((start, start + records),)
            batch = Batch(bucket, 0, ranges)
            ledger.commit([], [batch])
            status = 400 if state is State.FAILED else None
            ledger.commit([Settlement(batch, (Outcome(ranges, state, message, status),))], [])
        for tick in ticks:
            ledger.commit([], [], tick)


def ticks(
    slices: int, *, start: int = NOW, sent: int = 40, throttled: int = 0, delivered: int = 40
) -> list[Tick]:
    """So many slices of ten seconds, each like the others."""
    latency = {10: sent // 2, 13: sent - sent // 2 - 1, 18: 1}
    return [
        Tick(start + 10 * each, sent, throttled, throttled, delivered, latency=latency)
        for each in range(slices)
    ]


def _write_beside(directory: Path, name: str, first: int, rejected: int, duplicate: int) -> None:
    def rows(start: int, count: int) -> dict[str, pl.Series]:
        return {
            "_file": pl.Series([name] * count, dtype=pl.String),
            "_row": pl.Series(range(start, start + count), dtype=pl.UInt64),
        }

    pl.DataFrame(rows(first, rejected)).with_columns(
        _reason=pl.lit("contact.id|uuid"), _raw=pl.lit(None, pl.String)
    ).write_parquet(directory / "rejected.parquet")
    pl.DataFrame(rows(first + rejected, duplicate)).with_columns(
        _kept_file=pl.lit(name),
        _kept_row=pl.lit(1, pl.UInt64),
        _kept_job=pl.lit(None, pl.String),
    ).write_parquet(directory / "duplicates.parquet")
