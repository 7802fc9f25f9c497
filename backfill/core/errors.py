"""Everything that can end a command, in one hierarchy.

A bad record is never an exception: it is a row with the names of the rules that it broke.
An exception here says what is wrong, where, and what to do now, and carries the exit code
with which the command line ends.
"""

from __future__ import annotations

import difflib
import json
import traceback
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

__all__ = [
    "MORE_OPEN_FILES",
    "BackfillError",
    "BusyError",
    "ChangedError",
    "ConfigError",
    "DestinationError",
    "JobError",
    "LedgerAccessError",
    "LedgerError",
    "LedgerVersionError",
    "OwnershipError",
    "ReadOnlyError",
    "SeparatorError",
    "SourceError",
    "StorageError",
    "did_you_mean",
]

MORE_OPEN_FILES = "Allow more open files: ulimit -n 1024"  # the hint for EMFILE and ENFILE


class BackfillError(Exception):
    """Something ended the command that is neither the user's configuration nor the destination."""

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the line that was typed and the message, and nothing of our own."""
        own = str(Path(__file__).parents[1])
        frames = traceback.extract_tb(self.__traceback__)
        callers = list(takewhile(lambda frame: not frame.filename.startswith(own), frames))
        shown = [line.rstrip() for line in traceback.format_list(callers[-1:])]
        return [*shown, f"{type(self).__name__}: {self}"]


class ConfigError(BackfillError):
    """The command line or the configuration is wrong; nothing was sent."""

    exit_code = 2


class DestinationError(BackfillError):
    """A destination of another package raised where it may not, or gave what it may not."""


class SourceError(ConfigError):
    """A source file is missing, empty, not what its ending says, or lacks a column."""


class SeparatorError(SourceError):
    """A CSV's header cannot be read with this separator, but with another one it can."""

    def __init__(self, separator: str, *, where: str) -> None:
        self.separator = separator
        super().__init__(
            f"the header's cells are separated by {json.dumps(separator)}",
            where=where,
            hint=f"Write separator = {json.dumps(separator)} beside `files`.",
        )


class JobError(ConfigError):
    """The named directory is not a job, or the job cannot do what was asked of it."""


class ChangedError(BackfillError):
    """The source or the configuration is no longer what the job was planned from."""

    exit_code = 10


class BusyError(BackfillError):
    """Another process works on this job."""

    exit_code = 11


class ReadOnlyError(BackfillError):
    """The job's directory can be looked at, but nothing can be written there."""


class StorageError(BackfillError):
    """The files of a job cannot be reached now: the storage that holds them is away, or fails."""


class LedgerError(BackfillError):
    """The ledger cannot be read or written: a full disk, a read-only directory, a damaged file."""


class LedgerAccessError(LedgerError):
    """The ledger's database lets nobody in with this configuration and these credentials."""

    exit_code = 2


class LedgerVersionError(LedgerError):
    """Another version of the program made this ledger, and this one does not understand it."""

    exit_code = 2


class OwnershipError(LedgerError):
    """Another process has taken over a bucket: nothing more of it may be sent from here."""


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a sentence that offers the nearest of the known names, or lists them if few."""
    names = sorted(map(str, known))  # of an enumeration's members their values
    lowered = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {lowered[close[0]]!r}?"
    if names and len(names) <= 12:
        return "Known names: " + ", ".join(names) + "."
    return None
