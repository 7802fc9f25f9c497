"""Parquet files: looked at once, then scanned by Polars with the row numbers of the file."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backfill.errors import SourceError
from backfill.prepare.locations import Location

__all__ = ["ParquetFile", "survey_parquet"]


@dataclass(frozen=True)
class ParquetFile:
    """One Parquet file: its columns in their own types, and its rows."""

    location: Location
    schema: dict[str, pl.DataType]
    rows: int
    size: int
    sha256: str

    def scan(self, path: str) -> pl.LazyFrame:
        """`__row`, `__raw`, then the columns."""
        return pl.scan_parquet(
            path, glob=False, hive_partitioning=False, row_index_name="__row", row_index_offset=1
        ).select(
            pl.col("__row").cast(pl.UInt64),
            pl.lit(None, pl.String).alias("__raw"),
            *self.schema,
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
