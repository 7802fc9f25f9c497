"""Waiting for the storage of a job's files, where it goes away while a run needs them.

A directory on a share fails, finds nothing, or does not answer at all while its server is away; an
object store fails. What a file holds is another matter: content that is not what was planned is no
storage that is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

from backfill.core.errors import StorageError
from backfill.core.job_files import MANIFEST

__all__ = ["StorageWait", "is_away", "reach", "storage_error"]

log = logging.getLogger("backfill.jobdir")

_Found = TypeVar("_Found")

_PATIENCE = 300.0  # seconds, as for a database
_EVERY = 0.5  # seconds between two attempts
_FAILING = 2.0  # seconds after which storage that fails is spoken of
_SILENT = 20.0  # seconds after which storage that does not answer is


def storage_error(directory: Path, error: OSError) -> StorageError:
    """The error for a job in `directory` whose files cannot be reached."""
    message = f"the job's files cannot be read: {error.strerror or error}"
    help_ = "Check the permissions, and see that its storage is mounted, if it lies on one."
    if isinstance(error, FileNotFoundError):
        message = "the job's directory is not there any more"
        help_ = (
            "Move it back, restore it, or mount the storage that it lies on: a job that is planned"
            " anew would send everything again."
        )
    return StorageError(
        message,
        where=str(directory),
        hint=f"{help_} Then run the same command: it goes on where the job stands.",
    )


def is_away(directory: Path, error: OSError, file: Path | None = None) -> bool:
    """Whether a `file` of the job in `directory` cannot be read because none of them can be.

    One that is missing among others was lost, unless it is there again by now.
    """
    if not isinstance(error, FileNotFoundError):
        return True
    try:
        if file is not None and file.exists():
            return True
        return not any(directory.iterdir())  # empty: where nothing is mounted
    except OSError:
        return True


def reach(directory: Path) -> None:
    """Raise StorageError where the job in `directory` cannot be read."""
    try:
        with (directory / MANIFEST).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise storage_error(directory, error) from error


class StorageWait:
    """Reads what lies in a storage, called `where`, once more while that is away.

    It is waited for `patience` seconds, by default as long as a database, and no more once the run
    is to end. May be used by several threads. `clock` gives seconds.
    """

    def __init__(
        self,
        where: str,
        *,
        patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._patience = _PATIENCE if patience is None else patience
        self._clock = clock
        self._ended = threading.Event()
        self._numbers = count()
        self._waiting: dict[int, float] = {}  # since when each read goes on
        self._failing: set[int] = set()  # of these, those that have failed
        self._given_up = False
        self._told = False

    def stop(self) -> None:
        """Wait no more: the run is to end."""
        self._ended.set()

    @property
    def away(self) -> bool:
        """Whether something is waited for that fails, or does not answer for long."""
        began = list(self._waiting.values())
        return bool(self._failing) or any(self._clock() - each > _SILENT for each in began)

    @property
    def lost(self) -> bool:
        """Whether a read did not come to its end, or was left to itself."""
        return self._given_up or bool(self._waiting)

    def look(self) -> bool:
        """The same; says so once where storage does not answer. For who looks now and then."""
        if self.away and not self._failing:
            self._tell(f"it has not answered for {_SILENT:.0f} s")
        return self.away

    def until_there(self, read: Callable[[], _Found]) -> _Found:
        """What `read` returns, once it does. Raises the StorageError that it ends with where
        patience does, or the run, and whatever else it raises.
        """
        number, began = next(self._numbers), self._clock()
        self._waiting[number] = began
        try:
            while True:
                try:
                    found = read()
                except StorageError as error:
                    self._failing.add(number)
                    now = self._clock()
                    if self._ended.is_set() or now + _EVERY > began + self._patience:
                        self._given_up = True
                        raise
                    if now > began + _FAILING:
                        self._tell(error.message)
                    self._ended.wait(_EVERY)
                else:
                    self._given_up = False
                    if self._told:
                        self._told = False
                        log.warning("%s answers again", self._where)
                    return found
        finally:
            del self._waiting[number]
            self._failing.discard(number)

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "%s is away or slow; what is not in memory yet is sent once it answers: %s",
                self._where,
                why,
            )
