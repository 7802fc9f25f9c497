"""A connection that breaks, and databases that cannot keep the promises."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from backfill.core.errors import ConfigError, LedgerError, OwnershipError
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.ledger.postgres import PostgresLedger, session
from backfill.ledger.postgres.session import Session
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.pooler import PGBOUNCER, running_pooler
from tests.ledger.postgres.server import PostgresServer
from tests.ledger.postgres.wire import cutting, losing, wire_to


def batch(start: int) -> Batch:
    return Batch(0, 0, ((start, start + 5),))


def delivered(sent: Batch) -> Settlement:
    return Settlement(sent, (Outcome(sent.ranges, State.DELIVERED),))


@pytest.fixture
def place(postgres: PostgresServer) -> PostgresPlace:
    place = PostgresPlace(postgres.address)
    place.open(create=True).close()
    return place


@pytest.mark.parametrize("lost", ["the answer", "the call", "both, one after the other"])
def test_a_commit_without_an_answer_is_looked_up_and_written_once(postgres, place, lost) -> None:
    cuts = {"the answer": ["answer"], "the call": ["call"]}.get(lost, ["answer", "call"])
    with wire_to(postgres.port) as wire:
        through = PostgresPlace(wire.address, place.schema)
        with through.open() as ledger:
            ledger.commit([], [batch(0)])
            wire.to_server, wire.to_client = losing(cuts, b'"settled"', b"write_down")
            ledger.commit([delivered(batch(0))], [batch(5)])
            if cuts:
                ledger.commit([delivered(batch(5))], [batch(10)])
            assert cuts == []
            wire.to_server = wire.to_client = bytes
            ended = 5 if len(lost) < 12 else 10
            assert ledger.counts()[State.DELIVERED] == ended
            assert ledger.in_flight() == 5
            ledger.commit([delivered(batch(ended))], [])
            assert ledger.settled(0) == [(0, ended + 5)]


@pytest.mark.parametrize("lost", ["answer", "call"])
@pytest.mark.parametrize("chosen", [None, {0: [(0, 3)]}], ids=["all", "some"])
def test_a_decision_without_an_answer_is_made_once_and_tells_how_many(
    postgres, place, chosen, lost
) -> None:
    with place.open() as ledger:
        ledger.commit([], [batch(0)])
        failed = Outcome(batch(0).ranges, State.FAILED, "no")
        ledger.commit([Settlement(batch(0), (failed,))], [])
        for bucket in range(4):
            ledger.release(bucket)
    cuts = [lost]
    with (
        wire_to(postgres.port) as wire,
        contextlib.closing(PostgresLedger.open(wire.address, place.schema)) as ledger,
    ):
        while not ledger.be_alone():
            time.sleep(0.005)
        wire.to_server, wire.to_client = losing(cuts, b"SELECT decide")
        assert ledger.retry(chosen) == (5 if chosen is None else 3)
        assert cuts == []
        assert ledger.counts()[State.FAILED] == (0 if chosen is None else 2)
        assert len(ledger.attempts(0, 0)) == 1


def test_a_database_that_crashes_and_comes_back_is_waited_for(monkeypatch, caplog) -> None:
    monkeypatch.setattr(session, "_SILENCE", 0.0)
    server = PostgresServer()
    try:
        place = PostgresPlace(server.address)
        with place.open(create=True) as ledger:
            ledger.commit([], [batch(0)])
            server.stop(signal.SIGQUIT)
            back = threading.Timer(0.7, server.start)
            back.start()
            ledger.commit([delivered(batch(0))], [batch(5)])
            back.join()
            away, again = (record.getMessage() for record in caplog.records)
            assert ("until it is back: " in away, again.endswith(" is back")) == (True, True)
            assert ledger.counts()[State.DELIVERED] == 5
            assert ledger.in_flight() == 5
            ledger.commit([delivered(batch(5))], [])
            cut(ledger)
            assert ledger.settled(0) == [(0, 10)], "a question is asked again, too"
        with PostgresLedger.open(place.address, place.schema, patience=0.2) as ledger:
            ledger.take(0)
            server.stop()
            began = time.monotonic()
            with pytest.raises(LedgerError, match="cannot be reached") as caught:
                ledger.commit([], [batch(10)])
            assert time.monotonic() - began < 5
            assert "same command again" in str(caught.value)
    finally:
        server.remove()


@pytest.fixture
def replaced(postgres: PostgresServer) -> Iterator[PostgresPlace]:
    """A ledger in a database of its own, whose primary is about to be replaced by another one."""
    with postgres.database() as address:
        place = PostgresPlace(address)
        place.open(create=True).close()
        yield place


@pytest.mark.parametrize("cuts", [True, False], ids=["new connection", "old connection"])
def test_a_database_that_can_only_be_read_for_a_while_is_waited_for(
    postgres, replaced, monkeypatch, caplog, cuts
) -> None:
    """Found from outside: a failover of some seconds ended every deliverer, and what had been
    answered became unknown.
    """
    monkeypatch.setattr(session, "_SILENCE", 0.0)
    with replaced.open() as ledger:
        ledger.commit([], [batch(0)])
        before, seen = ledger.deadline, []

        def go_on_once_it_was_said() -> None:
            until = time.monotonic() + 10
            while not caplog.records and time.monotonic() < until:
                time.sleep(0.01)
            seen.append(ledger.deadline)
            go_on()

        go_on = postgres.replace(replaced.address, cut=cuts)
        if not cuts:
            ledger._session._connection.execute("SET default_transaction_read_only = on")
        thread = threading.Thread(target=go_on_once_it_was_said)
        thread.start()
        ledger.commit([delivered(batch(0))], [batch(5)])
        thread.join()
        assert seen == [before] or not cuts, "one that can only be read renews no lease"
        away, again = (record.getMessage() for record in caplog.records)
        assert "nothing is sent until it is back: the database can only be read" in away
        assert again.endswith(" is back")
        assert ledger.counts()[State.DELIVERED] == 5
        assert ledger.in_flight() == 5
        ledger.commit([delivered(batch(5))], [])


def test_whoever_is_to_end_waits_only_briefly_and_only_once(
    postgres, replaced, monkeypatch, caplog
) -> None:
    """Found from outside: a run that was told to end waited for its database for 5 minutes."""
    monkeypatch.setattr(session, "_SILENCE", 0.0)
    monkeypatch.setattr(session, "_BRIEFLY", 0.6)
    with PostgresLedger.open(replaced.address, replaced.schema) as ledger:
        ledger.take(0)
        go_on = postgres.replace(replaced.address)

        def hurry_once_it_was_said() -> None:
            until = time.monotonic() + 10
            while not caplog.records and time.monotonic() < until:
                time.sleep(0.01)
            ledger.hurry()

        thread = threading.Thread(target=hurry_once_it_was_said)
        thread.start()
        with pytest.raises(LedgerError, match="can only be read"):
            ledger.commit([], [batch(0)])
        thread.join()
        monkeypatch.setattr(time, "sleep", pytest.fail)
        with pytest.raises(LedgerError, match="can only be read"):
            ledger.commit([], [batch(0)])
        go_on()
        ledger.commit([], [batch(0)])


def test_a_database_that_can_only_be_read_is_refused_at_first_and_after_a_while(
    postgres, replaced
) -> None:
    with PostgresLedger.open(replaced.address, replaced.schema, patience=0.2) as ledger:
        ledger.take(0)
        go_on = postgres.replace(replaced.address)
        with pytest.raises(LedgerError, match="can only be read"):
            ledger.commit([], [batch(0)])
    with pytest.raises(LedgerError, match="can only be read") as caught:
        PostgresLedger.open(replaced.address, replaced.schema)
    assert (caught.value.exit_code, "name the primary" in str(caught.value)) == (1, True)
    with replaced.look() as look:
        assert look.in_flight() == 0, "what was not written down is not there"
    with PostgresLedger.open_beside(replaced.address, replaced.schema) as beside:
        assert beside.get_meta("pace") is None
        with pytest.raises(LedgerError, match="can only be read"):
            beside.set_meta("pace", "{}")
    go_on()


def test_a_connection_that_breaks_again_while_it_is_made_anew_is_made_once_more(
    postgres, place
) -> None:
    """Found by simulation: a second break within a moment ended the run."""
    breaks = {b"backend_start FROM pg_stat": 1, b"pg_terminate_backend(pid, 5000)": 2}

    with wire_to(postgres.port) as wire:
        through = PostgresPlace(wire.address, place.schema)
        with through.open() as ledger:
            ledger.commit([], [batch(0)])
            wire.to_server = cutting(breaks)
            cut(ledger)
            ledger.commit([delivered(batch(0))], [batch(5)])
            assert set(breaks.values()) == {0}
            assert ledger.counts()[State.DELIVERED] == 5
            assert ledger.in_flight() == 5
            ledger.commit([delivered(batch(5))], [])


def test_on_a_new_connection_nothing_is_sent_for_a_bucket_that_another_one_may_have(
    postgres, place
) -> None:
    """Found by simulation: a request left after its bucket was known to be another one's, while
    the process asked for the next one; and whatever was answered until then renewed the deadline.
    """
    seen: list[tuple[bool, float]] = []

    def to_server(content: bytes) -> bytes:
        if b"retake(" in content:
            seen.append((ledger.may_send(), ledger.deadline))
        return content

    with wire_to(postgres.port) as wire:
        with PostgresPlace(wire.address, place.schema).open() as ledger:
            before = ledger.deadline
            place.tamper("UPDATE owner SET epoch = epoch + 1 WHERE bucket = 0")
            wire.to_server = to_server
            cut(ledger)
            with pytest.raises(OwnershipError, match="took bucket 0"):
                ledger.commit([], [batch(0)])
        assert seen[:2] == [(True, before), (False, before)]


def test_a_connection_that_breaks_as_a_ledger_is_opened_is_told_in_words(postgres, place) -> None:
    """Found by simulation: the driver's own error came out."""

    def to_server(content: bytes) -> bytes | None:
        return None if b"backend_start FROM pg_stat" in content else content

    with wire_to(postgres.port) as wire:
        wire.to_server = to_server
        with pytest.raises(LedgerError, match="cannot be reached"):
            PostgresLedger.open(wire.address, place.schema)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-csynchronous_commit%3Doff", "synchronous_commit is off"),
        ("-ctrack_activities%3Doff", "track_activities is off"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_refused(place, options, words) -> None:
    with pytest.raises(LedgerError, match=words):
        PostgresLedger.open(f"{place.address}?options={options}", place.schema)


PLAIN = "?sslmode=disable&gssencmode=disable"  # the first that the server says is its answer


def refusal(code: str, words: str, severity: str = "FATAL") -> bytes:
    """What a server says that takes no connection."""
    fields = f"S{severity}\0VFATAL\0C{code}\0M{words}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"R\x00\x00\x00\x08\x00\x00\x00\x03", "lets nobody in here .*no password supplied"),
        (refusal("28P01", 'password authentication failed for user "backfill"'), "nobody in here"),
        (refusal("3D000", 'database "nosuch" does not exist'), "there is no such database"),
        (refusal("42501", 'permission denied for database "postgres"'), "nobody in here"),
        (refusal("42704", 'unrecognized configuration parameter "foo"'), "nobody in here"),
    ],
)
def test_whom_the_database_does_not_let_in_has_to_mend_something(
    postgres, place, monkeypatch, said, words
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with wire_to(postgres.port) as wire:
        wire.to_client = lambda content: said
        with pytest.raises(LedgerError, match=words) as caught:
            PostgresLedger.open(wire.address + PLAIN, place.schema)
        assert caught.value.exit_code == 2


def test_tls_that_the_server_does_not_speak_is_named(place) -> None:
    with pytest.raises(LedgerError, match="by TLS") as caught:
        PostgresLedger.open(f"{place.address}?sslmode=require", place.schema)
    assert caught.value.exit_code == 2
    assert "sslmode" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("severity", "said"),
    [
        ("FATAL", "Passwort-Authentifizierung für Benutzer »backfill« fehlgeschlagen"),
        ("FATAL", "authentification par mot de passe échouée pour l'utilisateur « backfill »"),
        ("FATAL", "la autentificación password falló para el usuario «backfill»"),
        ("ВАЖНО", 'пользователь "backfill" не прошёл проверку подлинности (по паролю)'),
        ("致命错误", '用户 "backfill" Password 认证失败'),
    ],
)
def test_a_password_that_is_refused_in_another_language_is_one(
    postgres, place, monkeypatch, severity, said
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    asked: list[bytes] = []

    def to_client(content: bytes) -> bytes:
        if asked:
            return refusal("28P01", said, severity)
        asked.append(content)
        return b"R\x00\x00\x00\x08\x00\x00\x00\x03"  # a password, as it stands

    with wire_to(postgres.port) as wire:
        wire.to_client = to_client
        with pytest.raises(LedgerError, match="lets nobody in here") as caught:
            PostgresLedger.open(wire.address + PLAIN, place.schema)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        ("53300", "tut mir leid, schon zu viele Verbindungen", "cannot be used now"),
        ("53300", "sorry, too many clients already", "no connection left"),
        ("53100", 'could not write to file "x": No space left on device', "no room"),
        ("XX000", "could not write init file", "cannot be used now .*could not write init file"),
        ("58030", 'could not read file "base/5": Input/output error', "cannot be used now"),
    ],
)
def test_what_passes_by_itself_is_not_called_a_wrong_password(
    postgres, place, code, said, words
) -> None:
    """Exit code 2 would keep a service from starting it again once the database works."""
    with wire_to(postgres.port) as wire:
        wire.to_client = lambda content: refusal(code, said)
        with pytest.raises(LedgerError, match=words) as caught:
            PostgresLedger.open(wire.address + PLAIN, place.schema)
        assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "how", [PostgresLedger.open, PostgresLedger.open_readonly, PostgresLedger.named]
)
def test_a_database_that_is_starting_is_waited_for(postgres, place, how) -> None:
    """By a run from its very first look on, which is not the one that owns what it sends."""
    answers = [refusal("57P03", "the database system is starting up")] * 2
    with wire_to(postgres.port) as wire:
        wire.to_client = lambda content: answers.pop() if answers else content
        found = how(wire.address + PLAIN, place.schema)
        if isinstance(found, PostgresLedger):
            found.close()
    assert not answers


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a kernel without it")
@pytest.mark.parametrize(("said", "seconds"), [("", 20), ("?tcp_user_timeout=5000", 5)])
def test_a_network_that_falls_silent_is_a_connection_that_breaks(place, said, seconds) -> None:
    """Found from outside: it was waited for without a word, for hours."""
    with PostgresLedger.open(place.address + said, place.schema) as ledger:
        ledger.take(0)
        with socket.socket(fileno=os.dup(ledger._session._connection.fileno())) as wire:
            unheard = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert unheard == 1000 * seconds, "milliseconds"
        assert idle == 10, "seconds"


