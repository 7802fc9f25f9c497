"""Parquet files that are damaged behind a sound beginning and end.

Polars notices while it decodes a page: it raises, or it panics, or, where a damaged length asks
for more memory than there is, it ends the whole process. The last cannot be caught, so where a
plan died before, the next one has another process try each file first.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from backfill.core.errors import SourceError

__all__ = ["UNREADABLE", "decoding", "encrypted", "read_through", "try_apart"]

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises for bytes that it cannot decode. A panic is no `Exception`."""

_HINT = "The file was damaged after it was written, by a disk or a copy: export it again."
_DECODE = """
import sys
import polars
frame = polars.scan_parquet(sys.argv[1], glob=False, hive_partitioning=False)
frame.sink_batches(lambda batch: None)
"""


def encrypted(name: str) -> SourceError:
    """What to say of a file that is encrypted, all of it or some columns."""
    return SourceError(
        "is encrypted, and no keys are taken here",
        where=name,
        hint="Write it without encryption.",
    )


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Raise SourceError, which names the file, for what cannot be decoded."""
    try:
        yield
    except UNREADABLE as error:
        if "Encryption error" in str(error):  # the file's ends tell nothing: only some columns are
            raise encrypted(name) from None
        panic = isinstance(error, pl.exceptions.PanicException)
        words = "" if panic else f": {str(error).strip().splitlines()[0]}"
        raise SourceError(f"is damaged{words}", where=name, hint=_HINT) from None


def read_through(path: str, *, name: str) -> None:
    """Decode all of a Parquet file and forget it. Raises SourceError where that fails."""
    with decoding(name):
        pl.scan_parquet(path, glob=False, hive_partitioning=False).sink_batches(lambda _: None)


def try_apart(path: str, *, name: str) -> None:
    """Decode a Parquet file in a process of its own. Raises SourceError where that one dies."""
    ended = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", _DECODE, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode < 0:
        raise SourceError(
            f"is damaged so that reading it ends the process (signal {-ended.returncode})",
            where=name,
            hint=_HINT,
        )
