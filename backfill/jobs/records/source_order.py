"""Records in the order of their source, in memory that does not grow with their number.

Many records are first spread over files by where they stand in the source, a stretch of it in
each. Polars holds 128 files open at once and begins more small ones beyond that, so a long source
takes several levels of stretches, each of which is cut into shorter ones when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, count
from pathlib import Path

import polars as pl

from backfill.core.model import Progress
from backfill.prepare.partition import Files, scan_files, split_by, streamed

__all__ = ["in_source_order"]

_SORTED_AT_ONCE = 100_000  # rows that are put in order in one piece of memory
_SPREAD_AT_ONCE = 2_000_000  # rows: a sink that writes slower than it is fed holds them all
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
    ordered = _Cutter(_position(files), place).cut(batches, sum(files))
    yield from _told(ordered, "writing", rows, tell)


def _position(files: Sequence[int]) -> pl.Expr:
    """Where a row stands in the source as a whole, from 0."""
    numbers = pl.Series(range(len(files)), dtype=pl.UInt32())
    before = pl.Series([0, *accumulate(files[:-1])], dtype=pl.UInt64())
    start = pl.col("__file").replace_strict(numbers, before, return_dtype=pl.UInt64)
    return start + pl.col("_row") - 1


@dataclass(frozen=True)
class _Cutter:
    """Cuts rows by their `position` into stretches, which are files somewhere in `place`."""

    position: pl.Expr
    place: Path
    _turns: Iterator[int] = field(default_factory=count)

    def cut(self, frames: Iterator[pl.DataFrame], length: int) -> Iterator[pl.DataFrame]:
        """The rows of a stretch of this `length` in order; shorter ones are written at once."""
        shorter = -(-length // min(_STRETCHES, -(-length // _SORTED_AT_ONCE)))
        found: dict[int, Files] = {}
        for first in frames:
            some = streamed(first.schema, _some(chain([first], frames)))
            numbered = some.with_columns((self.position // shorter).alias(_STRETCH))
            into = self.place / str(next(self._turns))
            # A stretch need not begin where a shorter one does.
            for number, names in split_by(numbered, _STRETCH, into, _STRETCHES + 1).items():
                found[number] = (*found.get(number, ()), *names)
        return (each for number in sorted(found) for each in self._gathered(found[number], shorter))

    def _gathered(self, files: Files, length: int) -> Iterator[pl.DataFrame]:
        """The rows of one stretch in order; its files go with them."""
        stretch = scan_files(files)
        assert stretch is not None  # noqa: S101 - a stretch without files is none
        rows = stretch.select(pl.len()).collect().item()
        if min(rows, length) <= _SORTED_AT_ONCE:
            yield stretch.collect().sort(_ORDER)
        else:
            yield from self.cut(_batches(stretch), length)
        for name in files:
            Path(name).unlink()


def _batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    yield from rows.collect_batches(engine="streaming", maintain_order=False)


def _some(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """As many of the frames as are spread at once."""
    rows = 0
    while rows < _SPREAD_AT_ONCE and (each := next(frames, None)) is not None:
        yield each
        rows += each.height


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
