"""How a job stands, by its manifest and its ledger: phase, books, rate, and what to type next."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backfill.core.errors import ChangedError, JobError, LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State, Stop, StopKind, Tick
from backfill.jobs.run_history import (
    _lately,
    address_of_job,
    bind_address,
    check_current,
    last_base_url,
    record_end,
    record_start,
    release_address,
    seconds_at_work,
    standing,
)
from backfill.jobs.status import Phase, Status
from backfill.ledger import Ledger
from tests.report import jobs

URL = "https://api.example.com"
REFUSED = Stop(StopKind.REFUSED, "401")
LIMIT = Stop(StopKind.LIMIT, "enough")


@pytest.fixture
def job(tmp_path: Path):
    """75 records came in: 5 were rejected, 5 are duplicates, and 65 are to be sent."""
    return jobs.make_job(tmp_path / "a.job", buckets=(40, 25), rejected=5, duplicate=5)


@pytest.fixture
def ledger(job):
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        yield ledger


def stands(job, ledger: Ledger, **changes) -> Status:
    given = {"running": False, "name": "a.toml", "base_url": URL, **changes}
    return standing(job.directory, job.manifest, ledger, **given)


def told(job, history: jobs.History) -> None:
    """A past of one request for each entry."""
    jobs.deliver(job, history, [Tick(jobs.NOW, sent=len(history))])


ALL = [(0, 40, State.DELIVERED, ""), (1, 25, State.DELIVERED, "")]
SOME = [(0, 40, State.DELIVERED, ""), (1, 3, State.FAILED, "bad"), (1, 2, State.UNKNOWN, "")]


# --- phases and books -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "running", "phase"),
    [
        ([], False, Phase.PLANNED),
        (SOME[:1], False, Phase.STOPPED),
        (ALL, False, Phase.COMPLETE),
        ([], True, Phase.RUNNING),
        (ALL, True, Phase.RUNNING),
    ],
)
def test_the_phase_is_told_by_what_was_sent_and_what_is_pending(
    job, ledger, history, running, phase
):
    if history:
        told(job, history)
    assert stands(job, ledger, running=running).phase is phase


def test_the_books_are_those_of_the_manifest_and_the_ledger(job, ledger):
    told(job, SOME)
    job.manifest = job.manifest.model_copy(update={"dropped": {"contact.email": 2}})
    status = stands(job, ledger)
    assert status.dropped == {"contact.email": 2}
    assert (status.job, status.destination) == (str(job.directory), "pristo-events")
    assert status.books.as_dict() == {
        "input": 75, "excluded": 0, "rejected": 5, "duplicate": 5, "pending": 20,
        "delivered": 40, "failed": 3, "unknown": 2,
    }  # fmt: skip
    assert status.books.balanced
    assert status.requests.sent == 3
    assert status.reasons == {"contact.id|uuid": 5}


def test_books_that_do_not_balance_have_no_standing(job, ledger):
    (job.directory / "ready" / "001.parquet").unlink()
    with pytest.raises(JobError, match="THE BOOKS DO NOT BALANCE"):
        stands(job, ledger)


# --- one address ------------------------------------------------------------------------------

BATCH = Batch(0, 0, ((0, 1),))


def test_an_address_is_kept_from_the_first_intent_on(job, ledger):
    assert bind_address(job.directory, job.manifest, ledger, f"{URL}/v2")
    assert address_of_job(ledger) is None
    ledger.commit([], [BATCH])
    assert address_of_job(ledger) == URL
    assert (stands(job, ledger).address, stands(job, ledger).rehearsal) == (URL, False)
    ledger.close()
    with Ledger.open(job.directory / "ledger.sqlite") as again:  # as after a crash
        assert not bind_address(job.directory, job.manifest, again, URL)
        with pytest.raises(ChangedError, match=r"of https://api.example.com"):
            bind_address(job.directory, job.manifest, again, "http://127.0.0.1:8080")


def test_an_intent_that_is_not_written_binds_to_no_address(job, ledger):
    bind_address(job.directory, job.manifest, ledger, URL)
    with pytest.raises(LedgerError):
        ledger.commit([Settlement(BATCH)], [BATCH])
    assert address_of_job(ledger) is None
    ledger.commit([], [BATCH])
    assert address_of_job(ledger) == URL


def test_a_run_that_reached_nobody_leaves_the_address_open(job, ledger):
    bind_address(job.directory, job.manifest, ledger, URL)
    ledger.commit([], [BATCH])
    ledger.commit([Settlement(BATCH)], [])
    release_address(ledger)
    assert address_of_job(ledger) is None
    assert bind_address(job.directory, job.manifest, ledger, "https://other.example.com")
    ledger.commit([], [BATCH])
    ledger.commit([Settlement(BATCH, (Outcome(((0, 1),), State.FAILED),))], [])
    release_address(ledger)
    assert address_of_job(ledger) == "https://other.example.com"


def test_a_job_of_an_older_version_belongs_to_the_address_of_its_last_run(job, ledger):
    record_start(ledger, f"{URL}/")
    assert address_of_job(ledger) is None
    told(job, SOME)
    assert address_of_job(ledger) == URL


# --- why the last run ended -------------------------------------------------------------------


def test_the_end_of_the_last_run_is_remembered_until_the_next_begins(job, ledger):
    told(job, SOME)
    assert stands(job, ledger).stop is None
    record_end(ledger, 1.0, REFUSED)
    assert stands(job, ledger).stop == REFUSED
    assert stands(job, ledger, stop=LIMIT).stop == LIMIT
    record_start(ledger, URL)
    assert stands(job, ledger).stop is None


def test_a_run_that_reached_its_limit_with_the_last_record_has_simply_finished(job, ledger):
    told(job, ALL)
    record_end(ledger, 1.0, LIMIT)
    assert stands(job, ledger).stop is None
    assert stands(job, ledger, stop=LIMIT).stop is None
    assert stands(job, ledger, stop=REFUSED).stop == REFUSED


# --- rates and times --------------------------------------------------------------------------


def test_rate_and_time_left_are_those_of_all_runs(job, ledger):
    assert (stands(job, ledger).rate, stands(job, ledger).seconds_left) == (None, None)
    told(job, SOME)
    assert (stands(job, ledger).rate, stands(job, ledger).seconds_left) == (None, None)
    record_end(ledger, 2.0, None)
    record_end(ledger, 4.0, None)
    status = stands(job, ledger)
    assert status.rate == pytest.approx(3 / 6)
    assert status.seconds_left == pytest.approx(20 / (45 / 6))


def test_a_run_that_sent_nothing_has_no_rate(job, ledger):
    record_end(ledger, 2.0, REFUSED)
    assert (stands(job, ledger).rate, stands(job, ledger).seconds_left) == (None, None)


def test_a_complete_job_takes_no_more_time(job, ledger):
    told(job, ALL)
    record_end(ledger, 2.0, None)
    assert stands(job, ledger).rate == 1.0
    assert stands(job, ledger).seconds_left is None


def test_a_quiet_period_is_told_while_it_lasts(job, ledger):
    assert stands(job, ledger).quiet_until is None
    ledger.set_quiet_until(time.time() - 1)
    assert stands(job, ledger).quiet_until is None
    until = time.time() + 3_600
    ledger.set_quiet_until(until)
    assert stands(job, ledger).quiet_until == pytest.approx(until, abs=5)


def test_the_rate_of_a_running_job_is_that_of_the_last_minute():
    now = int(time.time())
    ticks = [
        *(Tick(at=now - ago, sent=10**6, delivered=10**6) for ago in (3_600, 70)),
        *(Tick(at=now - 10 * step, sent=100, delivered=9_000, failed=500) for step in range(1, 6)),
    ]
    requests, records = _lately(ticks)
    assert requests == pytest.approx(10, rel=0.05)
    assert records == pytest.approx(950, rel=0.05)


def test_there_is_none_before_anything_was_noted():
    assert _lately([]) == (None, None)
    assert _lately([Tick(at=int(time.time()) - 3_600, sent=5)]) == (None, None)


def test_a_running_jobs_own_seconds_are_not_asked(job, ledger):
    told(job, SOME)
    record_end(ledger, 2.0, None)
    assert stands(job, ledger, running=True).rate is None


# --- what to type next ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "states", "expected"),
    [
        (None, [None], "backfill run a.toml"),
        (URL, [None], "backfill run a.toml"),
        ("http://127.0.0.1:8080", [None], "backfill run a.toml --base-url http://127.0.0.1:8080"),
        (URL, [State.UNKNOWN, State.FAILED], "backfill records {} --state unknown -o unknown.csv"),
        (URL, [State.FAILED, State.DELIVERED], "backfill records {} --state failed -o failed.csv"),
        (URL, [State.DELIVERED], "backfill records {} --state rejected -o rejected.csv"),
    ],
)
def test_the_next_command_is_for_what_weighs_most(job, ledger, last, states, expected):
    if last is not None:
        record_start(ledger, last)
        assert last_base_url(ledger) == last
    first, *others = states
    told(job, [(0, 39, first, ""), (0, 1, others[0] if others else first, ""), (1, 25, first, "")])
    assert stands(job, ledger).next == expected.format(job.directory)


def test_a_running_job_is_looked_at_and_one_without_a_blemish_needs_nothing(tmp_path):
    clean = jobs.make_job(tmp_path / "my jobs" / "b.job", rejected=0)
    told(clean, ALL)
    with Ledger.open(clean.directory / "ledger.sqlite") as ledger:
        assert stands(clean, ledger).next is None
        assert stands(clean, ledger, running=True).next == f"backfill status '{clean.directory}'"


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