def test_limits_of_time_that_others_have_are_not_ours(place) -> None:
    address = f"{place.address}?options=-cstatement_timeout%3D400"
    with contextlib.closing(Session(address, place.schema, lease=10, patience=0)) as session:
        assert session.rows("SELECT 1 FROM pg_sleep(0.6)") == [(1,)]


def test_another_encoding_is_refused(postgres, place) -> None:
    with psycopg.connect(postgres.address, autocommit=True) as raw:
        raw.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
    address = postgres.address.replace("/postgres", "/plain")
    with pytest.raises(LedgerError, match="encoding is SQL_ASCII"):
        PostgresLedger.open(address, place.schema)


def test_a_pooler_is_refused(postgres, place) -> None:
    """One gives its clients process numbers of its own, as it has no process for each."""

    def another_number(content: bytes) -> bytes:
        at = content.find(b"K\x00\x00\x00\x0c")
        return content if at < 0 else content[: at + 5] + struct.pack("!i", 7) + content[at + 9 :]

    with wire_to(postgres.port) as wire:
        wire.to_client = another_number
        with pytest.raises(LedgerError, match="pooler, such as PgBouncer"):
            PostgresLedger.open(wire.address, place.schema)


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer: apt-get install pgbouncer")
def test_pgbouncer_is_refused_before_anything_is_made_or_changed(postgres, place) -> None:
    with running_pooler(postgres) as address:
        for create in (False, True):
            with pytest.raises(LedgerError, match="pooler, such as PgBouncer") as caught:
                PostgresLedger.open(address, "behind", create=create)
            assert "Name the database itself" in str(caught.value)
        with pytest.raises(LedgerError, match="pooler, such as PgBouncer"):
            PostgresLedger.open_readonly(address, place.schema)
    with psycopg.connect(postgres.address) as raw:
        assert raw.execute("SELECT to_regnamespace('behind')").fetchone() == (None,)


