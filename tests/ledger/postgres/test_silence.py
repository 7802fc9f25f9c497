"""A database that takes what is sent and answers nothing, as a frozen one does."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.ledger.postgres import PostgresLedger, session, silence
from backfill.ledger.postgres.session import Session
from tests.ledger.places import PostgresPlace
from tests.ledger.postgres.server import PostgresServer
from tests.ledger.postgres.wire import Wire, wire_to

BOUND = 20  # seconds that are more than enough with the limits below


def batch(start: int) -> Batch:
    return Batch(0, 0, ((start, start + 5),))


def delivered(sent: Batch) -> Settlement:
    return Settlement(sent, (Outcome(sent.ranges, State.DELIVERED),))


def nothing(content: bytes) -> bytes:
    del content
    return b""


@pytest.fixture
def place(postgres: PostgresServer) -> PostgresPlace:
    place = PostgresPlace(postgres.address)
    place.open(create=True).close()
    return place


@pytest.fixture
def wire(postgres: PostgresServer) -> Iterator[Wire]:
    with wire_to(postgres.port) as wire:
        yield wire


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "_UNANSWERED", 0.2)
    monkeypatch.setattr(silence, "_TRIED", 0.2)
    monkeypatch.setattr(silence, "_EVERY", 0.05)
    monkeypatch.setattr(session, "_CONNECT_WITHIN", 2)


class Then(logging.Handler):
    """Does something once it is said that the database does not answer."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self.action = action

    def emit(self, record: logging.LogRecord) -> None:
        if "does not answer" in record.getMessage():
            self.action()


@contextlib.contextmanager
def once_told(action: Callable[[], None]) -> Iterator[None]:
    handler = Then(action)
    session.log.addHandler(handler)
    try:
        yield
    finally:
        session.log.removeHandler(handler)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("lost", ["the answer", "the call"])
def test_a_commit_goes_on_once_the_database_answers_again(place, wire, caplog, lost) -> None:
    with PostgresPlace(wire.address, place.schema).open() as ledger:
        ledger.commit([], [batch(0)])
        aside: list[bool] = []

        def answer_again() -> None:
            aside.append(ledger.away)
            wire.to_server = wire.to_client = bytes

        wire.to_client = nothing
        if lost == "the call":
            wire.to_server = nothing
        with caplog.at_level("WARNING"), once_told(answer_again):
            ledger.commit([delivered(batch(0))], [batch(5)])
        assert aside == [True], "who looks on is told"
        assert not ledger.away
        assert ledger.counts()[State.DELIVERED] == 5
        assert ledger.in_flight() == 5
    said = [each.getMessage() for each in caplog.records]
    assert [each.partition(") ")[2][:24] for each in said] == [
        "does not answer; nothing",
        "is back",
    ]


@pytest.mark.usefixtures("soon")
def test_one_that_never_answers_again_is_given_up_after_patience(place, wire) -> None:
    with place.open() as ledger:
        ledger.commit([], [batch(0)])
    with PostgresLedger.open(wire.address, place.schema, patience=0.5) as ledger:
        ledger.take(0)
        wire.to_client = nothing
        began = time.monotonic()
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.commit([], [batch(5)])
        assert time.monotonic() - began < BOUND


@pytest.mark.usefixtures("soon")
def test_a_run_that_is_to_end_does_not_wait_for_an_answer(place, wire, monkeypatch) -> None:
    monkeypatch.setattr(silence, "_UNANSWERED", 3600.0)
    monkeypatch.setattr(session, "_BRIEFLY", 0.3)
    with PostgresPlace(wire.address, place.schema).open() as ledger:
        wire.to_client = nothing
        ledger.hurry()
        began = time.monotonic()
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.commit([], [batch(0)])
        assert time.monotonic() - began < BOUND


@pytest.mark.usefixtures("soon")
def test_one_that_is_only_slow_is_waited_for_on_the_same_connection(place) -> None:
    with contextlib.closing(Session(place.address, place.schema, lease=10, patience=0)) as asked:
        before = asked.rows("SELECT pg_backend_pid()")
        assert asked.rows("SELECT pg_backend_pid() FROM pg_sleep(1)") == before


@pytest.mark.usefixtures("soon")
def test_a_refusal_is_an_answer(postgres, wire) -> None:
    assert silence.answers(postgres.address, within=1)
    assert silence.answers(postgres.address.replace("backfill@", "nobody@"), within=1)
    wire.to_client = nothing
    assert not silence.answers(wire.address, within=1)


@pytest.mark.usefixtures("soon")
def test_it_is_tried_without_a_password_where_its_file_is_gone(postgres, wire, monkeypatch) -> None:
    """Else the thread that looks on would end, and a silent database be waited for without end."""
    monkeypatch.setenv("PGPASSWORD_FILE", "/nowhere/secret")
    assert silence.answers(postgres.address, within=1)
    wire.to_client = nothing
    assert not silence.answers(wire.address, within=1)


@pytest.mark.usefixtures("soon")
def test_a_new_connection_that_falls_silent_is_not_waited_for(postgres, wire) -> None:
    """Let in, and no word after that."""
    wire.to_client = lambda content: b"" if b"server_encoding" in content[-40:] else content
    wire.to_server = lambda content: b"" if b"pg_is_in_recovery" in content else content
    with once_told(lambda: setattr(wire, "to_client", nothing)):
        assert silence.answers(postgres.address, within=1)
        wire.to_server = lambda content: b"" if b"SELECT" in content else content
        assert not silence.answers(wire.address, within=1)
        with pytest.raises(LedgerError, match="cannot be reached"):
            PostgresLedger.open(wire.address, "anything")
