"""Making, opening and looking into the ledger's file."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from backfill.core.atomic_files import sync
from backfill.core.errors import LedgerError
from backfill.ledger import statements as sql
from backfill.ledger.sqlite_errors import DAMAGED

__all__ = ["connect", "connect_to_look", "copy_aside", "make"]

_PATIENCE = 5.0  # seconds to wait for another process before it is called a fault


def make(path: Path) -> None:
    """Make an empty ledger that is there in full or not at all, readable by its owner only.

    It is made beside its place and then moved there, so whatever stands at `path` was once
    a complete ledger: an empty file is damage, never a beginning.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        # SQLite gives -wal and -shm the mode of the file they belong to.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(f"{draft.absolute().as_uri()}?mode=rw")
        try:
            # The log is for later: a full disk would be noticed only as the log is emptied into
            # the file, while it is closed, where SQLite says nothing of it.
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN;{sql.SCHEMA}COMMIT;")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        sync(draft)
        draft.rename(path)
        sync(path.parent)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def connect(path: Path, *, named: Path | None = None) -> sqlite3.Connection:
    """Open a ledger to work with it: every commit is on the disk before it returns.

    `named` is what messages call it where `path` is a copy.
    """
    connection = _connect(f"{path.absolute().as_uri()}?mode=rw")
    try:
        _recognise(connection, named or path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stays in the drive
        _migrate(connection, named or path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_look(path: Path) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """Open a ledger to read it as it is now, beside a process that works with it.

    Returns the connection and what must be called after it is closed.

    A reader of a write-ahead log needs its -shm file, and must be able to make it. Where that
    is impossible, the file and its log are copied and the copy is read: opening the file as
    `immutable` would leave out what only the log holds.
    """
    try:
        return _read_only(path), lambda: None
    except sqlite3.OperationalError as error:
        code = error.sqlite_errorcode & 0xFF
        if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        if os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK):
            raise
    copy, remove = copy_aside(path)
    try:
        return _read_only(copy, named=path), remove
    except BaseException:
        remove()
        raise


def copy_aside(path: Path) -> tuple[Path, Callable[[], None]]:
    """Copy a ledger and its log to a place of their own. Returns it, and what removes it again.

    A process that begins to write meanwhile changes the files, and they are copied once more.
    Raises OSError.
    """
    aside = Path(tempfile.mkdtemp(prefix="backfill-ledger-"))

    def remove() -> None:
        shutil.rmtree(aside, ignore_errors=True)

    log, copy = path.with_name(f"{path.name}-wal"), aside / path.name
    try:
        while True:
            before = _marks(path), _marks(log)
            shutil.copyfile(path, copy)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(log, aside / log.name)
            if (_marks(path), _marks(log)) == before:
                return copy, remove
            (aside / log.name).unlink(missing_ok=True)
    except OSError as error:
        remove()
        if error.filename2 is None and error.filename == str(path):
            raise
        raise LedgerError(
            f"there is no place for a copy to look at: {error.strerror or error}",
            where=str(aside.parent),
            hint="Free some space there, or name another directory with TMPDIR.",
        ) from error
    except BaseException:
        remove()
        raise


def _marks(path: Path) -> tuple[int, ...] | None:
    """What tells that a file was written to, None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read_only(path: Path, *, named: Path | None = None) -> sqlite3.Connection:
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro")
    try:
        connection.execute("BEGIN")  # all that is read, from here on, is of one moment
        _recognise(connection, named or path)
        if _version(connection) != sql.VERSION:
            raise LedgerError(
                "the ledger is of an older version, and looking at it changes nothing",
                where=str(named or path),
                hint="`backfill run` brings it up to date.",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    # Transactions are begun by hand, and the ledger sees to it that only one thread at a time
    # uses the connection, so the driver need not tie it to the thread that opened it.
    return sqlite3.connect(
        uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no ledger, or one that this version does not understand."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != sql.APPLICATION:
        empty = path.stat().st_size == 0
        raise LedgerError(
            "the ledger is damaged: the file is empty" if empty else "the file is no ledger",
            where=str(path),
            hint=DAMAGED,
        )
    version = _version(connection)
    oldest = min(sql.MIGRATIONS, default=sql.VERSION)
    if not oldest <= version <= sql.VERSION:
        age = "newer" if version > sql.VERSION else "older"
        raise LedgerError(
            f"the ledger has version {version}, and this backfill understands "
            f"{oldest} to {sql.VERSION}",
            where=str(path),
            hint=f"Use the {age} backfill that made it.",
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older ledger up to date, each step in full or not at all."""
    while (version := _version(connection)) < sql.VERSION:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;{sql.MIGRATIONS[version]};"
                f"PRAGMA user_version = {version + 1};COMMIT;"
            )
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise LedgerError(
                f"the ledger could not be brought from version {version} to {version + 1} "
                f"({error}); it is as it was",
                where=str(path),
            ) from error