def test_a_newer_ledger_a_missing_one_and_one_without_rights_are_named(postgres, place) -> None:
    place.tamper("UPDATE version SET number = 99")
    for use in (PostgresLedger.open, PostgresLedger.open_readonly):
        with pytest.raises(LedgerError, match="version 99") as caught:
            use(place.address, place.schema)
        assert caught.value.exit_code == 2, "as for a manifest of a newer version"
        with pytest.raises(LedgerError, match="the ledger is missing"):
            use(place.address, "nowhere")
    with psycopg.connect(postgres.address, autocommit=True) as raw:
        raw.execute("CREATE ROLE visitor LOGIN")
    address = postgres.address.replace("backfill@", "visitor@")
    with pytest.raises(LedgerError, match="lacks a right"):
        PostgresLedger.open(address, "another", create=True)


def test_a_password_in_the_address_is_refused_and_not_repeated(place) -> None:
    address = place.address.replace("backfill@", "backfill:s3cret@")
    with pytest.raises(ConfigError, match="a password stands") as caught:
        PostgresLedger.open(address, place.schema)
    assert "s3cret" not in str(caught.value)


def test_two_who_make_it_at_once_make_one(postgres) -> None:
    place = PostgresPlace(postgres.address)
    made: list[PostgresLedger] = []

    def make() -> None:
        made.append(PostgresLedger.open(place.address, place.schema, create=True))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    for ledger in made:
        ledger.close()
