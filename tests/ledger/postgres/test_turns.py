"""One process at a time plans a job, whichever machine it is on."""

from __future__ import annotations

import signal
import threading

import psycopg
import pytest

from backfill.core.errors import LedgerError
from backfill.ledger.postgres import planning_turn
from backfill.ledger.postgres.session import NO_SCHEMA, Session


def test_another_process_waits_until_the_first_has_planned(postgres) -> None:
    entered, waited = threading.Event(), threading.Event()

    def second() -> None:
        with planning_turn(postgres.address, "/a.job", waited.set):
            entered.set()

    thread = threading.Thread(target=second)
    with planning_turn(postgres.address, "/a.job", lambda: None) as check:
        thread.start()
        assert waited.wait(30)
        assert not entered.is_set()
        check()
        with planning_turn(postgres.address, "/another.job", pytest.fail):
            pass
    assert entered.wait(30)
    thread.join()


def test_a_turn_that_was_lost_with_its_connection_is_told(postgres) -> None:
    with planning_turn(postgres.address, "/a.job", lambda: None) as check:
        postgres.stop(signal.SIGQUIT)
        postgres.start()
        with pytest.raises(LedgerError, match="the connection broke while the job was planned"):
            check()


@pytest.mark.parametrize("limit", ["statement_timeout", "idle_session_timeout"])
def test_time_limits_of_a_user_end_no_statement(postgres, limit: str) -> None:
    """A minute is more than it takes to lift the limit, on the busiest machine."""
    timeouts = f"?options=-c%20{limit}%3D60000"
    with psycopg.connect(postgres.address + timeouts) as raw:
        assert raw.execute(f"SHOW {limit}".encode()).fetchall() == [("1min",)]
    session = Session(postgres.address + timeouts, NO_SCHEMA, lease=1, patience=0)
    assert session.rows(f"SHOW {limit}") == [("0",)]
    session.close()
