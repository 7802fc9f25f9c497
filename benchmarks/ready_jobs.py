"""Planned jobs of any size with invented records, made without preparing them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from backfill.destinations import destination
from backfill.jobdir.manifest import Bucket, Manifest

POPULATION = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"
_BUCKET = 150_000  # records
_LANE = 1_500  # records
_ROW_GROUP = 8_192  # records


def make_job(directory: Path, name: str, records: int) -> Manifest:
    """A job of so many records, in lanes, buckets and row groups as preparing makes them."""
    (directory / "ready").mkdir(parents=True)
    buckets = []
    for index, first in enumerate(range(0, records, _BUCKET)):
        rows = min(_BUCKET, records - first)
        # Small jobs have at least 64 lanes, so that all connections are busy.
        lane = min(_LANE, max(1, records // 64))
        lanes = tuple(min(lane, rows - start) for start in range(0, rows, lane))
        _frame(name, first, rows, lane).write_parquet(
            directory / "ready" / f"{index:03}.parquet",
            compression="lz4",
            statistics=False,
            row_group_size=_ROW_GROUP,
        )
        buckets.append(Bucket(file=f"{index:03}.parquet", rows=rows, lanes=lanes))
    manifest = Manifest(
        backfill="0",
        polars=pl.__version__,
        created=0.0,
        destination=name,
        population=POPULATION if destination(name).needs_population else None,
        shape={},
        shape_sha256="",
        identity=(),
        events=(),
        columns=(),
        input=records,
        rejected=0,
        duplicate=0,
        ready=records,
        buckets=tuple(buckets),
    )
    manifest.write(directory)
    return manifest


def _frame(name: str, first: int, rows: int, lane: int) -> pl.DataFrame:
    number = pl.int_range(first, first + rows, dtype=pl.UInt64)
    text = number.cast(pl.String)
    digits = [number.hash(seed).cast(pl.String).str.zfill(20) for seed in (1, 2)]
    uuid = pl.format("{}-0000-4000-8000-{}", digits[0].str.tail(8), digits[1].str.tail(12))
    phone = pl.format("+1202555{}", digits[0].str.tail(7))
    if name == "pristo-events":
        parts: list[str | pl.Expr] = [
            '{"contact":{"id":"',
            uuid,
            '","email":"user',
            text,
            '@example.com","phone":"',
            phone,
            '","name":"Dana","lastName":"Levi","customFields":{"plan":"gold"}},"type":"purchase",'
            '"occurredAt":"2024-03-01T12:00:00Z","customFields":{"channel":"import",'
            '"transactionId":"',
            digits[1],
            '"}}',
        ]
    else:
        parts = [
            '{"target":{"type":"phone_number","value":"',
            phone,
            '"},"label":"onboarding.complete","confidence":"high"}',
        ]
    body = pl.concat_str([pl.lit(part) if isinstance(part, str) else part for part in parts])
    return pl.select(
        ((number - first) // lane).cast(pl.UInt32).alias("lane"),
        number.alias("row"),
        uuid.alias("record"),
        body.alias("body"),
    )
