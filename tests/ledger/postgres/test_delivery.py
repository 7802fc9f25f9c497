"""A delivery that PostgreSQL holds the ledger of is cut off in its middle: nothing goes twice."""

from __future__ import annotations

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import State
from tests.deliver.conftest import Job
from tests.deliver.fakes import Request, Store, accepted
from tests.deliver.jobs import make_job
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.server import PostgresServer

RECORDS = 110

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_delivery_that_loses_its_database_twice_sends_nothing_twice(
    tmp_path, postgres: PostgresServer
) -> None:
    job = Job(tmp_path, make_job(tmp_path, lanes=((40, 40), (30,))))
    place = PostgresPlace(postgres.address)
    store = Store()
    with place.open(create=True) as ledger:
        assert await job.run(store, ledger=ledger, limit=30) is not None
        assert len(store.stored) == 30
        assert ledger.counts()[State.DELIVERED] == 30

    with place.open() as ledger:

        def behave(store: Store, request: Request):
            store.store(request)
            if len(store.stored) == 50:
                cut(ledger)  # it comes back at once, and the run goes on
            if len(store.stored) == 80:
                place.tamper("UPDATE owner SET epoch = epoch + 1")  # and here it does not
                store.behave = None
            return accepted(request)

        store.behave = behave
        with pytest.raises(LedgerError, match="any more"):
            await job.run(store, ledger=ledger)
    assert 80 <= len(store.stored) < RECORDS

    with place.open() as ledger:
        assert await job.run(store, ledger=ledger) is None
        counts = ledger.counts()
        assert counts[State.DELIVERED] + counts[State.UNKNOWN] == RECORDS
    assert len(store.stored) == len(set(store.stored)), "nothing twice"
    assert RECORDS - len(store.stored) <= counts[State.UNKNOWN] <= 3, "at most one a lane"
