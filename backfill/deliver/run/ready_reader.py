"""Reads slices of ready buckets: the record keys and the encoded records."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import anyio.to_thread
import polars as pl

from backfill.core.errors import JobError
from backfill.core.model import Batch, Range
from backfill.jobdir.manifest import Manifest

__all__ = ["Ready", "Rows", "read_bucket"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Records of some ascending ranges of one bucket, in memory.

    `keys` and `bodies` hold them one after another; `offsets` says where each range begins.
    """

    ranges: tuple[Range, ...]
    offsets: tuple[int, ...]
    keys: list[str]
    bodies: list[bytes]

    def slice_for(self, batch: Batch) -> tuple[str, list[bytes]]:
        """The first record's key and the encoded records of a batch of these ranges."""
        first, *others = [self._places(start, stop) for start, stop in batch.ranges]
        bodies = self.bodies[first]
        for places in others:
            bodies.extend(self.bodies[places])
        return self.keys[first.start], bodies

    def _places(self, start: int, stop: int) -> slice:
        index = bisect_right(self.ranges, start, key=itemgetter(0)) - 1
        shift = self.offsets[index] - self.ranges[index][0]
        return slice(start + shift, stop + shift)


class Ready:
    """The files under `ready/`, read a portion at a time and never as a whole."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._files = [directory / "ready" / bucket.file for bucket in manifest.buckets]
        # Decoding is all CPU: more threads would only hold more of it in memory.
        self._turn = anyio.CapacityLimiter(1)

    async def read(self, bucket: int, ranges: Sequence[Range]) -> Rows:
        """Read ascending ranges of a bucket. Raises JobError for a file that is not sound."""
        return await anyio.to_thread.run_sync(self._read, bucket, ranges, limiter=self._turn)

    def _read(self, bucket: int, ranges: Sequence[Range]) -> Rows:
        path = self._files[bucket]
        first, last = ranges[0][0], ranges[-1][1]
        try:
            frame = (
                pl.scan_parquet(path, glob=False)
                .select(pl.col("record"), pl.col("body").cast(pl.Binary))
                .slice(first, last - first)
                .collect()
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise _unreadable(path, error) from error
        if frame.height != last - first:
            raise JobError("the ready records are not those of the plan", where=str(path))
        if len(ranges) > 1:
            frame = pl.concat([frame.slice(start - first, stop - start) for start, stop in ranges])
        offsets, total = [], 0
        for start, stop in ranges:
            offsets.append(total)
            total += stop - start
        return Rows(
            tuple(ranges), tuple(offsets), frame["record"].to_list(), frame["body"].to_list()
        )


def read_bucket(directory: Path, manifest: Manifest, bucket: int) -> pl.DataFrame:
    """The `key` and the `body` of every record of a bucket, by position.

    Raises JobError for a file that is not sound.
    """
    path = directory / "ready" / manifest.buckets[bucket].file
    try:
        return pl.read_parquet(path, columns=["key", "body"], glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> JobError:
    return JobError(
        f"the ready records cannot be read: {error}",
        where=str(path),
        hint="Restore the job's directory from a copy, or plan a new job.",
    )
