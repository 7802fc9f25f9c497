"""Parquet files: looked at once, then scanned by Polars with the row numbers of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import polars as pl

from backfill.errors import SourceError
from backfill.prepare.locations import Location

__all__ = ["ParquetFile", "scan_parquet", "survey_parquet"]


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
    index = pl.col("__row")
    ends = pl.Series(list(accumulate(rows)), dtype=pl.UInt64)
    number = pl.lit(ends).search_sorted(index, side="right").cast(pl.UInt32)
    starts = pl.lit(pl.Series([0, *ends], dtype=pl.UInt64))
    return pl.scan_parquet(
        list(paths), glob=False, hive_partitioning=False, row_index_name="__row"
    ).with_columns(
        pl.lit(None, pl.String).alias("__raw"),
        number.alias("__file"),
        index.cast(pl.UInt64) - starts.gather(number) + 1,
    )


def survey_parquet(location: Location, path: str, *, size: int, sha256: str) -> ParquetFile:
    """Read the file's footer. Raises SourceError where it is no Parquet file or is cut short."""
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    try:
        schema = dict(scan.collect_schema())
        rows: int = scan.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SourceError(
            f"is no Parquet file, or is cut short: {reason}", where=location.name
        ) from error
    return ParquetFile(location, schema, rows, size, sha256)
