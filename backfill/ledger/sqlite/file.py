"""The ledger's file as something to read from and to write to, one caller after another."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backfill.core.errors import LedgerError
from backfill.ledger import statements as sql
from backfill.ledger.sqlite.errors import MOVED, plain_words
from backfill.ledger.sqlite.mark import Mark
from backfill.ledger.sqlite.opening import connect, connect_to_look, copy_aside

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
        self._let_go = contextlib.ExitStack()
        self._connection: sqlite3.Connection
        self._mark: Mark | None = None
        with plain_words(path), contextlib.ExitStack() as opened:
            place = path
            if copied:
                place, remove = copy_aside(path)
                opened.callback(remove)
            if writable:
                self._connection, self._mark = connect(place, named=path)
                opened.callback(self._mark.close)
            else:
                self._connection, remove = connect_to_look(path)
                opened.callback(remove)
            opened.callback(self._connection.close)
            self._let_go = opened.pop_all()

    def close(self) -> None:
        """Let the file go. May be called twice."""
        with self.turn, plain_words(self.path):
            self._let_go.close()

    def read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a question."""
        with self.turn, plain_words(self.path):
            return self._connection.execute(statement, values).fetchall()

    def read_together(self, *statements: str) -> list[list[Any]]:
        """All rows of several questions, at one moment, whoever else writes meanwhile."""
        with self.turn, plain_words(self.path):
            whole = self._connection.in_transaction  # for one who only looks, of one moment
            if not whole:
                self._connection.execute("BEGIN")
            try:
                return [self._connection.execute(each).fetchall() for each in statements]
            finally:
                if not whole:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is on the disk when this ends, and counted in the mark.

        When it raises, nothing of it is there, but for a mark that cannot be written: then it may
        be there all the same.
        """
        if not self.writable or self._mark is None:
            raise LedgerError("the ledger was opened to look at it only", where=str(self.path))
        with self.turn, plain_words(self.path):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                commits = self._connection.execute(sql.COMMITTED).fetchone()[0]
                self._connection.execute("COMMIT")
                self._mark.write(commits)
            except BaseException as error:
                # SQLite has already rolled back after some errors, a full disk among them.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    self._make_room()
                raise

    def refuse_moved(self) -> None:
        """Raise LedgerError where the ledger is not in its place any more.

        What is written goes on into the open file, wherever it lies by now. The next run would not
        find it there, and a job that is planned in its place would send everything again.
        """
        with plain_words(self.path):
            if self._mark is None or self._mark.in_place():
                return
        raise LedgerError(
            "the job's directory was moved or removed while its records were being sent",
            where=str(self.path.parent),
            hint=MOVED,
        )

    def _make_room(self) -> None:
        """Let the log begin anew in the space that it has: on a full disk there is no other."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
