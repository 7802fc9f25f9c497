"""Parquet files: looked at once, then scanned by Polars with the row numbers of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.locations import Location
from backfill.sources.unsupported_formats import LONGEST_START, refuse_begun

__all__ = ["ParquetFile", "scan_parquet", "survey_parquet"]

_FILES_OF_A_SCAN = 32


@dataclass(frozen=True)
class ParquetFile:
    """One Parquet file: its columns in their own types, and its rows."""

    location: Location
    schema: dict[str, pl.DataType]
    rows: int
    size: int
    sha256: str


def scan_parquet(paths: Sequence[str], rows: Sequence[int]) -> pl.LazyFrame:
    """Files of one schema, which hold so many rows: `__file`, `__row`, `__raw`, the columns.

    `__file` counts them from 0, `__row` the rows of each from 1.
    """
    groups = range(0, len(paths), _FILES_OF_A_SCAN)
    return pl.concat(
        [
            _scan(paths[at : at + _FILES_OF_A_SCAN], rows[at : at + _FILES_OF_A_SCAN], at)
            for at in groups
        ]
    )


def _scan(paths: Sequence[str], rows: Sequence[int], first: int) -> pl.LazyFrame:
    """Files that count from `first`, told apart by the row index over all of them.

    A search in the files' ends would say the same in one step, but holds all rows in memory:
    only an expression that goes row by row keeps the scan streaming.
    """
    index = pl.col("__row")
    file, before = pl.lit(first, pl.UInt32), pl.lit(0, pl.UInt64)
    for number, end in enumerate(accumulate(rows[:-1]), start=first + 1):
        file = pl.when(index >= end).then(pl.lit(number, pl.UInt32)).otherwise(file)
        before = pl.when(index >= end).then(pl.lit(end, pl.UInt64)).otherwise(before)
    return pl.scan_parquet(
        list(paths), glob=False, hive_partitioning=False, row_index_name="__row"
    ).with_columns(
        pl.lit(None, pl.String).alias("__raw"),
        file.alias("__file"),
        index.cast(pl.UInt64) - before + 1,
    )


def survey_parquet(location: Location, path: str, *, size: int, sha256: str) -> ParquetFile:
    """Read the file's footer. Raises SourceError where it is no Parquet file or is cut short."""
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    try:
        schema = dict(scan.collect_schema())
        rows: int = scan.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        with Path(path).open("rb") as file:
            refuse_begun(location.name, file.read(LONGEST_START))
        reason = str(error).strip().split("\n")[0]
        raise SourceError(
            f"is no Parquet file, or is cut short: {reason}", where=location.name
        ) from error
    return ParquetFile(location, schema, rows, size, sha256)
