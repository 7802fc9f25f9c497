"""The mark: a small file beside the ledger that says how many commits there were at least.

A write-ahead log that is lost, cut short or has a bit flipped takes its commits with it, and
SQLite takes what is left for the whole truth: what was delivered would be pending again. The mark
is written after a commit and before anybody hears of it, so whatever was sent on the strength of a
commit is counted in it, and a ledger that holds fewer commits has lost some.

It costs one write of 80 bytes in place, some 5 µs; a commit costs milliseconds. Such a write
outlives the process but not a loss of power, so it is also made durable: with the first commit of
each opening, then at most once a second, and at the end. After a loss of power the mark may
therefore say less than the ledger holds, and never more. What goes unnoticed is a log that is
damaged *and* a loss of power within the second after the commits that it held.

Keeping nothing in the log alone would need no mark: `journal_mode = TRUNCATE` syncs three times
for each commit instead of once, and a ledger put back from before would go unnoticed still.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from pathlib import Path

from backfill.core.atomic_files import sync
from backfill.core.errors import LedgerError
from backfill.ledger.sqlite.errors import LOST

__all__ = ["SUFFIX", "Mark"]

SUFFIX = "-mark"
"""What the mark's name has after the ledger's."""

_SYNC_EVERY = 1.0  # seconds
_FORM = re.compile(rb"backfill ledger ([0-9a-f]{32}) ([0-9]{20}) ([0-9a-f]{8})\n")


class Mark:
    """The mark of the ledger at `path`, which names itself by `identity`, open to be written.

    Every method raises OSError where the disk does.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._identity = identity
        self._path = mark_of(path)
        self._handle = os.open(self._path, os.O_WRONLY)
        self._synced_at: float | None = None
        self._unsynced = False

    @staticmethod
    def make(path: Path, identity: str) -> None:
        """Make the mark of a new ledger, durably, for its owner only."""
        mark = mark_of(path)
        handle = os.open(mark, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_line(identity, 0))
        sync(mark)
        sync(mark.parent)

    @staticmethod
    def remove(path: Path) -> None:
        """Remove the mark of a ledger that could not be made."""
        mark_of(path).unlink(missing_ok=True)

    @staticmethod
    def read(path: Path, named: Path | None = None) -> tuple[str, int]:
        """The identity and the number of commits that the mark of a ledger names.

        `named` is what messages call the ledger where `path` is a copy. Raises LedgerError where
        there is no mark, or one that was damaged.
        """
        where = str(mark_of(named or path))
        mark = mark_of(path)
        try:
            content = mark.read_bytes()
        except FileNotFoundError:
            raise LedgerError(
                "THE BOOKS DO NOT BALANCE: the ledger's mark is missing, so nobody can say whether"
                " the ledger is whole",
                where=where,
                hint=LOST,
            ) from None
        found = _FORM.fullmatch(content)
        if found is None or content != _line(found[1].decode(), int(found[2])):
            raise LedgerError(
                "THE BOOKS DO NOT BALANCE: the ledger's mark is damaged", where=where, hint=LOST
            )
        return found[1].decode(), int(found[2])

    def write(self, commits: int) -> None:
        """Say that there were so many commits."""
        os.pwrite(self._handle, _line(self._identity, commits), 0)
        self._unsynced = True
        now = time.monotonic()
        if self._synced_at is None or now - self._synced_at >= _SYNC_EVERY:
            self._sync()
            self._synced_at = now

    def in_place(self) -> bool:
        """Whether it still lies where it was opened: not if its directory was moved or removed."""
        try:
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Make the mark durable and let it go."""
        try:
            self._sync()
        finally:
            os.close(self._handle)

    def _sync(self) -> None:
        if self._unsynced:
            os.fsync(self._handle)
            self._unsynced = False


def mark_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _line(identity: str, commits: int) -> bytes:
    said = f"backfill ledger {identity} {commits:020}"
    return f"{said} {zlib.crc32(said.encode()):08x}\n".encode()


def refuse_loss(known: tuple[str, int], marked: tuple[str, int], path: Path) -> None:
    """Compare what the ledger at `path` says of itself with its mark: (identity, commits).

    The mark must have been read first where another process may be writing. Raises LedgerError.
    """
    if known[0] != marked[0]:
        message = "the ledger and its mark are not of the same job"
    elif known[1] < marked[1]:
        lost = marked[1] - known[1]
        commits = "its last commit" if lost == 1 else f"its last {lost:,} commits"
        message = f"the ledger has lost {commits}, and with them what was sent"
    else:
        return
    raise LedgerError(f"THE BOOKS DO NOT BALANCE: {message}", where=str(path), hint=LOST)
