"""Records in the order of their source, in memory that does not grow with their number.

Many records are first spread over files by where they stand in the source, a stretch of it in
each. Polars holds 128 files open at once and begins more small ones beyond that, so a long source
takes several levels of stretches, each of which is cut into shorter ones when its turn comes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from backfill.core.model import Progress
from backfill.prepare.partition import streamed

__all__ = ["in_source_order"]

_SORTED_AT_ONCE = 100_000  # rows that are put in order in one piece of memory
_HELD = 1_000_000  # rows that wait for their stretch's file, all together
_STRETCHES = 100  # into which a longer one is cut
_ORDER = ("__file", "_row")
_STRETCH = "__stretch"


def in_source_order(
    parts: Sequence[pl.LazyFrame], rows: int, files: Sequence[int], place: Path, tell: Progress
) -> Iterator[pl.DataFrame]:
    """The rows of all parts in the source's order, some at a time.

    There are so many `rows`, each with `__file` and `_row`, counted from 1. The source's files
    have so many rows as `files` says. `place` is an existing directory for what waits.
    """
    if rows <= _SORTED_AT_ONCE:
        # One part at a time: few rows may be what is left of very many.
        yield pl.concat([part.collect() for part in parts]).sort(_ORDER)
        return
    batches = _told((each for part in parts for each in _batches(part)), "gathering", rows, tell)
    cutter = _Cutter.of(files)
    gathered = streamed(parts[0].collect_schema(), batches)
    yield from _told(cutter.cut(gathered, sum(files), place), "writing", rows, tell)


@dataclass(frozen=True)
class _Cutter:
    """Cuts rows by `position`, where each stands in the source as a whole, from 0."""

    position: pl.Expr

    @classmethod
    def of(cls, files: Sequence[int]) -> _Cutter:
        numbers = pl.Series(range(len(files)), dtype=pl.UInt32())
        before = pl.Series([0, *accumulate(files[:-1])], dtype=pl.UInt64())
        start = pl.col("__file").replace_strict(numbers, before, return_dtype=pl.UInt64)
        return cls(start + pl.col("_row") - 1)

    def cut(self, rows: pl.LazyFrame, length: int, place: Path) -> Iterator[pl.DataFrame]:
        """The rows of a stretch of this `length` in order; shorter ones lie in `place` at once."""
        shorter = -(-length // min(_STRETCHES, -(-length // _SORTED_AT_ONCE)))
        folders = self._spread(rows, shorter, place / "stretches")
        return (each for folder in folders for each in self._gathered(folder, shorter))

    def _gathered(self, folder: Path, length: int) -> Iterator[pl.DataFrame]:
        """The rows of one stretch in order; its folder goes with them."""
        stretch = pl.scan_parquet(
            sorted(folder.glob("*.parquet")), hive_partitioning=False, glob=False
        )
        rows = stretch.select(pl.len()).collect().item()
        if min(rows, length) <= _SORTED_AT_ONCE:
            yield stretch.collect().sort(_ORDER)
        else:
            yield from self.cut(stretch, length, folder)
        shutil.rmtree(folder)

    def _spread(self, rows: pl.LazyFrame, length: int, into: Path) -> list[Path]:
        """Write each stretch of this length to a folder of its own; the folders, in order."""
        rows.with_columns((self.position // length).alias(_STRETCH)).sink_parquet(
            pl.PartitionBy(
                into,
                key=_STRETCH,
                include_key=False,
                approximate_bytes_per_file=None,
            ),
            mkdir=True,
            compression="lz4",
            statistics=False,
            row_group_size=_HELD // _STRETCHES,  # held in memory until it is full, one for each
            maintain_order=False,
        )
        return sorted(into.glob(f"{_STRETCH}=*"), key=_number)


def _batches(part: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    yield from part.collect_batches(engine="streaming", maintain_order=False)


def _told(
    frames: Iterator[pl.DataFrame], phase: str, rows: int, tell: Progress
) -> Iterator[pl.DataFrame]:
    """The same frames, and word of how many rows they were so far."""
    done = 0
    tell(phase, done, rows)
    for each in frames:
        yield each
        done += each.height
        tell(phase, done, rows)


def _number(folder: Path) -> int:
    return int(folder.name.partition("=")[2])
