"""The files that the program made in a job's directory, known by their names.

Whatever else lies there is the user's: it is never removed, and no mode of it is changed.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

from backfill.core.job_files import LEDGER, LEDGER_PLACE, LEDGERS, MANIFEST, PUBLISHED
from backfill.jobdir.lock import no_job
from backfill.jobdir.manifest import Manifest

__all__ = [
    "DRAFT",
    "clear",
    "discard_draft",
    "discard_unused",
    "is_frame_file",
    "is_report",
    "make_private",
    "refuse_users_files",
]

DRAFT = ".preparing"
"""Where a plan is made, until all of it is there."""

_LOCK = ".lock"
_LEDGER = re.escape(LEDGER)
_PLANNED = re.compile(
    rf"manifest\.(json|draft)|(pace|ledger)\.json|(excluded|rejected|duplicates)\.parquet|{_LEDGER}(-[a-z]+)?"
    rf"|\.{_LEDGER}\.\d+\.draft(-[a-z]+)?"
)
_REPORT = re.compile(r"report(\.html|-(books|outcomes|requests|latency|replies|times)\.(png|svg))")
_READY = re.compile(r"\d{3,}(\.own-\d+)?\.parquet")
_FRAME = re.compile(r"(events|contacts)-[0-9a-f]{12}\.parquet")
_KEPT = re.compile(rf"{_FRAME.pattern}|(events|contacts)\.draft")
_MARK = b'{"pid":'  # how the lock's description begins


def refuse_users_files(directory: Path) -> None:
    """Raise JobError for a directory that holds something and is none that the program made.

    A job has its manifest, and other programs have files of that name. Where it is not there yet,
    as after a plan that was killed, the lock is the mark, and everything beside it must have a name
    of ours.
    """
    if Manifest.exists(directory):
        kept = any((directory / name).exists() for name in LEDGERS)
        if not (kept or _is_marked(directory) or Manifest.looks_like_one(directory)):
            raise no_job(directory, MANIFEST)
        return
    entries = sorted(directory.iterdir())
    users = [path.name for path in entries if not _is_own(path)]
    others = [path.name for path in entries if path.name not in (_LOCK, DRAFT)]
    if users or (others and not _is_marked(directory)):
        raise no_job(directory, (users or others)[0])


def is_report(name: str) -> bool:
    """Whether a file in a job's directory is called as a report that nobody named otherwise."""
    return _REPORT.fullmatch(name) is not None


def is_frame_file(name: str) -> bool:
    """Whether a file in `sources/` is a frame that was kept there."""
    return _FRAME.fullmatch(name) is not None


def clear(directory: Path) -> None:
    """Remove what a plan and a run made, but for kept frames and the lock. Raises OSError.

    The manifest goes first: without it, what is left is no job. Then goes the ledger, which without
    its companions would be taken for one that was damaged.
    """
    (directory / MANIFEST).unlink(missing_ok=True)
    (directory / LEDGER).unlink(missing_ok=True)
    (directory / LEDGER_PLACE).unlink(missing_ok=True)
    for path in _own_files(directory):
        path.unlink(missing_ok=True)


def discard_draft(directory: Path) -> None:
    """Remove a plan that did not come to its end."""
    shutil.rmtree(directory / DRAFT, ignore_errors=True)


def discard_unused(directory: Path) -> None:
    """Remove a directory in which nothing but the lock lies. The caller holds that."""
    with suppress(OSError):
        if [path.name for path in directory.iterdir()] == [_LOCK]:
            (directory / _LOCK).unlink()
            directory.rmdir()


def make_private(directory: Path) -> None:
    """Let only the owner read and write what the program made. Raises OSError."""
    for path in _own_files(directory):
        path.chmod(0o600)
    if (directory / "ready").is_dir():
        (directory / "ready").chmod(0o700)


def _own_files(directory: Path) -> list[Path]:
    found = [path for path in directory.iterdir() if _is_made(path.name)]
    ready = directory / "ready"
    if ready.is_dir():
        found += [path for path in ready.iterdir() if _READY.fullmatch(path.name)]
    return [path for path in found if not path.is_dir()]


def _is_made(name: str) -> bool:
    return _PLANNED.fullmatch(name) is not None or is_report(name)


def _is_own(path: Path) -> bool:
    if path.name in (_LOCK, DRAFT, PUBLISHED) or _is_made(path.name):
        return True
    if path.name.startswith((".draft-", ".records-")):  # of a command that was killed
        return True
    inside = {"ready": _READY, "sources": _KEPT}.get(path.name)
    return (
        inside is not None
        and path.is_dir()
        and all(inside.fullmatch(each.name) for each in path.iterdir())
    )


def _is_marked(directory: Path) -> bool:
    try:
        content = (directory / _LOCK).read_bytes()
    except OSError:
        return False
    return content.startswith(_MARK)
