"""Splitting rows by the hash of a key, so that whatever shares the key lies in one part."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

__all__ = ["ROWS_OF_A_BUCKET", "Parts", "part_of", "parts_needed", "split"]

ROWS_OF_A_BUCKET = 150_000
_BYTES_OF_A_BUCKET = 150_000_000

# A row group is held in memory until it is full, one for each part.
_ROWS_HELD = 1_000_000

# Different seeds, or the keys of one bucket would crowd into few lanes or parts.
_SEED = 0x5EED

_PART = "__part"


def parts_needed(rows: int, size: int) -> int:
    """How many parts keep each at a size that is worked on in memory; 1 for small sources."""
    return max(1, -(-rows // ROWS_OF_A_BUCKET), -(-size // _BYTES_OF_A_BUCKET))


def part_of(key: pl.Expr, parts: int) -> pl.Expr:
    """The part of each row: by its key, or spread over all parts where it has none."""
    spread = pl.col("__row").hash(_SEED)
    return (pl.when(key.is_null()).then(spread).otherwise(key.hash(_SEED)) % parts).cast(pl.UInt32)


class Parts:
    """Rows in numbered parts, each of which fits into memory."""

    def __init__(self, count: int, directory: Path | None, whole: pl.LazyFrame | None) -> None:
        self.count = count
        self._directory = directory
        self._whole = whole

    def scan(self, number: int) -> pl.LazyFrame | None:
        """One part, or None where no row fell into it."""
        if self._directory is None:
            return self._whole
        files = sorted((self._directory / f"{_PART}={number}").glob("*.parquet"))
        return pl.scan_parquet(files, hive_partitioning=False, glob=False) if files else None

    def drop(self, number: int) -> None:
        """Give the part's space back."""
        if self._directory is not None:
            shutil.rmtree(self._directory / f"{_PART}={number}", ignore_errors=True)


def split(rows: pl.LazyFrame, key: pl.Expr, directory: Path, count: int) -> Parts:
    """Write the rows into `count` parts by the hash of `key`, streaming.

    The rows hold `__file` and `__row`. A single part is not written anywhere.
    """
    if count == 1:
        return Parts(1, None, rows)
    scheme = pl.PartitionBy(
        directory, key=_PART, include_key=False, approximate_bytes_per_file=None
    )
    # The key first, as a column: the part reads it twice.
    parted = rows.with_columns(key.alias(_PART)).with_columns(
        part_of(pl.col(_PART), count).alias(_PART)
    )
    parted.sink_parquet(
        scheme,
        compression="lz4",
        statistics=False,
        row_group_size=max(2_000, min(50_000, _ROWS_HELD // count)),
        mkdir=True,
        maintain_order=False,
    )
    return Parts(count, directory, None)
