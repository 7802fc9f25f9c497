"""The columns of a ready file, for tests that write one by hand."""

from __future__ import annotations

import polars as pl

__all__ = ["READY"]

READY = pl.Schema(
    {
        "lane": pl.UInt32(),
        "file": pl.UInt32(),
        "row": pl.UInt64(),
        "time": pl.Datetime("us", "UTC"),
        "key": pl.String(),
        "record": pl.String(),
        "body": pl.String(),
    }
)
