"""Jobs that are prepared in each of the ways there are, with rows of every fate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tests.prepare.prepared import Prepared, watch_fields, without_own_files

__all__ = ["FORMATS", "JOBS", "assert_same", "write_sources"]

START = datetime(2024, 1, 1, tzinfo=UTC)

_CONTACTS: dict[str, Any] = {
    "events": {"contact_key": "user", "time": "at", "where": "note <> 'n-7'"},
    "contacts": {"key": "id"},
}

JOBS: dict[str, dict[str, Any]] = {
    # Split by the phone, which the events have.
    "one pass": {
        "events": {"time": "at", "where": "note <> 'n-7'"},
        "fields": watch_fields(),
    },
    # Split by the contact first, and by its phone after.
    "two passes": {**_CONTACTS, "fields": watch_fields(**{"target.value": "contacts.phone"})},
    # Two records can be the same one and have different phones.
    "an identity of its own": {
        **_CONTACTS,
        "fields": watch_fields(**{"target.value": "contacts.phone"}),
        "dedupe": {"key": ["label"]},
    },
}

FORMATS = ("csv", "ndjson", "parquet")


def _events(first: int, count: int) -> pl.DataFrame:
    """Some stand twice, far apart; some have no contact, no phone, or are left out."""
    number = pl.int_range(first, first + count)
    one = pl.when(number % 10 == 9).then(number // 2).otherwise(number)
    return pl.select(
        user=pl.when(number % 17 > 0).then(pl.format("c{}", one % 90)),
        phone=pl.when(one % 19 > 0).then(
            pl.concat_str(pl.lit("+1202555"), (one % 70 + 100).cast(pl.String).str.zfill(4))
        ),
        label=pl.format("label {}", one % 40),
        note=pl.format("n-{}", one),
        at=(pl.lit(START) + pl.duration(minutes=one)).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _contacts() -> pl.DataFrame:
    number = pl.int_range(100)
    return pl.select(
        id=pl.format("c{}", number % 80),
        phone=pl.when(number % 11 > 0)
        .then(pl.concat_str(pl.lit("+1202555"), (number % 40 + 100).cast(pl.String).str.zfill(4)))
        .otherwise(pl.lit("none")),
    )


def write_sources(
    directory: Path, form: str, job: str, *, files: int = 5, rows: int = 200
) -> dict[str, Any]:
    """Write the sources of a job in a format, and return its sections."""
    sections = JOBS[job]
    for number in range(files):
        _write(_events(number * rows, rows), directory / f"events-{number}.{form}")
    found = {**sections, "events": {**sections["events"], "files": f"events-*.{form}"}}
    if "contacts" in sections:
        _write(_contacts(), directory / f"contacts.{form}")
        found["contacts"] = {**sections["contacts"], "files": f"contacts.{form}"}
    return found


def _write(frame: pl.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".ndjson":
            frame.write_ndjson(path)
        case _:
            frame.write_parquet(path, row_group_size=70)


def assert_same(one: Prepared, other: Prepared) -> None:
    """The same manifest and the same files, row by row and in the same order.

    Into how many files a bucket's rows were split is a matter of the ranges that were read.
    """
    assert without_own_files(one.manifest) == without_own_files(other.manifest)
    assert len(one.buckets) == len(other.buckets)
    for left, right in zip(one.buckets, other.buckets, strict=True):
        assert left.equals(right)
    for name in ("excluded", "rejected", "duplicates"):
        frames = [pl.read_parquet(each.directory / f"{name}.parquet") for each in (one, other)]
        assert frames[0].equals(frames[1]), name
    files = [
        sorted(
            path.relative_to(each.directory)
            for path in each.directory.rglob("*")
            if ".own-" not in path.name
        )
        for each in (one, other)
    ]
    assert files[0] == files[1]
