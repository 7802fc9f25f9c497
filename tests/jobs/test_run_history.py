"""What a job remembers of its runs: how long they took, and at what rate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backfill.core.errors import JobError
from backfill.core.model import State, Stop, StopKind, Tick
from backfill.jobs.run_history import (
    _lately,
    check_current,
    last_run,
    record_end,
    record_start,
    seconds_at_work,
)
from backfill.ledger import Ledger
from backfill.ledger.sqlite.file import LedgerFile
from tests.report import jobs


def test_the_rate_of_a_running_job_is_that_of_the_last_minute():
    now = 1_700_000_000
    ticks = [
        *(Tick(at=now - ago, sent=10**6, delivered=10**6) for ago in (3_600, 70)),
        *(Tick(at=now - 10 * step, sent=100, delivered=9_000, failed=500) for step in range(1, 6)),
    ]
    requests, records = _lately(ticks, now)
    assert requests == pytest.approx(10, rel=0.05)
    assert records == pytest.approx(950, rel=0.05)


def test_there_is_none_before_anything_was_noted():
    assert _lately([], 5.0) == (None, None)
    assert _lately([Tick(at=1_400, sent=5)], 5_000.0) == (None, None)


def test_an_object_of_a_job_that_was_planned_anew_is_refused(job):
    check_current(job.directory, job.manifest)
    job.manifest.model_copy(update={"created": 1.0}).write(job.directory)
    with pytest.raises(JobError, match="planned anew"):
        check_current(job.directory, job.manifest)


def run(ledger: Ledger, at: int, *, seconds: float | None) -> None:
    """A run of 40 requests, that was killed where its duration is None."""
    record_start(ledger, "https://api.example.com")
    ledger.commit([], [], *jobs.ticks(1, start=jobs.NOW + at))
    if seconds is not None:
        record_end(ledger, seconds, None)


def test_the_beginning_and_the_end_of_a_run_are_one_transaction_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = jobs.make_job(tmp_path / "a.job")
    ended: list[int] = []
    write = LedgerFile.transaction

    @contextmanager
    def counted(file: LedgerFile) -> Iterator[sqlite3.Connection]:
        with write(file) as connection:
            yield connection
        ended.append(1)

    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        monkeypatch.setattr(LedgerFile, "transaction", counted)
        record_start(ledger, "https://api.example.com")
        assert len(ended) == 1
        record_end(ledger, 1.5, None)
        assert len(ended) == 2


def test_the_rate_is_that_of_the_runs_which_came_to_their_end(tmp_path: Path):
    job = jobs.make_job(tmp_path / "a.job")
    jobs.deliver(job, [(0, 9, State.DELIVERED, "")])
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        assert seconds_at_work(ledger) is None
        run(ledger, 0, seconds=8.0)
        assert seconds_at_work(ledger) == 8
        run(ledger, 100, seconds=2.0)
        assert seconds_at_work(ledger) == 10
    assert job.status().rate == pytest.approx(80 / 10)
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        run(ledger, 200, seconds=None)
        assert seconds_at_work(ledger) is None
        run(ledger, 300, seconds=10.0)
        assert seconds_at_work(ledger) is None
    assert job.status().requests.sent == 160
    assert job.status().rate == pytest.approx(120 / 20)


def test_the_last_run_has_a_start_and_once_it_is_over_an_end_by_the_clock_of_the_ledger(tmp_path):
    moments = iter([1_000.0, 1_002.5, 2_000.0])
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, create=True, clock=lambda: next(moments)) as ledger:
        assert last_run(ledger) == (None, None)
        record_start(ledger, "https://api.example.com")
        assert last_run(ledger) == (1_000.0, None)
        record_end(ledger, 1.5, Stop(StopKind.LIMIT, "enough"))
        assert last_run(ledger) == (1_000.0, 1_002.5)
        record_start(ledger, "https://api.example.com")  # and was killed
        assert last_run(ledger) == (2_000.0, None)
