"""One process at a time works on a job, and those who only look can tell whether one does.

The lock is the operating system's own (flock), so it ends with the process that holds it. It lies
on the directory and on the file `.lock`: not every file system can lock a directory, and removing
the file lets nobody in. The file says who holds it. Looking takes no lock that could be in
anybody's way: it asks for a shared one and gives it back at once, and whoever wants to work waits
that instant out.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backfill.core.errors import MORE_OPEN_FILES, BackfillError, BusyError, JobError, ReadOnlyError
from backfill.core.job_files import LEDGERS, MANIFEST, OWN_NAMES
from backfill.core.local_time import local_time
from backfill.jobdir.store_addresses import named, typed_job

__all__ = ["JobLock", "Owner", "locked", "no_job", "owner_of", "refuse_links", "unwritable"]

_NAME = ".lock"
_PATIENCE = 0.5  # seconds in which the lock of somebody who only looks has ended for sure
_EVERY = 0.01  # seconds between two tries
_SIZE = 512  # bytes of the description: always as many, so that it is replaced in one write
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a job. `pid` is 0 where it could not say who it is.

    `since` is in seconds since the epoch, and `work` the command. With `in_ledger` whatever the
    ledger holds in flight is this process's own; before, it is what a dead one left there.
    """

    pid: int = 0
    host: str = ""
    since: float = 0.0
    work: str = "run"
    in_ledger: bool = True

    def __str__(self) -> str:
        """Who works on the job, and since when, in words."""
        if not self.pid:
            return "another process works on this job"
        elsewhere = self.host != socket.gethostname()
        own = self.pid == os.getpid() and not elsewhere
        since = local_time(self.since)
        return (
            f"{'this' if own else 'another'} process works on this job: backfill {self.work}"
            f" (process {self.pid}{f' on {self.host}' if elsewhere else ''}, since {since})"
        )


class JobLock:
    """The lock while it is held."""

    def __init__(self, handle: int, work: str) -> None:
        """For `locked`; `handle` is the open file that describes the owner."""
        self._handle = handle
        self._owner = Owner(os.getpid(), socket.gethostname(), time.time(), work, in_ledger=False)
        self._describe()

    def enter_ledger(self) -> None:
        """Tell those who look that what is in flight from now on is this process's own."""
        self._owner = replace(self._owner, in_ledger=True)
        self._describe()

    def _describe(self) -> None:
        text = json.dumps(asdict(self._owner)).encode()
        with suppress(OSError):  # on a full disk nobody can be told who it is
            os.pwrite(self._handle, text.ljust(_SIZE), 0)


@contextmanager
def locked(directory: Path, work: str) -> Iterator[JobLock]:
    """Hold the job in `directory` for this process; `work` is the command that needs it.

    Raises BusyError while another one holds it, ReadOnlyError where nobody can, and JobError
    where a link in the directory would lead elsewhere.
    """
    refuse_links(directory)
    handles: list[int] = []
    try:
        try:
            handles.append(os.open(directory, os.O_RDONLY))
            handles.append(os.open(directory / _NAME, os.O_RDWR | os.O_CREAT, 0o600))
            until = time.monotonic() + _PATIENCE
            while not _hold(*handles):
                if time.monotonic() > until:
                    raise _busy(directory)
                time.sleep(_EVERY)
        except OSError as error:
            if error.errno in _CLOSED:
                raise unwritable(directory, error) from error
            raise BackfillError(
                f"the job cannot be locked: {error.strerror or error}",
                where=str(directory / _NAME),
                hint=_hint(error),
            ) from error
        yield JobLock(handles[1], work)
    finally:
        for each in reversed(handles):  # which lets go of the locks, too
            os.close(each)


def owner_of(directory: Path) -> Owner | None:
    """The process that works on the job in `directory` at this moment, None without one.

    Writes nothing, and works where nothing can be written.
    """
    if not any(_is_held(path) for path in (directory, directory / _NAME)):
        return None
    try:
        content = json.loads((directory / _NAME).read_bytes())
        return Owner(**content)
    except (OSError, ValueError, TypeError):
        return Owner()


def unwritable(directory: Path, error: OSError) -> ReadOnlyError:
    """The error for a job's directory that cannot be written to."""
    return ReadOnlyError(
        f"the job's directory cannot be written to: {error.strerror or error}",
        where=str(directory),
        hint="Nothing was sent. Make it writable and run the same command again; `backfill"
        " status` and `backfill records` only look.",
    )


def _busy(directory: Path) -> BusyError:
    owner = owner_of(directory) or Owner()
    return BusyError(
        str(owner),
        where=named(directory),
        hint=f"Wait for it, or look on: backfill status {typed_job(directory)}",
    )


def _hint(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return MORE_OPEN_FILES
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and run the same command again."
    return "That should be a small file; remove whatever stands there."


def _hold(directory: int, file: int) -> bool:
    """Lock both, or neither where somebody else has one of them. Raises OSError."""
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            # A file system that cannot lock directories: the file alone has to do.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_UN)
        return False
    return True


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # not there, or not for this user
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:  # other ones say that this cannot be locked at all
        return isinstance(error, BlockingIOError)
    finally:
        os.close(handle)
    return False


def no_job(directory: Path, name: str) -> JobError:
    """What to say of a directory that is to hold a job, and has a file of somebody's own in it."""
    return JobError(
        f"the directory holds something that is no job: {name}",
        where=str(directory),
        hint="Nothing in it was changed. Name an empty or new directory with --job.",
    )


def refuse_links(directory: Path) -> None:
    """Raise JobError for a link in a job's directory, through which we would write elsewhere.

    The directory itself may be reached through one.
    """
    with suppress(OSError):  # what cannot be listed says so where it is used
        link = next((path for path in directory.iterdir() if path.is_symlink()), None)
        if link is not None:
            known = {*OWN_NAMES, *LEDGERS}
            if link.name not in known and not (directory / MANIFEST).exists():
                raise no_job(directory, link.name)
            raise JobError(
                f"{link.name} is a link, and a job's files lie in its own directory",
                where=str(directory),
                hint="Move the whole directory to where there is space, or name it with --job.",
            )
