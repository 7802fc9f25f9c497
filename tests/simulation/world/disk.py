"""The disk: real files, with faults and deaths at every boundary that SQLite and the mark have."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from backfill.ledger.facts import QUIET_UNTIL
from backfill.ledger.statements import RECALL

__all__ = ["Disk", "Observer"]

_LEDGER = "ledger.sqlite"
_WAIT = ((QUIET_UNTIL,),)
_CODES = {"full": sqlite3.SQLITE_FULL, "error": sqlite3.SQLITE_IOERR}


class Observer(Protocol):
    """Who hears of each step, and may raise there."""

    def step(self, name: str) -> None:
        """A boundary is crossed."""

    def committed(self, connection: sqlite3.Connection, *, changed: bool, synced: bool) -> None:
        """A transaction is on the disk; `changed` says whether it changed spans or intents, and
        `synced` whether it outlives a loss of power.
        """

    def opened(self, connection: sqlite3.Connection) -> None:
        """A connection is about to write for the first time."""

    def recalls_wait(self) -> None:
        """The end of the wait that was stored is about to be read."""

    def disk_fault(self, name: str) -> str | None:
        """The fault that this step meets: "full" or "error"."""


class Disk:
    """What of the operating system the ledger uses, while a life goes on."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._connect: Callable[..., sqlite3.Connection] = sqlite3.connect
        self._pwrite, self._fsync = os.pwrite, os.fsync
        self._synced_mark: bytes | None = None
        self._watched = _watched_by(self)
        self.place = Path()

    @property
    def place(self) -> Path:
        """The job's directory, as the last death has left it."""
        return self._place

    @place.setter
    def place(self, place: Path) -> None:
        self._place = place
        self._ledger = str(place / _LEDGER)
        self._mark = f"{self._ledger}-mark"

    def connect(self, database: str, /, **options: Any) -> sqlite3.Connection:
        """`sqlite3.connect`, watched where it is the job's own ledger that is to be written."""
        path = database.removeprefix("file://").partition("?")[0]
        if path != self._ledger or "mode=rw" not in database:
            return self._connect(database, **options)
        if self.observer.disk_fault("open") is not None:
            raise _sqlite_error(sqlite3.SQLITE_CANTOPEN, "error")
        return self._connect(database, factory=self._watched, **options)

    def execute(self, connection: Any, run: Any, statement: str, *values: Any) -> sqlite3.Cursor:
        """One statement, with what happens around it."""
        if statement == "BEGIN IMMEDIATE":
            self.observer.step("begin")
            if connection.fresh:
                connection.fresh = False
                self.observer.opened(connection)
            connection.changed = False
        elif statement == "COMMIT":
            self.observer.step("commit")
            self.fault(connection, run, "commit")
            if connection.synced is None:
                connection.synced = run("PRAGMA synchronous").fetchone()[0] >= 2
            cursor: sqlite3.Cursor = run(statement)
            changed, synced = connection.changed, connection.synced
            self.observer.committed(connection, changed=changed, synced=synced)
            self.observer.step("committed")
            return cursor
        elif statement.startswith("ROLLBACK"):
            connection.changed = False
        elif statement == RECALL and values == _WAIT:
            self.observer.recalls_wait()
        elif " span" in statement or " flight" in statement:
            if not statement.lstrip().startswith(("SELECT", "WITH")):
                connection.changed = True
                self.fault(connection, run, "write")
            elif not connection.in_transaction:
                self.fault(connection, run, "read")
        elif statement.startswith("PRAGMA"):
            connection.synced = None  # which it may have changed
        found: sqlite3.Cursor = run(statement, *values)
        return found

    def fault(self, connection: Any, run: Any, step: str) -> None:
        """Raise what SQLite raises where this step meets a fault."""
        fault = self.observer.disk_fault(step)
        if fault is None:
            return
        if fault == "full" and connection.in_transaction:
            run("ROLLBACK")  # as SQLite does by itself after some errors
        raise _sqlite_error(_CODES[fault], fault)

    def pwrite(self, handle: int, content: bytes, offset: int) -> int:
        """`os.pwrite`, by which the mark and the lock are written."""
        if not self._is_mark(handle):
            return self._pwrite(handle, content, offset)
        self.observer.step("mark")
        self._refuse("mark")
        written = self._pwrite(handle, content, offset)
        self.observer.step("marked")
        return written

    def fsync(self, handle: int) -> None:
        """`os.fsync`; what the mark held then outlives a loss of power."""
        if self._is_mark(handle):
            self._refuse("sync")
            self._synced_mark = Path(self._mark).read_bytes()

    def _is_mark(self, handle: int) -> bool:
        return os.readlink(f"/proc/self/fd/{handle}") == self._mark  # noqa: PTH115 - for speed

    def _refuse(self, step: str) -> None:
        """Raise what the operating system raises where this step meets a fault."""
        fault = self.observer.disk_fault(step)
        if fault is not None:
            number = errno.ENOSPC if fault == "full" else errno.EIO
            raise OSError(number, os.strerror(number))

    def copy_to(self, place: Path, *, power_lost: bool = False) -> None:
        """The files as another process finds them after this one has died."""
        shutil.copytree(self.place, place, ignore=shutil.ignore_patterns("*-shm", ".draft-*"))
        if power_lost and self._synced_mark is not None:
            (place / f"{_LEDGER}-mark").write_bytes(self._synced_mark)


def _watched_by(disk: Disk) -> type[sqlite3.Connection]:
    """A connection that tells a disk of its steps."""

    class Connection(sqlite3.Connection):
        fresh = True
        changed = False  # spans or intents, in the transaction at hand
        synced: bool | None = None  # whether a commit is, as far as was looked

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            return disk.execute(self, super().execute, statement, *values)

        def executemany(self, statement: str, *values: Any) -> sqlite3.Cursor:
            self.changed = True
            disk.fault(self, super().execute, "write")
            return super().executemany(statement, *values)

    return Connection


def _sqlite_error(code: int, fault: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(f"disk {fault}")
    error.sqlite_errorcode = code
    names = {sqlite3.SQLITE_FULL: "FULL", sqlite3.SQLITE_IOERR: "IOERR"}
    error.sqlite_errorname = f"SQLITE_{names.get(code, 'CANTOPEN')}"
    return error
