"""Runs of a job with a shared ledger whose connection breaks at an awkward moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import StopKind
from backfill.deliver import StopRequest
from tests.jobs.access.test_shared_ledger import ROWS, Machine, place_of
from tests.ledger.places import PostgresPlace
from tests.ledger.postgres.wire import Wire, cutting, wire_to


@pytest.fixture
def wire(postgres) -> Iterator[Wire]:
    with wire_to(postgres.port) as wire:
        yield wire


@pytest.fixture
def wired(tmp_path, postgres, wire) -> Iterator[Machine]:
    """One that reaches its database by a wire."""
    machine = Machine(tmp_path / "one", tmp_path / "jobs", wire.address)
    yield machine
    PostgresPlace(postgres.address, place_of(machine.directory).schema).drop()


def test_one_that_begins_anew_waits_for_a_database_that_breaks_right_then(
    wired, wire, postgres, caplog
) -> None:
    """Found by simulation: one that had lost a bucket ended with an error at the first break."""
    job = wired.plan()
    place = PostgresPlace(postgres.address, place_of(job.directory).schema)
    breaks: dict[bytes, int] = {}

    def lose_a_bucket() -> None:
        wired.store.asked = lambda: None
        place.tamper("UPDATE owner SET epoch = epoch + 1")
        breaks.update({b"client_encoding": 2, b"backend_start FROM pg_stat": 1, b"BEGIN ISO": 1})

    wire.to_server, wired.store.asked = cutting(breaks), lose_a_bucket
    status = wired.run(job, guarantee="at-least-once", concurrency=1)
    assert (set(breaks.values()), status.phase) == ({0}, "complete")
    assert "is not this process's any more" in caplog.text
    assert len(set(wired.store.stored)) == ROWS


def test_a_run_that_has_ended_needs_no_new_connection_to_say_so(wired, wire) -> None:
    """Found by simulation: a database that broke right then had a run fail that had finished."""
    over = []

    def to_server(content: bytes) -> bytes | None:
        over.extend([True] * (b"leave_run" in content))
        return None if over and b"client_encoding" in content else content

    job = wired.plan()
    wire.to_server = to_server
    assert wired.run(job).phase == "complete"
    assert over
    wire.to_server = bytes


def test_a_run_that_is_told_to_end_does_not_wait_long_for_its_database(
    tmp_path, postgres, monkeypatch
) -> None:
    monkeypatch.setattr("backfill.ledger.postgres.session._BRIEFLY", 0.5)
    with postgres.database() as address:
        machine = Machine(tmp_path / "one", tmp_path / "jobs", address)
        job = machine.plan()
        halt = StopRequest()

        def replace_the_primary() -> None:
            machine.store.asked = lambda: None
            postgres.replace(address)
            threading.Timer(0.5, halt.request, [StopKind.TERMINATED]).start()

        machine.store.asked = replace_the_primary
        with pytest.raises(LedgerError, match="can only be read"):
            machine.run(job, halt=halt)


def test_a_database_that_can_only_be_read_for_a_while_costs_no_reply(tmp_path, postgres) -> None:
    """Found from outside: what had been answered as a primary was replaced became unknown."""
    with postgres.database() as address:
        machine = Machine(tmp_path / "one", tmp_path / "jobs", address)
        job = machine.plan()
        asked: list[None] = []

        def replace_the_primary() -> None:
            asked.append(None)
            if len(asked) == ROWS // 2:
                threading.Timer(0.5, postgres.replace(address)).start()

        machine.store.asked = replace_the_primary
        status = machine.run(job, rate="200/s")
        assert (status.phase, status.books.delivered) == ("complete", ROWS)
        assert sorted(machine.store.stored) == sorted(set(machine.store.stored))
        assert status.requests.sent == ROWS
