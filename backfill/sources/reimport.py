"""Rows that this program gave out: once fixed, they can be imported again as they are."""

from __future__ import annotations

import codecs
from pathlib import Path

import polars as pl

from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.locations import Location

__all__ = ["OURS", "is_ours"]

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
