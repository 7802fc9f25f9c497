"""A job's directory against a server's log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from backfill.core.errors import BackfillError
from backfill.core.job_files import LEDGER
from backfill.core.model import State
from backfill.jobs.job import Job
from backfill.jobs.opening import open_job
from backfill.ledger import Ledger
from backfill.sandbox import Sandbox
from tests.promises.books import check_books
from tests.promises.delivery import NOTHING, Excused, ServerLog, Told, check_delivery
from tests.promises.finding import Finding
from tests.security.traces import assert_no_trace

__all__ = ["canonical", "check_job", "log_of", "sandbox_log"]

_Name = Callable[[dict[str, Any]], str]


def canonical(record: dict[str, Any]) -> str:
    """A record as one text, however its JSON was written. It tells records apart by their bodies,
    as a server can; several may have the same one."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


def sandbox_log(server: Sandbox, destination: str, *, name: _Name = canonical) -> ServerLog:
    """What a sandbox that keeps its records stored of one destination."""
    return ServerLog(
        [name(each.record) for each in server.accepted if each.destination == destination],
        overlaps=server.stats["destinations"][destination]["overlaps"],
    )


def log_of(*files: Path, name: _Name = canonical) -> ServerLog:
    """What sandboxes wrote to their log files, one after another."""
    lines = [line for file in files if file.exists() for line in file.read_bytes().splitlines()]
    return ServerLog([name(json.loads(line)["record"]) for line in lines])


def check_job(
    directory: Path,
    log: ServerLog,
    *,
    secret: str,
    name: _Name = canonical,
    at_most_once: bool = True,
    excused: Excused = NOTHING,
) -> Counter[str]:
    """Raise Finding for the first promise that a job which nobody works on has broken.

    Returns how many records each state has.
    """
    try:
        job = open_job(directory)
        states = check_books(job)
        told = list(_told(job, name))
        _records_agree(job, told, name)
    except BackfillError as error:
        raise Finding("the job cannot be read", str(error)) from error
    check_delivery(told, log, at_most_once=at_most_once, excused=excused)
    try:
        assert_no_trace(secret, directory)
    except AssertionError as error:
        raise Finding("the credential was written down", str(error)) from error
    return states


def _told(job: Job, name: _Name) -> Iterator[Told]:
    """What the ledger tells of each position, bucket by bucket."""
    with Ledger.open_copy(job.directory / LEDGER) as ledger:
        outcomes = list(ledger.outcomes())
    for number, bucket in enumerate(job.manifest.buckets):
        frame = pl.read_parquet(job.directory / "ready" / bucket.file, columns=["key", "body"])
        states: list[State | None] = [None] * frame.height
        for found, outcome, _ in outcomes:
            for start, stop in outcome.ranges if found == number else ():
                if any(states[start:stop]):
                    raise Finding("a record is settled twice", f"{start}-{stop} of bucket {number}")
                states[start:stop] = [outcome.state] * (stop - start)
        for (key, body), state in zip(frame.iter_rows(), states, strict=True):
            yield Told(name(json.loads(body)), key, (state or State.PENDING).value)


def _records_agree(job: Job, told: Iterable[Told], name: _Name) -> None:
    """The table of records tells of each of them what the ledger tells."""
    ready = job.sample(job.manifest.ready).select("_file", "_row", "body")
    rows = job.records().select("_file", "_row", "_state").join(ready, on=["_file", "_row"])
    shown = Counter(
        (name(json.loads(body)), state) for body, state in rows["body", "_state"].rows()
    )
    kept = Counter((each.record, each.state) for each in told)
    if shown != kept:
        raise Finding("records and ledger differ", f"such as {next(iter((shown - kept) or kept))}")
