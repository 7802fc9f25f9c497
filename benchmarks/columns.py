"""How the time of a first look and of a plan grows with the columns of a file.

    python -m benchmarks.columns --columns 1_250 5_000

One row of so many columns, in each format: all of the time is spent on columns. Counts the
processor's time; prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from backfill.config import Files, config_from_mapping
from backfill.destinations import builtin_destinations
from backfill.discover.columns import profile_columns
from backfill.discover.samples import read_sample
from backfill.prepare.pipeline import prepare

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORMATS = ("csv", "ndjson", "parquet")


def write(path: Path, columns: int) -> None:
    """Write a file of one event with so many columns more than it needs."""
    own = {"user_id": "6f1c0a52-0000-4000-8000-000000000001", "event": "x", "at": "2025-03-01"}
    frame = pl.DataFrame({**own, **{f"column_{n}": f"v{n}" for n in range(columns)}})
    getattr(frame, f"write_{path.suffix[1:]}")(path)


def look(path: Path, place: Path) -> None:
    """Profile every column, as `init` does."""
    del place
    sample = read_sample(Files(files=path.name), path.parent, "events")
    profile_columns(sample.common, "events", now=NOW)


def plan(path: Path, place: Path) -> None:
    """Prepare a job that uses four of the columns."""
    content: dict[str, Any] = {
        "destination": "pristo-events",
        "population": "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42",
        "events": {"files": path.name, "time": "at"},
        "fields": {
            "contact.id": "user_id",
            "contact.email": {"value": "a@example.com"},
            "type": "event",
            "customFields.x": "column_7",
        },
    }
    config = config_from_mapping(content, directory=path.parent)
    prepare(config, builtin_destinations()[config.destination], place, now=NOW)


def seconds(done: Callable[[Path, Path], None], form: str, columns: int) -> float:
    """The processor's time for one file."""
    with tempfile.TemporaryDirectory() as directory:
        path, place = Path(directory, f"events.{form}"), Path(directory, "job")
        place.mkdir()
        write(path, columns)
        started = time.process_time()
        done(path, place)
        return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--columns", type=int, nargs="+", default=[1_250, 5_000])
    given = parser.parse_args()
    print("| file | columns | first look, CPU seconds | plan, CPU seconds |")
    print("|---|---:|---:|---:|")
    for form in FORMATS:
        seconds(look, form, 10), seconds(plan, form, 10)  # what is loaded once
        for columns in given.columns:
            times = [seconds(done, form, columns) for done in (look, plan)]
            print(f"| {form} | {columns:,} | {times[0]:.2f} | {times[1]:.2f} |")


if __name__ == "__main__":
    main()
