"""Values of a source as a plan shows them to its reader."""

from __future__ import annotations

import polars as pl

from backfill.sources.schemas import MIXED, split_mixed
from backfill.sources.timestamps import in_calendar

__all__ = ["shown"]


def shown(value: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """A value as people read it, also where no field takes it; None for lists and objects.

    A date that no calendar holds is shown as the number that stands in the file.
    """
    if dtype == MIXED:
        return pl.coalesce(*split_mixed(value))
    if dtype.is_nested() or dtype == pl.Object:
        return None
    if dtype == pl.Binary:
        return "0x" + value.bin.encode("hex")
    if dtype == pl.Duration:
        return value.dt.to_string("iso")
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        known = pl.when(in_calendar(value, dtype)).then(value)
        return pl.coalesce(known.cast(pl.String), value.cast(pl.Int64).cast(pl.String))
    return value.cast(pl.String)
