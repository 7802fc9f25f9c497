"""Where a ledger lies in a test: a SQLite file, or a schema of a real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql

from backfill.ledger import Ledger
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.protocol import AnyLedger

__all__ = ["Place", "PostgresPlace", "SqlitePlace", "cut"]

_BUCKETS = 4  # that the tests of both use

Clock = Callable[[], float]


class Place(Protocol):
    """Somewhere that a ledger can be opened, as often as needed."""

    def open(self, *, create: bool = False, clock: Clock | None = None) -> AnyLedger:
        """Open it as the one process that works on the job."""

    def look(self) -> AnyLedger:
        """Open it to read it, beside whoever works with it."""

    def tamper(self, statement: str) -> None:
        """Change it behind the ledger's back."""


@dataclass(frozen=True)
class SqlitePlace:
    path: Path

    def open(self, *, create: bool = False, clock: Clock | None = None) -> AnyLedger:
        if clock is None:
            return Ledger.open(self.path, create=create)
        return Ledger.open(self.path, create=create, clock=clock)

    def look(self) -> AnyLedger:
        return Ledger.open_readonly(self.path)

    def tamper(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as raw:
            raw.execute(statement)


def cut(ledger: PostgresLedger) -> None:
    """Cut the connection, as the end of a process or of a network does."""
    with socket.socket(fileno=os.dup(ledger._session._connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class PostgresPlace:
    address: str
    schema: str = field(default_factory=lambda: f"job-{uuid.uuid4().hex[:12]}")

    def open(self, *, create: bool = False, clock: Clock | None = None) -> PostgresLedger:
        ledger = PostgresLedger.open(self.address, self.schema, create=create, clock=clock)
        deadline = time.monotonic() + 10  # a session that was cut ends a moment later
        for bucket in range(_BUCKETS):
            while ledger.take(bucket) is None:
                assert time.monotonic() < deadline
                time.sleep(0.002)
        return ledger

    def look(self) -> PostgresLedger:
        return PostgresLedger.open_readonly(self.address, self.schema)

    def tamper(self, statement: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as raw:
            raw.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            raw.execute(statement.encode())

    def drop(self) -> None:
        """Leave nothing of it in the database."""
        with psycopg.connect(self.address, autocommit=True) as raw:
            raw.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(self.schema)))
