"""What lies in a job's directory: a file that is damaged or lost is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backfill.core.errors import BackfillError, JobError

__all__ = ["reading"]


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """Raise JobError where a file of the job cannot be read, and BackfillError for the disk's own.

    Polars' exceptions are known only once it is at work, so nothing heavy is imported before.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # no fault at all: whoever reads our output has left
    except OSError as error:
        raise BackfillError(
            f"a file cannot be read or written: {error.strerror or error}",
            where=str(error.filename or directory),
            hint="Check that it is there, the free space and the permissions.",
        ) from error
    except BaseException as error:
        from backfill.sources.formats.parquet_errors import UNREADABLE  # noqa: PLC0415 - imports Polars

        if not isinstance(error, UNREADABLE):
            raise
        raise JobError(
            f"a file of the job is damaged: {str(error).strip().splitlines()[0]}",
            where=str(directory),
            hint="Restore the job's directory from a copy. The ledger alone knows what was sent.",
        ) from error
