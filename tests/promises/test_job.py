"""A job and a log that do not belong together are seen, whichever of them is false."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from backfill.config import load_config
from backfill.core.secret import Secret
from backfill.jobs.opening import open_job, plan_job
from backfill.sandbox import running_sandbox
from tests.acceptance.sources import pristo_job
from tests.promises import Finding, ServerLog, check_job, log_of, sandbox_log

SECRET = "promises-5e2c1a90-credential"  # noqa: S105 - it opens nothing


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A job that stopped at its limit, with failed and unknown records, and the server's log."""
    home = tmp_path_factory.mktemp("promises")
    config, log = pristo_job(home, 120, contacts=7), home / "log.ndjson"
    faults = ["422=5%", "cut-after=5%", "cut-before=5%"]
    with running_sandbox(log=log, faults=faults, seed=3) as server:
        job = plan_job(load_config(config), home / "x.job")
        job.run(
            observe=lambda _: None,
            credential=Secret(SECRET),
            base_url=server.url,
            limit=100,
            max_errors="100%",
        )
        assert sandbox_log(server, "pristo-events") == log_of(log)
    return home / "x.job", log


@pytest.fixture
def job(ended, tmp_path) -> Path:
    return Path(shutil.copytree(ended[0], tmp_path / "x.job"))


@pytest.fixture
def log(ended) -> ServerLog:
    return log_of(ended[1])


def kind_of_finding(job: Path, log: ServerLog) -> str:
    with pytest.raises(Finding) as found:
        check_job(job, log, secret=SECRET)
    return found.value.kind


def change(job: Path, statement: str) -> None:
    with closing(sqlite3.connect(job / "ledger.sqlite")) as ledger, ledger:
        assert ledger.execute(statement).rowcount > 0


def test_a_true_account(job, log):
    states = check_job(job, log, secret=SECRET)
    assert states.total() == 120
    assert {"delivered", "failed", "unknown", "pending"} <= states.keys()


def test_a_log_that_lacks_a_record(job, log):
    delivered = set(open_job(job).records("delivered")["order_no"])
    at = next(n for n, each in enumerate(log.stored) if any(f'"{d}"' in each for d in delivered))
    stored = [*log.stored[:at], *log.stored[at + 1 :]]
    assert kind_of_finding(job, ServerLog(stored)) == "delivered, and not stored"


def test_a_log_that_has_a_record_twice(job, log):
    assert kind_of_finding(job, ServerLog([*log.stored, log.stored[-1]])) == "stored twice"


def test_a_log_in_another_order(job, log):
    found = kind_of_finding(job, ServerLog(log.stored[::-1]))
    assert found == "stored after a later record of its key"


def test_overlaps(job, log):
    assert kind_of_finding(job, ServerLog(log.stored, 1)) == "two requests of one key at once"


@pytest.mark.parametrize("state", ["failed", "resend"])
def test_a_ledger_that_tells_too_little(job, log, state):
    open_job(job).resolve(state)  # of what is unknown, some was stored
    assert kind_of_finding(job, log) == "stored, and told as pending or failed"


def test_a_ledger_that_tells_too_much(job, log):
    open_job(job).resolve("delivered")  # and some was not
    assert kind_of_finding(job, log) == "delivered, and not stored"


def test_a_ledger_whose_entries_differ(job, log):
    change(job, "UPDATE span SET state = 'failed' WHERE state = 'unknown'")
    assert kind_of_finding(job, log) == "the job cannot be read"


def test_a_status_that_tells_something_else(job, log, monkeypatch):
    status = open_job(job).status()
    books = status.books
    false = replace(books, failed=books.failed + 1, unknown=books.unknown - 1)
    monkeypatch.setattr("backfill.jobs.job.Job.status", lambda _: replace(status, books=false))
    assert kind_of_finding(job, log) == "status and records differ"


def test_records_that_tell_something_else(job, log, monkeypatch):
    records = pl.DataFrame(open_job(job).records())
    states = records["_state"].to_list()
    one, other = states.index("failed"), states.index("unknown")
    states[one], states[other] = states[other], states[one]
    false = records.with_columns(pl.Series("_state", states, records.schema["_state"]))
    monkeypatch.setattr("backfill.jobs.job.Job.records", lambda *_: false)
    assert kind_of_finding(job, log) == "records and ledger differ"


def test_books_that_do_not_balance(job, log, monkeypatch):
    from backfill.core.model import Books

    monkeypatch.setattr(Books, "balanced", False)
    assert kind_of_finding(job, log) == "the books do not balance"


def test_a_credential_that_was_written_down(job, log):
    (job / "notes.txt").write_text(f"key={SECRET}")
    assert kind_of_finding(job, log) == "the credential was written down"
