"""Making, opening and looking into the ledger's file."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from backfill.core.atomic_files import sync
from backfill.core.errors import LedgerError, LedgerVersionError
from backfill.ledger import statements as sql
from backfill.ledger.sqlite import schema
from backfill.ledger.sqlite.errors import DAMAGED, plain_words
from backfill.ledger.sqlite.mark import SUFFIX as MARK
from backfill.ledger.sqlite.mark import Mark, refuse_loss

__all__ = ["connect", "connect_to_look", "copy_aside", "make", "refuse_missing"]

_PATIENCE = 5.0  # seconds to wait for another process before it is called a fault


def make(path: Path) -> None:
    """Make an empty ledger that is there in full or not at all, readable by its owner only.

    It is made beside its place and then moved there, so whatever stands at `path` was once
    a complete ledger: an empty file is damage, never a beginning.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    identity = secrets.token_hex(16)
    try:
        # SQLite gives -wal and -shm the mode of the file they belong to.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(f"{draft.absolute().as_uri()}?mode=rw", identity)
        try:
            # The log is for later: a full disk would be noticed only as the log is emptied into
            # the file, while it is closed, where SQLite says nothing of it.
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN;{schema.SCHEMA}COMMIT;")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        sync(draft)
        try:
            Mark.make(path, identity)
            draft.rename(path)
        except BaseException:
            Mark.remove(path)
            raise
        sync(path.parent)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def refuse_missing(path: Path) -> None:
    """Raise LedgerError where there is no ledger."""
    with plain_words(path):
        if not path.exists():
            raise LedgerError("the ledger is missing", where=str(path))


def connect(path: Path, *, named: Path | None = None) -> tuple[sqlite3.Connection, Mark]:
    """Open a ledger to work with it: every commit is on the disk before it returns.

    Whether it is whole is looked at first, by a connection that changes nothing, so one that
    is refused is left as it was found. `named` is what messages call it where `path` is a copy.
    """
    named = named or path
    _checked(path, named).close()
    identity = secrets.token_hex(16)
    connection = _connect(f"{path.absolute().as_uri()}?mode=rw", identity)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stays in the drive
        if _version(connection) < schema.MARKED:
            Mark.make(path, identity)  # first, because afterwards a ledger without one is refused
        _migrate(connection, named)
        return connection, Mark(path, connection.execute(sql.KNOWN).fetchone()[0])
    except BaseException:
        connection.close()
        raise


def connect_to_look(path: Path) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """Open a ledger to read it as it is now, beside a process that works with it.

    Returns the connection and what must be called after it is closed. One of an older version is
    brought up to date in memory.

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

    A process that begins to write meanwhile changes the files, and they are copied once more, for
    some seconds. Raises OSError, and LedgerError where they change all the time.
    """
    aside = Path(tempfile.mkdtemp(prefix="backfill-ledger-"))

    def remove() -> None:
        shutil.rmtree(aside, ignore_errors=True)

    log, mark = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}{MARK}")
    copy = aside / path.name
    until = time.monotonic() + _PATIENCE
    try:
        while True:
            before = _marks(path), _marks(log)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(mark, aside / mark.name)
            shutil.copyfile(path, copy)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(log, aside / log.name)
            if (_marks(path), _marks(log)) == before:
                return copy, remove
            if time.monotonic() > until:
                raise LedgerError(
                    "the ledger is written to faster than it can be copied",
                    where=str(path),
                    hint="Nothing was changed. Look again.",
                )
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


def _checked(path: Path, named: Path) -> sqlite3.Connection:
    """Open a ledger to read it, if this version understands it and it has lost nothing.

    All that is read from it is of one moment.
    """
    # The mark comes before that moment: a process at work takes the ledger further meanwhile.
    try:
        marked: tuple[str, int] | LedgerError = Mark.read(path, named)
    except LedgerError as error:
        marked = error
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro")
    try:
        connection.execute("BEGIN")
        _recognise(connection, named)
        if _version(connection) >= schema.MARKED:
            if isinstance(marked, LedgerError):
                raise marked
            known = connection.execute(sql.KNOWN).fetchone() or ("", 0)
            refuse_loss(known, marked, named)
    except BaseException:
        connection.close()
        raise
    return connection


def _read_only(path: Path, *, named: Path | None = None) -> sqlite3.Connection:
    connection = _checked(path, named or path)
    if _version(connection) == schema.VERSION:
        return connection
    with contextlib.closing(connection):
        copy = _connect("file::memory:")
        connection.backup(copy)
    try:
        _migrate(copy, named or path)
    except BaseException:
        copy.close()
        raise
    return copy


def _connect(uri: str, identity: str = "") -> sqlite3.Connection:
    # Transactions are begun by hand, and the ledger sees to it that only one thread at a time
    # uses the connection, so the driver need not tie it to the thread that opened it.
    connection = sqlite3.connect(
        uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.create_function("new_identity", 0, lambda: identity)
    connection.create_function("digest", 1, _digest, deterministic=True)
    return connection


def _digest(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no ledger, or one that this version does not understand."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != schema.APPLICATION:
        empty = path.stat().st_size == 0
        raise LedgerError(
            "the ledger is damaged: the file is empty" if empty else "the file is no ledger",
            where=str(path),
            hint=DAMAGED,
        )
    version = _version(connection)
    oldest = min(schema.MIGRATIONS, default=schema.VERSION)
    if not oldest <= version <= schema.VERSION:
        age = "newer" if version > schema.VERSION else "older"
        raise LedgerVersionError(
            f"the ledger has version {version}, and this backfill understands "
            f"{oldest} to {schema.VERSION}",
            where=str(path),
            hint=f"Use the {age} backfill that made it.",
        )
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        raise LedgerError(
            f"the ledger is damaged: its log is in mode {mode!r}", where=str(path), hint=DAMAGED
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older ledger up to date, each step in full or not at all."""
    while (version := _version(connection)) < schema.VERSION:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;{schema.MIGRATIONS[version]};"
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
