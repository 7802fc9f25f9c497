"""Parquet files: looked at once, then scanned by Polars with the row numbers of the file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.canonical_text import instance
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES
from backfill.sources.formats.parquet_errors import UNREADABLE, encrypted
from backfill.sources.locations import Location
from backfill.sources.unsupported_formats import LONGEST_START, refuse_begun

__all__ = ["ParquetFile", "scan_parquet", "survey_parquet"]

_FILES_OF_A_SCAN = 32
_DIGITS = 38  # of the widest decimals
_LENIENT = "POLARS_IGNORE_TIMEZONE_PARSE_ERROR"
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class ParquetFile:
    """One Parquet file, or `rows` of it: its columns in their own types, and its rows.

    A column of an extension type has the type in which it is stored; `extensions` has its own.
    `rows_before` counts the file's rows before these, and `sliced` says that they are not all.
    """

    location: Location
    schema: dict[str, pl.DataType]
    extensions: dict[str, str]
    rows: int
    size: int
    sha256: str
    rows_before: int = 0
    sliced: bool = False


def scan_parquet(
    paths: Sequence[str],
    rows: Sequence[int],
    extensions: Iterable[str] = (),
    *,
    first: int | None = None,
) -> pl.LazyFrame:
    """Files of one schema, which hold so many rows: `__file`, `__row`, `__raw`, the columns.

    `__file` counts them from 0, `__row` the rows of each from 1. The columns `extensions` are read
    as they are stored. Of a single file the rows from the index `first` on can be read alone.
    """
    stored = [pl.col(name).ext.storage() for name in extensions]
    if first is not None:
        return _scan(paths, rows, 0).slice(first, rows[0]).with_columns(stored)
    groups = range(0, len(paths), _FILES_OF_A_SCAN)
    return pl.concat(
        [
            _scan(paths[at : at + _FILES_OF_A_SCAN], rows[at : at + _FILES_OF_A_SCAN], at)
            for at in groups
        ]
    ).with_columns(stored)


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
        pl.lit(None, CAUSES).alias(CAUSE),
        file.alias("__file"),
        index.cast(pl.UInt64) - before + 1,
    )


def survey_parquet(location: Location, path: str, *, size: int, sha256: str) -> ParquetFile:
    """Read the file's footer. Raises SourceError where it is no Parquet file or is cut short, and
    for a column of a type that cannot be read.
    """
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    try:
        with _any_zone(), Path(path).open("rb") as file:  # a path would be taken for a glob
            schema = dict(pl.read_parquet_schema(file))
        for name, dtype in schema.items():
            _refuse_unreadable(name, dtype, location.name)
        rows: int = scan.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        with Path(path).open("rb") as file:
            start = file.read(LONGEST_START)
        refuse_begun(location.name, start)
        if start.startswith(b"PARE"):
            raise encrypted(location.name) from None
        if isinstance(error, pl.exceptions.DuplicateError):
            raise SourceError(
                f"has two columns of one name: {error}",
                where=location.name,
                hint="Rename one of them.",
            ) from None
        reason = str(error).strip().split("\n")[0]
        raise SourceError(
            f"is no Parquet file, or is cut short: {reason}",
            where=location.name,
            hint="If it is one, only a part of it is here: fetch or copy it again.",
        ) from error
    extensions = {
        name: dtype for name, dtype in schema.items() if isinstance(dtype, pl.BaseExtension)
    }
    schema |= {name: instance(dtype.ext_storage()) for name, dtype in extensions.items()}
    names = {name: dtype.ext_name() for name, dtype in extensions.items()}
    return ParquetFile(location, schema, names, rows, size, sha256)


@contextmanager
def _any_zone() -> Iterator[None]:
    """Have Polars name a time zone that it does not know, where it would panic otherwise.

    What says so is the whole process's, so one thread does it at a time.
    """
    with _ONE_AT_A_TIME:
        before = os.environ.get(_LENIENT)
        os.environ[_LENIENT] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_LENIENT]
            else:
                os.environ[_LENIENT] = before


def _refuse_unreadable(name: str, dtype: pl.DataType, file: str) -> None:
    """Raise SourceError, which names the column, for a type that Polars stumbles over later."""
    if isinstance(dtype, pl.Struct):
        for each in dtype.fields:
            _refuse_unreadable(f"{name}.{each.name}", instance(each.dtype), file)
    elif isinstance(dtype, pl.List | pl.Array):
        _refuse_unreadable(name, instance(dtype.inner), file)
    elif isinstance(dtype, pl.Decimal) and (dtype.precision or 0) > _DIGITS:
        raise SourceError(
            f"the column {name!r} holds decimals of {dtype.precision} digits, and at most {_DIGITS}"
            " can be read",
            where=file,
            hint="Write it as text, or with fewer digits.",
        )
    elif isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        try:
            pl.Series([0], dtype=pl.Datetime("us")).dt.replace_time_zone(dtype.time_zone)
        except UNREADABLE:
            raise SourceError(
                f"the times of the column {name!r} are in a zone that nobody knows:"
                f" {dtype.time_zone!r}",
                where=file,
                hint='Write them in "UTC", or in a zone of the IANA database.',
            ) from None
