"""The figures of a report, collected from a job's directory without changing anything in it.

Status, reasons and times come from one look into the ledger, so they agree with each other also
while the job is running.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from backfill.config.values import parse_rate
from backfill.core.model import State
from backfill.jobdir.manifest import Manifest
from backfill.jobs.readonly import look
from backfill.jobs.records.table import ready_records
from backfill.jobs.run_history import seconds_at_work
from backfill.jobs.status import Status
from backfill.report.timeline_bins import Timeline, timeline_of

if TYPE_CHECKING:
    from backfill.jobs.job import Job

__all__ = ["EventTimes", "Figures", "Reason", "gather"]

_MOST_REASONS = 20  # shown for each state; the others are summed up
_CASES = 3
_KINDS = ("_state", "_reason", "_http_status")
# A unit of time, and the longest span for which it is the one to count in.
_UNITS = (
    ("hour", "1h", timedelta(days=3)),
    ("day", "1d", timedelta(days=120)),
    ("week", "1w", timedelta(days=900)),
    ("month", "1mo", timedelta(days=7300)),
    ("year", "1y", timedelta.max),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Records that came to rest in one state for one reason, in the server's words.

    `cases` are the first of them, by `_file`, `_row` and `_request_id`.
    """

    message: str
    http_status: int | None
    records: int
    cases: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class EventTimes:
    """When the ready records happened: for each unit of time, how many are in each state.

    `counts` is by the unit's start and leaves none out; `without` counts records without a time.
    """

    unit: str = ""
    first: datetime | None = None
    last: datetime | None = None
    counts: Mapping[datetime, Mapping[str, int]] = field(default_factory=dict)
    without: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report shows. `made_at` is in seconds since the epoch."""

    status: Status
    manifest: Manifest
    made_at: float
    timeline: Timeline
    seconds: float | None  # that all runs took, None where one of them did not come to its end
    reasons: Mapping[str, Sequence[Reason]]  # the most frequent first, the others summed up last
    times: EventTimes

    @property
    def limit(self) -> float | None:
        """The requests a second that the plan's configuration allows; None where it finds out."""
        rate = parse_rate(self.manifest.delivery.get("rate"))
        return None if rate is None else rate.per_second


def gather(job: Job) -> Figures:
    """Collect the figures of a job at this moment. Raises JobError or LedgerError."""
    with look(job.directory) as (ledger, running):
        status = job.status_in(ledger, running=running)
        parts = list(ready_records(job.directory, job.manifest, ledger))
        timeline, seconds = timeline_of(ledger.ticks()), seconds_at_work(ledger)
    # One part in memory at a time.
    counted = [pl.collect_all([_by_reason(part), _by_hour(part)]) for part in parts]
    return Figures(
        status=status,
        manifest=job.manifest,
        made_at=time.time(),
        timeline=timeline,
        seconds=seconds,
        reasons=_reasons(pl.concat(each[0] for each in counted)) if counted else {},
        times=_times(pl.concat(each[1] for each in counted)) if counted else EventTimes(),
    )


def _by_reason(records: pl.LazyFrame) -> pl.LazyFrame:
    """How many failed or are unknown, and what was remarked of delivered ones."""
    state = pl.col("_state")
    remarked = (state != State.DELIVERED.value) | pl.col("_reason").is_not_null()
    return (
        records.filter(remarked & (state != State.PENDING.value))
        .group_by(_KINDS, maintain_order=True)
        .agg(records=pl.len(), cases=pl.struct("_file", "_row", "_request_id").head(_CASES))
    )


def _reasons(counted: pl.DataFrame) -> dict[str, list[Reason]]:
    """The reasons for each state, from the counts of every part."""
    groups = (
        counted.group_by(_KINDS, maintain_order=True)
        .agg(pl.col("records").sum(), pl.col("cases").explode().head(_CASES))
        .sort("records", descending=True, maintain_order=True)
    )
    found = {}
    for (state,), rows in groups.group_by("_state", maintain_order=True):
        shown, others = rows[:_MOST_REASONS], rows[_MOST_REASONS:]
        reasons = [Reason(words or "", *more) for _, words, *more in shown.iter_rows()]
        if others.height:
            words = f"{others.height:,} other reasons"
            reasons.append(Reason(words, None, int(others["records"].sum())))
        found[str(state)] = reasons
    return found


def _by_hour(records: pl.LazyFrame) -> pl.LazyFrame:
    """How many there are of each hour and state. No unit to count in is shorter."""
    moment = pl.col("time")
    return records.group_by(moment.dt.truncate("1h").alias("hour"), "_state").agg(
        first=moment.min(), last=moment.max(), records=pl.len()
    )


def _times(counted: pl.DataFrame) -> EventTimes:
    """The counts by a unit that leaves few bars, from those of every part."""
    edges = counted.select(pl.col("first").min(), pl.col("last").max())
    first, last = edges.row(0)
    long = timedelta() if first is None else last - first
    unit, every = next((unit, every) for unit, every, most in _UNITS if long <= most)
    starts = pl.datetime_ranges(pl.col("first").dt.truncate(every), "last", every)
    counts: dict[datetime, dict[str, int]] = {
        start: {} for start in edges.drop_nulls().select(starts.explode()).to_series()
    }
    without = 0
    sums = counted.group_by(pl.col("hour").dt.truncate(every), "_state").agg(pl.sum("records"))
    for start, state, records in sums.iter_rows():
        if start is None:
            without += records
        else:
            counts[start][state] = records
    return EventTimes(unit, first, last, counts, without)
