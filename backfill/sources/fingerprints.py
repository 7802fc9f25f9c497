"""What a file's content was: its size and hash, and whether it is still the same."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from backfill.config.sources import Files
from backfill.core.errors import MORE_OPEN_FILES, SourceError
from backfill.sources.entries import SourceEntry
from backfill.sources.locations import is_remote, locate
from backfill.sources.reimport import is_ours
from backfill.sources.remote import RemoteVersion, UnreachableError, ask, hash_remote

__all__ = ["check_unchanged", "difference_of", "hash_file"]

_CHUNK = 4 << 20

log = logging.getLogger("backfill.sources")


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
        hint = MORE_OPEN_FILES if error.errno in (errno.EMFILE, errno.ENFILE) else None
        raise SourceError(f"cannot be read: {error.strerror}", where=name, hint=hint) from error
    return digest.hexdigest()


def check_unchanged(entries: Sequence[SourceEntry], directory: Path) -> SourceEntry | None:
    """Return the first entry whose file is gone or has other content than it had, else None.

    A file of the same size and modification time is taken to be the same, one behind an address
    where its server says that it is; of others the bytes are read again. A server that cannot be
    reached says nothing of a change, and is warned of. Paths are relative to `directory`.
    """
    return next((entry for entry in entries if not _unchanged(entry, directory)), None)


def difference_of(files: Files, entries: Sequence[SourceEntry], directory: Path) -> str | None:
    """What is no longer as it was when these entries of `files` were read, in words, else None.

    A file that has come to a glob or a directory since is a change, too, but for what `records`
    wrote there: that is no part of the source until somebody says so. What cannot be reached (an
    object store that does not answer, a disk that is not mounted, a file that is not there) is
    warned of, and no change; but a file that is gone while others beside it stand is one.
    """
    entry = check_unchanged(entries, directory)
    if entry is not None:
        away = {each.path: error for each in entries if (error := _not_there(each, directory))}
        there = [each for each in entries if each.path not in away]
        beside = {(directory / each.path).parent for each in there}
        for missing in entries:
            if missing.path in away and (directory / missing.path).parent in beside:
                return f"{missing.name} is gone"
        if (changed := check_unchanged(there, directory)) is not None:
            return f"the source changed: {changed.name}"
        for missing in entries:
            if missing.path in away:
                _warn(missing.name, away[missing.path])
        return None
    known = {entry.path for entry in entries}
    try:
        found = locate(files, directory)
    except UnreachableError as error:
        _warn(error.where, error.message)
        return None
    for each in found:
        if each.kept not in known and (each.remote or not is_ours(each, each.path)):
            return f"the source changed: {each.name} is new"
    return None


def _unchanged(entry: SourceEntry, directory: Path) -> bool:
    if is_remote(entry.path):
        return _unchanged_there(entry)
    try:
        path = directory / entry.path
        status = path.stat()
        if status.st_size != entry.size:
            return False
        if status.st_mtime_ns == entry.mtime_ns:
            return True
        return hash_file(path, name=entry.name) == entry.sha256
    except (OSError, SourceError):
        return False


def _unchanged_there(entry: SourceEntry) -> bool:
    try:
        same = _said_to_be_same(entry, ask(entry.path, name=entry.name))
        if same is None:
            return hash_remote(entry.path, name=entry.name) == entry.sha256
    except UnreachableError as error:
        _warn(error.where, error.message)
        return True
    except SourceError:
        return False
    return same


def _said_to_be_same(entry: SourceEntry, found: RemoteVersion) -> bool | None:
    """Whether a file is the one that was read, by what its server says; None where it does not.

    A weak ETag tells that the content means the same, and not that its bytes are.
    """
    if found.size and found.size != entry.size:  # 0: some servers say so of every file
        return False
    if found.etag and found.etag == entry.etag and not found.etag.startswith("W/"):
        return True
    if found.etag == entry.etag and found.modified and found.modified == entry.modified:
        return True
    return None


def _not_there(entry: SourceEntry, directory: Path) -> str | None:
    """Why a local file cannot be opened, None where it can."""
    if is_remote(entry.path):
        return None
    try:
        with (directory / entry.path).open("rb"):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _warn(where: str | None, reason: str) -> None:
    log.warning(
        "%s could not be checked for changes (%s); what was prepared from it is used",
        where,
        reason,
    )
