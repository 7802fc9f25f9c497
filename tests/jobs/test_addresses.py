"""A job belongs to one address from its first intent on."""

from __future__ import annotations

import pytest

from backfill.core.errors import ChangedError, LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.jobs.addresses import address_of_job, bind_address, release_address
from backfill.jobs.run_history import record_start
from backfill.ledger import Ledger
from tests.jobs.past import SOME, URL, stands, told

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
