"""What a file's content was: its size and hash, and whether it is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from backfill.errors import SourceError
from backfill.manifest import SourceEntry
from backfill.prepare.locations import is_remote
from backfill.prepare.remote import fetched

__all__ = ["check_unchanged", "hash_file"]

_CHUNK = 4 << 20


def hash_file(path: str | Path, *, name: str, advance: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises SourceError where it cannot be read."""
    digest = hashlib.sha256()
    done = 0
    try:
        with Path(path).open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if advance is not None:
                    advance(done)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", where=name) from error
    return digest.hexdigest()


def check_unchanged(entries: Sequence[SourceEntry], directory: Path) -> SourceEntry | None:
    """Return the first entry whose file is gone or has other content than it had, else None.

    A file of the same size and modification time is taken to be the same; a touched one and
    one behind an address are read again. Paths are relative to `directory`.
    """
    return next((entry for entry in entries if not _unchanged(entry, directory)), None)


def _unchanged(entry: SourceEntry, directory: Path) -> bool:
    try:
        if is_remote(entry.path):
            with fetched(entry.path, name=entry.name) as path:
                return hash_file(path, name=entry.name) == entry.sha256
        path = directory / entry.path
        status = path.stat()
        if status.st_size != entry.size:
            return False
        if status.st_mtime_ns == entry.mtime_ns:
            return True
        return hash_file(path, name=entry.name) == entry.sha256
    except (OSError, SourceError):
        return False
