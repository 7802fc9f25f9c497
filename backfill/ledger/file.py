"""The ledger's file as something to read from and to write to, one caller after another."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backfill.core.errors import LedgerError
from backfill.ledger.opening import connect, connect_to_look, copy_aside
from backfill.ledger.sqlite_errors import plain_words

__all__ = ["LedgerFile"]


class LedgerFile:
    """One connection, used by one thread at a time: a lock makes the others wait.

    Whatever SQLite complains about is raised as LedgerError.
    """

    def __init__(self, path: Path, *, copied: bool = False, writable: bool) -> None:
        """Open the ledger to write to it, or to read it, in its place or `copied` elsewhere."""
        self.path = path
        self.turn = threading.RLock()
        self.writable = writable
        self._closed = False
        self._connection: sqlite3.Connection
        self._after: Callable[[], None] = lambda: None
        with plain_words(path):
            if copied:
                copy, self._after = copy_aside(path)
                try:
                    self._connection = connect(copy, named=path)
                except BaseException:
                    self._after()
                    raise
            elif writable:
                self._connection = connect(path)
            else:
                self._connection, self._after = connect_to_look(path)

    def close(self) -> None:
        """Let the file go. May be called twice."""
        with self.turn:
            if not self._closed:
                self._closed = True
                try:
                    self._connection.close()
                finally:
                    self._after()

    def read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a question."""
        with self.turn, plain_words(self.path):
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is on the disk when this ends, or nothing of it when it raises."""
        if not self.writable:
            raise LedgerError("the ledger was opened to look at it only", where=str(self.path))
        with self.turn, plain_words(self.path):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                # SQLite has already rolled back after some errors, a full disk among them.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    self._make_room()
                raise

    def _make_room(self) -> None:
        """Let the log begin anew in the space that it has: on a full disk there is no other."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
