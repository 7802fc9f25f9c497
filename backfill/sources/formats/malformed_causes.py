"""Why a row cannot be read: what stands in `_cause` beside the raw text of such a row."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

__all__ = ["CAUSE", "CAUSES", "Cause"]


class Cause(StrEnum):
    """What keeps a row from being read; the values are what users see."""

    QUOTE = "broken quote"
    CELLS = "too many cells"
    BYTES = "undecodable bytes"
    LONG = "too long"
    HEADER = "header again"
    JSON = "no JSON object"


CAUSE = "__cause"
"""The column beside `__raw`, null wherever that is."""

CAUSES = pl.Enum([each.value for each in Cause])
"""Its type, a byte for each row."""
