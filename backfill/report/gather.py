"""The figures of a report, collected from a job's directory without changing anything in it.

Books, reasons and times all come from one reading of the ledger's spans, so they agree with
each other also while the job is running.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from backfill.config.values import parse_rate
from backfill.core.model import RequestCounts, State
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.jobs.readonly import look
from backfill.jobs.records.table import spans_of
from backfill.jobs.run_history import seconds_at_work
from backfill.jobs.status import Phase, Status
from backfill.report.timeline_bins import Course, course_of

if TYPE_CHECKING:
    from backfill.core.model import Tick
    from backfill.jobs.job import Job

__all__ = ["Case", "EventTimes", "Figures", "Reason", "gather"]

_MOST_REASONS = 20  # shown for each state; the others are summed up
_CASES = 3
_NOTICED, _BURST = 1.1, 2  # a rate may be exceeded by so much, and so many requests, unnoticed
_Place = tuple[int, int, str | None]  # bucket, position, the server's id of the request
_SETTLED = (State.DELIVERED, State.FAILED, State.UNKNOWN)
# A unit of time, and the longest span for which it is the one to count in.
_UNITS = (
    ("hour", "1h", timedelta(days=3)),
    ("day", "1d", timedelta(days=120)),
    ("week", "1w", timedelta(days=900)),
    ("month", "1mo", timedelta(days=7300)),
    ("year", "1y", timedelta.max),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One record with a reason: where it stands, and the id under which it was sent."""

    file: str
    row: int
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Records that came to rest in one state for one reason, in the server's words."""

    message: str
    http_status: int | None
    records: int
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class EventTimes:
    """When the ready records happened: for each unit of time, how many are in each state.

    `counts` is by the unit's start, in order, and `ends` has the end of each. `without` counts
    the records that have no time.
    """

    unit: str = "day"
    first: datetime | None = None
    last: datetime | None = None
    counts: Mapping[datetime, Mapping[State, int]] = field(default_factory=dict)
    ends: Mapping[datetime, datetime] = field(default_factory=dict)
    without: Mapping[State, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """Everything that a report shows. `made_at` is in seconds since the epoch."""

    status: Status
    manifest: Manifest
    made_at: float
    ticks: tuple[Tick, ...]
    reasons: Mapping[State, Sequence[Reason]]  # the most frequent first, the others summed up last
    times: EventTimes
    seconds: float | None  # that all runs took, None where one of them did not come to its end

    @cached_property
    def course(self) -> Course:
        """What happened over time, in few slices."""
        return course_of(self.ticks)

    @property
    def at_work(self) -> float:
        """Seconds at work: to the slice of time, and closer where the runs say it themselves."""
        return min(self.seconds or math.inf, self.course.seconds)

    @property
    def rate(self) -> float | None:
        """Requests a second while at work; None where there is nothing to go by."""
        if self.status.rate or self.course.brief:
            return self.status.rate
        # A first run that is still at work has not written its duration down yet.
        return self.status.requests.sent / self.course.seconds

    @property
    def limit(self) -> float | None:
        """The requests a second that the plan's configuration allows; None where it finds out."""
        rate = parse_rate(self.manifest.delivery.get("rate"))
        return None if rate is None else rate.per_second

    @property
    def exceeded(self) -> bool:
        """Whether noticeably more was sent than that: a run was told another rate."""
        if self.limit is None:
            return False
        most = _NOTICED * self.limit
        if self.seconds and self.status.requests.sent > most * self.seconds + _BURST:
            return True
        return any(each.total.sent > most * each.seconds + _BURST for each in self.course.bins)


def gather(job: Job) -> Figures:
    """Collect the figures of a job at this moment. Raises JobError or LedgerError."""
    status, manifest = job.status(), job.manifest
    with look(job.directory) as (ledger, _):
        spans = spans_of(ledger)
        ticks, requests = tuple(ledger.ticks()), ledger.requests()
        seconds = seconds_at_work(ledger)
    return Figures(
        status=_at_that_moment(status, manifest, spans, requests),
        manifest=manifest,
        made_at=time.time(),
        ticks=ticks,
        reasons=_reasons(job.directory, manifest, spans),
        times=_times(job.directory, manifest, spans),
        seconds=seconds,
    )


def _at_that_moment(
    status: Status, manifest: Manifest, spans: pl.DataFrame, requests: RequestCounts
) -> Status:
    """The status as it was when the spans were read, which a running job has left behind."""
    counts = spans.group_by("state").agg((pl.col("stop") - pl.col("start")).sum())
    settled = {state.value: 0 for state in _SETTLED} | dict(counts.iter_rows())
    pending = manifest.ready - sum(settled.values())
    books = replace(manifest.books, pending=pending, **settled)
    if status.phase is Phase.RUNNING:
        return replace(status, books=books, requests=requests)
    return replace(status, books=books)


# --- reasons -------------------------------------------------------------------------------


def _reasons(directory: Path, manifest: Manifest, spans: pl.DataFrame) -> dict[State, list[Reason]]:
    """Why records failed or are unknown, and what was remarked of delivered ones."""
    groups = (
        spans.filter((pl.col("state") != State.DELIVERED.value) | (pl.col("reason") != ""))
        .sort("bucket", "start")
        .group_by("state", "reason", "http_status", maintain_order=True)
        .agg(
            records=(pl.col("stop") - pl.col("start")).sum(),
            first=pl.struct("bucket", "start", "stop", "request_id").head(_CASES),
        )
        .sort("records", descending=True, maintain_order=True)
    )
    rows = groups.group_by("state", maintain_order=True).head(_MOST_REASONS).to_dicts()
    wanted = {number: _first_positions(row["first"]) for number, row in enumerate(rows)}
    cases = _cases(directory, manifest, wanted)
    found: defaultdict[State, list[Reason]] = defaultdict(list)
    for number, row in enumerate(rows):
        found[State(row["state"])].append(
            Reason(row["reason"], row["http_status"], row["records"], cases[number])
        )
    others = groups.group_by("state").agg(
        pl.col("records").slice(_MOST_REASONS).sum(), kinds=pl.len() - _MOST_REASONS
    )
    for state, records, kinds in others.filter(pl.col("records") > 0).iter_rows():
        found[State(state)].append(Reason(f"{kinds:,} other reasons", None, records))
    return dict(found)


def _first_positions(spans: list[dict[str, Any]]) -> list[_Place]:
    found = [
        (span["bucket"], position, span["request_id"])
        for span in spans
        for position in range(span["start"], min(span["stop"], span["start"] + _CASES))
    ]
    return found[:_CASES]


def _cases(
    directory: Path,
    manifest: Manifest,
    wanted: Mapping[int, list[_Place]],
) -> dict[int, tuple[Case, ...]]:
    """Where the records at these positions stand in the source."""
    buckets: defaultdict[int, set[int]] = defaultdict(set)
    for places in wanted.values():
        for bucket, position, _ in places:
            buckets[bucket].add(position)
    found: dict[tuple[int, int], tuple[int, int, str]] = {}
    for bucket, positions in buckets.items():
        frame = (
            pl.scan_parquet(directory / "ready" / manifest.buckets[bucket].file, glob=False)
            .select("file", "row", "record")
            .with_row_index("position")
            .filter(pl.col("position").is_in(sorted(positions)))
            .collect()
        )
        for position, *place in frame.iter_rows():
            found[bucket, position] = (place[0], place[1], place[2])
    request_id_of = destination(manifest.destination).request_id_of
    return {
        number: tuple(
            Case(manifest.events[file].name, row, request_id or request_id_of(record))
            for bucket, position, request_id in places
            for file, row, record in (found[bucket, position],)
        )
        for number, places in wanted.items()
    }


# --- when the records happened ---------------------------------------------------------------


def _times(directory: Path, manifest: Manifest, spans: pl.DataFrame) -> EventTimes:
    """Count the ready records by time and state, one bucket in memory at a time."""
    paths = [directory / "ready" / bucket.file for bucket in manifest.buckets]
    if not paths:
        return EventTimes()
    first, last = (
        pl.scan_parquet(paths, glob=False)
        .select(pl.col("time").min().alias("first"), pl.col("time").max().alias("last"))
        .collect()
        .row(0)
    )
    long = last - first if first is not None else timedelta()
    unit, every = next((unit, every) for unit, every, most in _UNITS if long <= most)
    total: Counter[tuple[datetime | None, str]] = Counter()
    for number, path in enumerate(paths):
        settled = spans.filter(pl.col("bucket") == number).select("start", "stop", "state")
        counted = (
            pl.scan_parquet(path, glob=False)
            .select("time")
            .with_row_index("position")
            .with_columns(pl.col("position").cast(pl.Int64))
            .set_sorted("position")
            .join_asof(settled.sort("start").lazy(), left_on="position", right_on="start")
            .group_by(
                pl.col("time").dt.truncate(every),
                pl.when(pl.col("position") < pl.col("stop"))
                .then("state")
                .otherwise(pl.lit(State.PENDING.value))
                .alias("state"),
            )
            .len()
            .collect()
        )
        for moment, state, records in counted.iter_rows():
            total[moment, state] += records
    counts: defaultdict[datetime, dict[State, int]] = defaultdict(dict)
    without: dict[State, int] = {}
    for (moment, state), records in sorted(
        total.items(), key=lambda item: (item[0][0] is not None, *item[0])
    ):
        (without if moment is None else counts[moment])[State(state)] = records
    starts = pl.Series(list(counts), dtype=pl.Datetime("us", "UTC"))
    ends = dict(zip(counts, starts.dt.offset_by(every).to_list(), strict=True))
    return EventTimes(unit, first, last, dict(counts), ends, without)
