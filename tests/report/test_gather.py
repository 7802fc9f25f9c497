"""The figures of a report agree with the books, the ledger and the files."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Batch, State
from backfill.jobdir.lock import locked
from backfill.jobs.status import Phase
from backfill.ledger import Ledger
from backfill.report.gather import Figures, gather
from tests.report.jobs import BEGIN, deliver, make_job, ticks

READY = (State.PENDING, State.DELIVERED, State.FAILED, State.UNKNOWN)


def by_time(figures: Figures) -> Counter[str]:
    total: Counter[str] = Counter()
    for parts in figures.times.counts.values():
        total.update(parts)
    return total


@given(
    past=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(1, 9),
            st.sampled_from([None, State.DELIVERED, State.FAILED, State.UNKNOWN]),
            st.sampled_from(["", "too long", "no such type"]),
        ),
        max_size=8,
    ),
    hours=st.sampled_from([0, 1, 7, 200, 5000]),
)
@settings(max_examples=12, deadline=None)
def test_every_figure_agrees_with_the_books(
    past: list[tuple[int, int, State | None, str]], hours: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        job = make_job(Path(place) / "a.job", buckets=(80, 75), times=timedelta(hours=hours))
        deliver(job, past)
        figures = gather(job)
        books = job.status().books
        records = job.records()
    assert figures.status.books == books
    assert books.balanced
    assert by_time(figures) == Counter(
        {state: books.count(state) for state in READY if books.count(state)}
    )
    for state in (State.FAILED, State.UNKNOWN):
        assert sum(each.records for each in figures.reasons.get(state, ())) == books.count(state)
    found = records["_row", "_state", "_reason"].rows()
    rows = {row: (state, reason) for row, state, reason in found if row is not None}
    for name, reasons in figures.reasons.items():
        for reason in reasons:
            assert 1 <= len(reason.cases) <= 3
            assert len(reason.cases) == min(3, reason.records)
            for case in reason.cases:
                assert rows[case["_row"]] == (name, reason.message or None)


@pytest.mark.parametrize(
    ("apart", "unit"),
    [
        (timedelta(0), "hour"),
        (timedelta(minutes=30), "hour"),
        (timedelta(hours=6), "day"),
        (timedelta(days=3), "week"),
        (timedelta(days=30), "month"),
        (timedelta(days=300), "year"),
    ],
)
def test_time_is_counted_in_a_unit_that_leaves_few_bars(
    tmp_path: Path, apart: timedelta, unit: str
) -> None:
    times = gather(make_job(tmp_path / "a.job", buckets=(60,), times=apart)).times
    assert times.unit == unit
    assert 1 <= len(times.counts) <= 240
    assert (times.first, times.last) == (BEGIN, BEGIN + 59 * apart)
    assert list(times.counts) == sorted(times.counts)
    assert all(start <= BEGIN + 59 * apart for start in times.counts)


def test_records_without_a_time_are_counted_as_such(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(10,), times=None)
    deliver(job, [(0, 4, State.DELIVERED, "")])
    times = gather(job).times
    assert times.counts == {}
    assert times.without == 10


def test_a_job_in_which_nothing_is_ready_has_no_times(tmp_path: Path) -> None:
    figures = gather(make_job(tmp_path / "a.job", buckets=()))
    assert (figures.times.counts, figures.times.without, figures.reasons) == ({}, 0, {})
    assert figures.status.phase is Phase.COMPLETE


def test_the_twenty_most_frequent_reasons_are_shown_and_the_others_summed_up(
    tmp_path: Path,
) -> None:
    job = make_job(tmp_path / "a.job", buckets=(400,))
    deliver(job, [(0, 1 + each % 5, State.FAILED, f"reason {each}") for each in range(33)])
    figures = gather(job)
    *shown, other = figures.reasons[State.FAILED]
    assert len(shown) == 20
    counts = [reason.records for reason in shown]
    assert counts == sorted(counts, reverse=True)
    assert other.message == "13 other reasons"
    assert sum(counts) + other.records == figures.status.books.failed


def test_pristo_records_are_named_by_the_request_id_that_we_chose(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(9,))
    deliver(job, [(0, 5, State.DELIVERED, ""), (0, 2, State.UNKNOWN, "timed out")])
    (reason,) = gather(job).reasons[State.UNKNOWN]
    assert [case["_row"] for case in reason.cases] == [6, 7]
    assert {case["_request_id"] for case in reason.cases} == set(
        job.records("unknown")["_request_id"].to_list()
    )


def test_a_remark_on_delivered_records_is_kept(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(9,))
    deliver(job, [(0, 2, State.DELIVERED, "application status 202"), (0, 3, State.DELIVERED, "")])
    ((state, (reason,)),) = gather(job).reasons.items()
    assert (state, reason.records) == (State.DELIVERED, 2)


def test_a_running_job_is_looked_at_without_disturbing_it(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(20,))
    deliver(job, [(0, 6, State.DELIVERED, "")], ticks(2))
    with (
        locked(job.directory, "run") as lock,
        Ledger.open(job.directory / "ledger.sqlite") as ledger,
    ):
        lock.enter_ledger()
        ledger.commit([], [Batch(0, 0, ((6, 8),))])
        figures = gather(job)
        assert ledger.in_flight() == 2
    assert figures.status.phase is Phase.RUNNING
    assert figures.status.books.pending == 14
    assert by_time(figures) == {"delivered": 6, "pending": 14}
