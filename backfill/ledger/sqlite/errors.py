"""What SQLite complains about, as a LedgerError that says what is wrong and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from backfill.core.errors import MORE_OPEN_FILES, LedgerError

__all__ = ["DAMAGED", "LOST", "MOVED", "plain_words"]

DAMAGED = (
    "Nothing was lost at the destination. Restore the job's directory from a copy; without one, "
    "a new job cannot know what this one has delivered."
)

LOST = (
    "Nothing was sent. A file of the ledger was removed, changed or put back from an earlier time:"
    " ledger.sqlite, -wal and -mark belong together. Put them back as they were, or restore the"
    " job's directory from a copy that was made after its last run."
)

MOVED = (
    "No more was sent. It alone knows what was: move it back, or restore it, and run the same"
    " command: it goes on where it stood. A job that is planned anew would send everything again."
)

_WORDS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        "Free some space and run the same command again: it goes on where it stood.",
    ),
    sqlite3.SQLITE_READONLY: (
        "the ledger, or the directory that it lies in, cannot be written to",
        "Make the job's directory writable for this user, or copy the whole directory elsewhere.",
    ),
    sqlite3.SQLITE_PERM: (
        "this user may not open the ledger",
        "Work as the user who planned the job, or give this one access to its directory.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the ledger cannot be opened",
        "See that the job's directory exists and that this user may read and write it.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process holds the ledger",
        "Wait until it has ended, then run the same command again.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "another process holds the ledger",
        "Wait until it has ended, then run the same command again.",
    ),
    sqlite3.SQLITE_CORRUPT: ("the ledger is damaged", DAMAGED),
    sqlite3.SQLITE_NOTADB: ("the ledger is damaged: it is no database", DAMAGED),
    sqlite3.SQLITE_CONSTRAINT: (
        "the ledger does not agree with what is to be written down",
        "This is a fault of the program; nothing of this step was written.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed while the ledger was read or written",
        "See that the disk has space and is healthy, then run the same command again.",
    ),
}

_CODES = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
}

_AT_ONCE = 4  # files that SQLite has open: the database, its log, the log's index, a directory


@contextlib.contextmanager
def plain_words(path: Path) -> Iterator[None]:
    """Raise whatever SQLite or the file system complains about as a LedgerError.

    SQLite's own words stay in the message, in parentheses, for those who want to search for
    them.
    """
    try:
        yield
    except sqlite3.Error as error:
        # Extended codes carry the primary one in their lowest byte (sqlite.org/rescode.html).
        code = getattr(error, "sqlite_errorcode", None)
        words = _WORDS.get(code & 0xFF) if code is not None else None
        if words is _WORDS[sqlite3.SQLITE_CANTOPEN] and _too_few_open_files():
            words = (f"the ledger cannot be opened: {os.strerror(errno.EMFILE)}", MORE_OPEN_FILES)
        if words is None:
            message, hint = "the ledger cannot be used", None
        else:
            message, hint = words
        raise LedgerError(f"{message} ({error})", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        raise LedgerError(
            f"the ledger is damaged: it holds what is no text ({error.reason})",
            where=str(path),
            hint=DAMAGED,
        ) from error
    except OSError as error:
        message, hint = _WORDS[_CODES.get(error.errno or 0, sqlite3.SQLITE_CANTOPEN)]
        reason = error.strerror or str(error)
        raise LedgerError(f"{message} ({reason})", where=str(path), hint=hint) from error


def _too_few_open_files() -> bool:
    """Whether this process may not open as many files as SQLite does, which does not tell why."""
    opened: list[int] = []
    try:
        while len(opened) < _AT_ONCE:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for each in opened:
            os.close(each)
    return False
