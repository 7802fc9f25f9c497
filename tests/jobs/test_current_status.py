"""How a job stands, by its manifest and its ledger: phase, books, rate, and what to type next."""

from __future__ import annotations

import time

import pytest

from backfill.core.errors import JobError
from backfill.core.model import State, Stop, StopKind
from backfill.jobs.run_history import last_base_url, record_end, record_start
from backfill.jobs.status import Phase
from backfill.ledger import Ledger
from tests.jobs.past import ALL, SOME, URL, stands, told
from tests.report import jobs

REFUSED = Stop(StopKind.REFUSED, "401")
LIMIT = Stop(StopKind.LIMIT, "enough")
WAIT = Stop(StopKind.UNAVAILABLE, "the destination asks to wait 700 s", 1_700_000_700.0)


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


# --- why the last run ended -------------------------------------------------------------------


def test_the_end_of_the_last_run_is_remembered_until_the_next_begins(job, ledger):
    told(job, SOME)
    assert stands(job, ledger).stop is None
    record_end(ledger, 1.0, REFUSED)
    assert stands(job, ledger).stop == REFUSED
    assert stands(job, ledger, stop=LIMIT).stop == LIMIT
    record_start(ledger, URL)
    assert stands(job, ledger).stop is None


def test_a_run_that_ended_before_its_first_request_is_remembered_too(job, ledger):
    """An earlier wait may still hold, as the destination asked for it."""
    record_start(ledger, URL)
    record_end(ledger, 0.0, WAIT)
    status = stands(job, ledger)
    assert (status.phase, status.stop, status.exit_code) == (Phase.PLANNED, WAIT, 7)


def test_a_run_that_was_killed_before_its_first_request_was_terminated(job, ledger):
    assert stands(job, ledger).exit_code == 0, "there was no run, whatever was rejected"
    record_start(ledger, URL)
    assert stands(job, ledger).exit_code == 143


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
