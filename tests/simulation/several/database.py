"""The real PostgreSQL of many lives: a schema of this program's, real sessions, another clock.

The statements are the product's own, and so are the tables and functions. What they ask of the
server itself is found in the schema of lives first: its clock, its start, who is connected since
when, and to announce something. Locks are the server's.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

from backfill.ledger.postgres.schema import SCHEMA

__all__ = ["Database", "Moment", "Seen"]

_OWN = """
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.to_timestamp(pg_catalog.current_setting('life.now')::float8)
$$;
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.to_timestamp(pg_catalog.current_setting('life.now')::float8)
$$;
CREATE FUNCTION pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.to_timestamp(pg_catalog.current_setting('life.started')::float8)
$$;
CREATE VIEW pg_stat_activity AS
    SELECT (e->>0)::integer AS pid, pg_catalog.to_timestamp((e->>1)::float8) AS backend_start,
           pg_catalog.to_timestamp((e->>2)::float8) AS query_start,
           pg_catalog.to_timestamp((e->>2)::float8) AS state_change
    FROM pg_catalog.jsonb_array_elements(pg_catalog.current_setting('life.sessions')::jsonb) e;
CREATE VIEW pg_settings AS
    SELECT name FROM (VALUES ('statement_timeout'), ('lock_timeout')) known (name);
CREATE FUNCTION pg_notify(channel text, payload text) RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.set_config('life.notice', payload, false)
$$;
-- Nobody waits for a lock while all others stand still: the simulation tries again later.
CREATE FUNCTION pg_advisory_lock_shared(key bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_catalog.pg_try_advisory_lock_shared(key) THEN
        RAISE EXCEPTION 'canceling statement due to lock timeout' USING ERRCODE = '55P03';
    END IF;
END $$;
"""

_TABLES = (
    "version, span, flight, total, tick, latency, fact, attempt, owner, held, deliverer, budget"
)
_RESET = f"""
TRUNCATE {_TABLES} RESTART IDENTITY;
ALTER SEQUENCE line RESTART;
INSERT INTO version VALUES ((SELECT number FROM life_version));
INSERT INTO budget DEFAULT VALUES;
"""  # noqa: S608 - words of our own

_BEFORE = (
    "SELECT set_config('life.now', %s, false), set_config('life.started', %s, false),"
    " set_config('life.sessions', %s, false)"
)
_SEEN = """
SELECT 0, bucket, start, stop, state, cause, http_status FROM span
UNION ALL SELECT 1, bucket, start, stop, NULL, NULL, NULL FROM flight
UNION ALL SELECT 2, bucket, epoch, NULL, name, NULL, NULL FROM owner
"""


class Moment(NamedTuple):
    """What a statement is told of the server, as text: seconds since the epoch, and who is
    connected, as JSON.
    """

    now: str
    started: str
    sessions: str


class Seen(NamedTuple):
    """What a ledger holds, as its tables have it."""

    spans: list[tuple[int, int, int, tuple[Any, ...]]]
    flights: list[tuple[int, int, int]]
    owners: dict[int, tuple[int, str]]  # the epoch and the name of a bucket's


class Database:
    """A schema for one life at a time, and sessions that lives borrow."""

    _known: dict[tuple[int, str], Database] = {}  # noqa: RUF012 - one for each process

    @classmethod
    def at(cls, address: str) -> Database:
        """The one of this process at an address."""
        key = (os.getpid(), address)
        if key not in cls._known:
            cls._known[key] = cls(address)
        return cls._known[key]

    def __init__(self, address: str) -> None:
        self.address = address
        self.schema = f"life_{os.getpid()}"
        self._idle: list[psycopg.Connection[Any]] = []
        self._own = self._connect()
        self._own.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE".encode())
        self._own.execute(f"CREATE SCHEMA {self.schema}".encode())
        self._own.execute(f"SET search_path TO {self.schema}, pg_catalog, pg_temp".encode())
        self._own.execute(_BEFORE, ("0", "0", "[]"))
        self._own.execute(_OWN)
        self._own.execute(SCHEMA.encode())
        self._own.execute("CREATE TABLE life_version AS SELECT number FROM version")

    def close(self) -> None:
        """Leave nothing of it in the server."""
        self._known.pop((os.getpid(), self.address), None)
        self._own.execute(f"DROP SCHEMA {self.schema} CASCADE".encode())
        for each in (self._own, *self._idle):
            each.close()

    def reset(self, moment: Moment) -> None:
        """Make it as it is after a plan."""
        self._own.execute(_BEFORE, moment)
        self._own.execute(_RESET.encode())

    def remember(self, facts: dict[str, str]) -> None:
        """Keep small facts."""
        for name, value in facts.items():
            self._own.execute("INSERT INTO fact VALUES (%s, %s)", (name, value))

    def borrow(self) -> psycopg.Connection[Any]:
        """A session that holds nothing."""
        return self._idle.pop() if self._idle else self._connect()

    def give_back(self, session: psycopg.Connection[Any]) -> None:
        """End what a session holds, and keep it for another one."""
        if session.closed or self.is_gone(session):
            session.close()
            return
        if session.info.transaction_status != TransactionStatus.IDLE:
            session.execute("ROLLBACK")
        session.execute("SELECT pg_catalog.pg_advisory_unlock_all()")
        self._idle.append(session)

    def is_gone(self, session: psycopg.Connection[Any]) -> bool:
        """Whether the server has ended a session."""
        return session.closed or bool(select.select([session.fileno()], [], [], 0)[0])

    def ask(
        self,
        session: psycopg.Connection[Any],
        moment: Moment,
        statement: Any,
        values: Sequence[Any],
    ) -> Answered:
        """Have a statement carried out."""
        alone = str(statement).startswith(
            ("BEGIN", "ROLLBACK")
        )  # what is sent before would be in it
        with contextlib.nullcontext() if alone else session.pipeline():
            session.execute(_BEFORE, moment)
            cursor = session.execute(statement, values)
        return Answered(cursor.fetchall() if cursor.description else None)

    def notice(self, session: psycopg.Connection[Any]) -> str:
        """What a statement of this session announced last; nothing where it was told before."""
        ((found,),) = session.execute("SELECT current_setting('life.notice', true)").fetchall()
        session.execute("SELECT set_config('life.notice', '', false)")
        return found or ""

    def look(self, session: psycopg.Connection[Any]) -> Seen:
        """What the ledger holds at this moment."""
        seen = Seen([], [], {})
        for kind, bucket, start, stop, *words in session.execute(_SEEN).fetchall():
            if kind == 0:
                seen.spans.append((bucket, start, stop, tuple(words)))
            elif kind == 1:
                seen.flights.append((bucket, start, stop))
            else:
                seen.owners[bucket] = (start, words[0])
        return seen

    def _connect(self) -> psycopg.Connection[Any]:
        session = psycopg.Connection.connect(self.address, autocommit=True, client_encoding="utf8")
        session.prepare_threshold = 2
        with contextlib.suppress(psycopg.Error):
            session.execute(f"SET search_path TO {self.schema}, pg_catalog, pg_temp".encode())
        return session


class Answered:
    """What a statement has brought, as a cursor gives it out."""

    def __init__(self, rows: list[Any] | None) -> None:
        self.rows = rows
        self.description = None if rows is None else [object()]

    def fetchall(self) -> list[Any]:
        return self.rows or []

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None
