"""Rows that this program gave out: once fixed, they can be imported again as they are."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES
from backfill.sources.locations import Location

__all__ = ["OURS", "is_ours", "malformed_again"]

OURS = (
    *("_file", "_row", "_state", "_reason", "_http_status", "_request_id", "_raw", "_cause"),
    *("_kept_file", "_kept_row", "_kept_job", "_kept_state"),
)
"""Columns that are added to rejected rows, duplicates and records, and dropped where such rows come
back."""

_FRONT = list(OURS[:6])
_START = {"csv": ",".join(_FRONT).encode() + b",", "ndjson": b'{"_file":"'}
_MARK = codecs.BOM_UTF8.decode("latin-1").encode()  # as it is read byte by byte


def is_ours(location: Location, path: str) -> bool:
    """Whether a file looks like one that `records` wrote; its text is UTF-8, with commas in a CSV.

    Raises SourceError for a text that cannot be opened.
    """
    if location.format == "parquet":
        try:
            with Path(path).open("rb") as file:  # a path would be taken for a glob
                return list(pl.read_parquet_schema(file))[: len(_FRONT)] == _FRONT
        except (pl.exceptions.PolarsError, OSError):
            return False
    ours = _START[location.format]
    with open_stream(path, location, encoding="latin-1") as stream:  # byte by byte
        return stream.read(len(_MARK) + len(ours)).removeprefix(_MARK).startswith(ours)


def malformed_again(schema: Mapping[str, pl.DataType]) -> tuple[pl.Expr, pl.Expr]:
    """`__raw` and `__cause` of a file with these columns. A row of ours that could not be read is
    such a one still where nobody has filled in a cell.
    """
    raw, cause = pl.col("__raw"), pl.col(CAUSE)
    if not {"_raw", "_cause"} <= schema.keys():
        return raw, cause
    empty = pl.all_horizontal(pl.col(name).is_null() for name in schema if name not in OURS)
    text, why = (pl.when(empty).then(pl.col(name).cast(pl.String)) for name in ("_raw", "_cause"))
    return pl.coalesce(raw, text), pl.coalesce(cause, why.cast(CAUSES, strict=False))
