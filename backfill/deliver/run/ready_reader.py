"""Reads slices of ready buckets: the record keys and the encoded records."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import polars as pl

from backfill.core.errors import BackfillError, JobError
from backfill.core.model import Batch, Range
from backfill.jobdir.copies import job_file
from backfill.jobdir.manifest import Manifest, Seal
from backfill.jobdir.storage_wait import StorageWait, is_away, storage_error

__all__ = ["Ready", "Rows", "read_bucket"]


_BLOCK = 8_192  # rows: a row group of a ready file as planning writes it
_MOST_BLOCKS = 8  # that are kept decoded, of some 3 MB each

_RESTORE = "Restore the file from a copy of the job's directory."


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
        first = self._places(*batch.ranges[0])
        bodies = self.bodies[first]
        for start, stop in batch.ranges[1:]:
            bodies.extend(self.bodies[self._places(start, stop)])
        return self.keys[first.start], bodies

    def _places(self, start: int, stop: int) -> slice:
        index = bisect_right(self.ranges, (start, math.inf)) - 1
        shift = self.offsets[index] - self.ranges[index][0]
        return slice(start + shift, stop + shift)


class Ready:
    """The files under `ready/`, a portion of each in memory at a time.

    Before the first portion of a file all its bytes are compared with the plan's hash, and again
    should its size or time change: positions in the ledger mean the records of that very file.
    That costs a second for each gigabyte, file by file, so a job of any size begins at once.
    Storage that is away is waited for.
    """

    def __init__(self, directory: Path, manifest: Manifest, storage: StorageWait) -> None:
        self._directory = directory
        self.storage = storage
        self._reading: set[anyio.CancelScope] = set()
        self._files = [directory / "ready" / bucket.file for bucket in manifest.buckets]
        self._seals = [manifest.seals.get(f"ready/{each.file}") for each in manifest.buckets]
        self._verified: dict[int, Seal] = {}
        self._blocks: dict[tuple[int, int], pl.DataFrame] = {}
        # Decoding is all CPU: more threads would only hold more of it in memory.
        self._turn = anyio.CapacityLimiter(1)

    def stop(self) -> None:
        """Keep nobody waiting any more: the run is to end."""
        self.storage.stop()
        for scope in self._reading:
            scope.cancel()

    async def read(self, bucket: int, ranges: Sequence[Range]) -> Rows | None:
        """Read ascending ranges of a bucket; None where the run ends before they are there.

        Raises JobError for a file that is not sound, and StorageError where it cannot be reached.
        """
        read = partial(self._read, bucket, ranges)
        with anyio.CancelScope() as scope:
            self._reading.add(scope)
            try:
                # Storage that does not answer keeps its thread, and not the run.
                return await anyio.to_thread.run_sync(
                    self.storage.until_there, read, limiter=self._turn, abandon_on_cancel=True
                )
            finally:
                self._reading.remove(scope)
        return None

    def _read(self, bucket: int, ranges: Sequence[Range]) -> Rows:
        path = job_file(self._directory, f"ready/{self._files[bucket].name}")
        self._verify(bucket, path)
        frame = pl.concat(
            [piece for start, stop in ranges for piece in self._pieces(bucket, start, stop)],
            rechunk=False,
        )
        if frame.height != sum(stop - start for start, stop in ranges):
            raise JobError("the ready records are not those of the plan", where=str(path))
        offsets, total = [], 0
        for start, stop in ranges:
            offsets.append(total)
            total += stop - start
        return Rows(
            tuple(ranges), tuple(offsets), frame["record"].to_list(), frame["body"].to_list()
        )

    def _pieces(self, bucket: int, start: int, stop: int) -> Iterator[pl.DataFrame]:
        """A range of a bucket, block by block. A block is decoded as a whole whatever part of it is
        read, and the lanes that lie in it are read one after another.
        """
        for number in range(start // _BLOCK, (stop - 1) // _BLOCK + 1):
            block = self._blocks.pop((bucket, number), None)
            if block is None:
                block = self._decode(self._files[bucket], number)
            self._blocks[bucket, number] = block  # the last one used is at the end
            if len(self._blocks) > _MOST_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            begin = max(start - number * _BLOCK, 0)
            yield block.slice(begin, stop - number * _BLOCK - begin)

    @staticmethod
    def _decode(path: Path, number: int) -> pl.DataFrame:
        try:
            return (
                pl.scan_parquet(path, glob=False)
                .select(pl.col("record"), pl.col("body").cast(pl.Binary))
                .slice(number * _BLOCK, _BLOCK)
                .collect()
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise _unreadable(path, error) from error

    def _verify(self, bucket: int, path: Path) -> None:
        planned, known = self._seals[bucket], self._verified.get(bucket)
        if planned is None:
            return  # planned by a version that kept no hashes
        try:
            if known is not None and known.untouched(path):
                return
            found = Seal.of(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        if found.sha256 != planned.sha256:
            raise JobError(
                "the ready records are not those of the plan: the file was changed",
                where=str(path),
                hint=f"Nothing was sent of it as it is now. {_RESTORE}",
            )
        self._verified[bucket] = found
        self._blocks = {key: block for key, block in self._blocks.items() if key[0] != bucket}


def read_bucket(directory: Path, manifest: Manifest, bucket: int) -> pl.DataFrame:
    """The `key` and the `body` of every record of a bucket, by position.

    Raises JobError for a file that is not sound, and StorageError where it cannot be reached.
    """
    path = job_file(directory, f"ready/{manifest.buckets[bucket].file}")
    try:
        return pl.read_parquet(path, columns=["key", "body"], glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> BackfillError:
    directory = path.parent.parent
    if isinstance(error, OSError) and is_away(directory, error, path):
        return storage_error(directory, error)
    reason = getattr(error, "strerror", None) or error
    return JobError(f"the ready records cannot be read: {reason}", where=str(path), hint=_RESTORE)
