"""Splitting rows by the hash of a key, so that whatever shares the key lies in one part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

__all__ = [
    "ROWS_OF_A_BUCKET",
    "Files",
    "Parts",
    "Rows",
    "part_of",
    "parts_needed",
    "rows_at_once",
    "scan_files",
    "split",
    "split_by",
    "streamed",
]

Files = tuple[str, ...]
"""Paths of Parquet files, by which they are named to other processes."""

ROWS_OF_A_BUCKET = 150_000
_BYTES_OF_A_BUCKET = 150_000_000

# A row group is held in memory until it is full, one for each part.
_ROWS_HELD = 1_000_000

# Different seeds, or the keys of one bucket would crowd into few lanes or parts.
_SEED = 0x5EED

_PART, _GROUP = "__part", "__group"

# Polars holds so many files of one split open, and beyond that closes one to open another: a part
# of which rows come again gets one more file, so their number grows with the rows.
_OPEN_AT_ONCE = 128


def parts_needed(rows: int, size: int) -> int:
    """How many parts keep each at a size that is worked on in memory; 1 for small sources."""
    return max(1, -(-rows // ROWS_OF_A_BUCKET), -(-size // _BYTES_OF_A_BUCKET))


def rows_at_once(rows: int, size: int) -> int:
    """How many rows of a source of `size` bytes are worked on in memory together."""
    return max(1, min(ROWS_OF_A_BUCKET, rows * _BYTES_OF_A_BUCKET // max(1, size)))


def part_of(key: pl.Expr, parts: int) -> pl.Expr:
    """The part of each row: by its key, or spread over all parts where it has none."""
    spread = pl.col("__row").hash(_SEED)
    return (pl.when(key.is_null()).then(spread).otherwise(key.hash(_SEED)) % parts).cast(pl.UInt32)


@dataclass(frozen=True)
class Rows:
    """So many rows that are not in memory yet."""

    source: pl.LazyFrame
    height: int

    @classmethod
    def count(cls, source: pl.LazyFrame) -> Rows:
        """Rows with their number, which Parquet files know without being read."""
        return cls(source, int(source.select(pl.len()).collect().item()))

    def read(self) -> pl.DataFrame:
        """All of them, in one chunk: gathering by positions costs ten times as much from two."""
        return self.source.collect().rechunk()

    def slices(self, at_once: int, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Slices of at most so many rows, the same ones each time."""
        chosen = self.source if columns is None else self.source.select(columns)
        for start in range(0, self.height, at_once):
            yield chosen.slice(start, at_once).collect().rechunk()


class Parts:
    """Rows in numbered parts, each of which is expected to fit into memory: the files of each.

    Rows that share their key share their part, so a part can be larger than all others.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._files: dict[int, list[str]] = {}

    def add(self, files: Mapping[int, Files]) -> None:
        """Take in what one split wrote."""
        for number, names in files.items():
            self._files.setdefault(number, []).extend(names)

    def files(self, number: int) -> Files:
        """The files of one part; none where no row fell into it."""
        return tuple(sorted(self._files.get(number, ())))

    def drop(self, number: int) -> None:
        """Give the part's space back."""
        for name in self._files.pop(number, ()):
            Path(name).unlink(missing_ok=True)


def scan_files(files: Files) -> pl.LazyFrame | None:
    """The rows of files, None where there are none."""
    return pl.scan_parquet(list(files), hive_partitioning=False, glob=False) if files else None


def split(rows: pl.LazyFrame, key: pl.Expr, directory: Path, count: int) -> dict[int, Files]:
    """Write the rows into at most `count` parts by the hash of `key`, streaming.

    The rows hold `__file` and `__row`. Returns the files of each part that has rows. Many parts
    are split in two levels: the rows are written twice, and each part is one file.
    """
    # The key first, as a column: the part reads it twice.
    parted = rows.with_columns(key.alias(_PART)).with_columns(
        part_of(pl.col(_PART), count).alias(_PART)
    )
    if count <= _OPEN_AT_ONCE:
        return split_by(parted, _PART, directory, count)
    groups = math.isqrt(count - 1) + 1
    grouped = parted.with_columns((pl.col(_PART) % groups).alias(_GROUP))
    files: dict[int, Files] = {}
    for names in split_by(grouped, _GROUP, directory, groups).values():
        group = pl.scan_parquet(list(names), hive_partitioning=False, glob=False)
        files |= split_by(group, _PART, directory, -(-count // groups))
        for name in names:
            Path(name).unlink()
    return files


def split_by(rows: pl.LazyFrame, number: str, directory: Path, count: int) -> dict[int, Files]:
    """Write the rows into the files of each value of the column `number`, at most `count`."""
    scheme = pl.PartitionBy(
        directory, key=number, include_key=False, approximate_bytes_per_file=None
    )
    written: list[Path] = []
    rows.sink_parquet(
        scheme,
        compression="lz4",
        statistics=False,
        row_group_size=max(2_000, min(50_000, _ROWS_HELD // count)),
        mkdir=True,
        maintain_order=False,
        sinked_paths_callback=lambda sunk: written.extend(Path(each.path) for each in sunk.paths),
    )
    files: dict[int, Files] = {}
    for path in sorted(written):
        value = int(path.parent.name.removeprefix(f"{number}="))
        files[value] = (*files.get(value, ()), str(path))
    return files


def streamed(schema: pl.Schema, frames: Iterator[pl.DataFrame]) -> pl.LazyFrame:
    """Frames as one that is read once, from its first row to its last."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        assert (predicate, n_rows) == (None, None)  # noqa: S101 - no query above asks for less
        for each in frames:
            yield each.select(columns if columns is not None else list(schema))

    return register_io_source(read, schema=schema)
