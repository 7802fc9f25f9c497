"""What a program that uses the library is told by a type checker. Nothing here runs.

mypy reads it with the rest of the project, so a public name that loses its type fails there.
"""

from __future__ import annotations

import asyncio
from typing import assert_type

import polars as pl

import backfill


def use() -> None:
    job = backfill.plan("pristo.toml", job="x.job")
    assert_type(job, backfill.Job)
    status = job.run(rate="50/s", limit=10, concurrency=4)
    assert_type(status, backfill.Status)
    assert_type(status.books.delivered, int)
    assert_type(status.exit_code, int)
    assert_type(job.sample(5), pl.DataFrame)
    assert_type(job.rejected, pl.DataFrame)
    assert_type(job.duplicates, pl.DataFrame)
    assert_type(job.records(state="failed"), pl.DataFrame)
    assert_type(asyncio.run(job.run_async(rate=50)), backfill.Status)
    assert_type(backfill.open_job("x.job"), backfill.Job)
    try:
        backfill.plan(destination="watch-events", events=pl.DataFrame(), fields={"label": "event"})
    except backfill.BackfillError as error:
        assert_type(error.exit_code, int)
