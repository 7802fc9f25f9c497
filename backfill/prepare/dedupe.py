"""Finding records that are the same one: exactly, by their identity's text."""

from __future__ import annotations

from typing import Literal

import polars as pl

from backfill.prepare.identity import IDENTITY
from backfill.prepare.previous_jobs import LeftOut

__all__ = ["MARKS", "marks"]

_PLACE = ["__file", "__row"]

MARKS = pl.Schema(
    {
        "__file": pl.UInt32(),
        "__row": pl.UInt64(),
        "__kept": pl.UInt32(),
        "_kept_file": pl.String(),
        "_kept_row": pl.UInt64(),
        "_kept_job": pl.String(),
        "_kept_state": pl.String(),
    }
)
"""Which rows are duplicates, and of what: a row of this source by the index of its file in
`__kept`, or a row of an earlier job by the name of its file, the job's directory and the state
that it has there."""


def marks(
    rows: pl.DataFrame,
    keep: Literal["first", "last"],
    *,
    record: pl.Expr | None = None,
    left_out: LeftOut = LeftOut(),  # noqa: B008 - frozen
) -> pl.DataFrame:
    """Mark the duplicates among rows that hold `__file`, `__row` and the identity.

    `left_out` holds what earlier jobs sent; `record` is the expression of our rows' record key.
    Whatever they sent is a duplicate; among the others the first or last in source order is kept.
    """
    found = []
    if left_out.by_place is not None:
        found.append(_at_places(rows, left_out.by_place))
        rows = rows.join(found[-1], on=_PLACE, how="anti")
    if left_out.by_key is not None and record is not None:
        keyed = rows.lazy().with_columns(record.alias("record")).collect().lazy()
        # Ours are in memory already; of the others, however many, only those that are ours, too.
        known = (
            left_out.by_key.join(keyed.select("record"), on="record", how="semi")
            .unique("record", keep="any")
            .collect(engine="streaming")
        )
        found.append(_marked(keyed.join(known.lazy(), on="record", how="inner")).collect())
        rows = rows.join(found[-1], on=_PLACE, how="anti")
    return pl.concat([*found, _repeated(rows, keep)])


def _at_places(rows: pl.DataFrame, places: pl.LazyFrame) -> pl.DataFrame:
    """Rows that stand at these places, and those that are the same record as one of them."""
    there = (
        rows.lazy()
        .select(*_PLACE, IDENTITY)
        .join(places, on=_PLACE, how="inner")
        .collect()
        .sort(_PLACE)
    )
    others = rows.lazy().select(*_PLACE, IDENTITY).join(there.lazy(), on=_PLACE, how="anti")
    kept = there.lazy().drop(_PLACE).unique(IDENTITY, keep="first", maintain_order=True)
    same = others.join(kept, on=IDENTITY, how="inner")
    return pl.concat([_marked(there.lazy()), _marked(same)]).collect()


def _marked(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows that an earlier job has sent, as marks."""
    return rows.select(*_PLACE, pl.lit(None, pl.UInt32).alias("__kept"), *list(MARKS)[3:]).cast(
        dict(MARKS)  # type: ignore[arg-type]  # a schema is a mapping of types
    )


def _repeated(rows: pl.DataFrame, keep: Literal["first", "last"]) -> pl.DataFrame:
    """Rows that repeat another one. A hash picks the candidates; their texts decide."""
    candidates = rows.filter(pl.col(IDENTITY).hash().is_duplicated())
    if candidates.is_empty():
        return pl.DataFrame(schema=MARKS)
    ordered = candidates.select("__file", "__row", IDENTITY).sort("__file", "__row")
    place = pl.struct("__file", "__row")
    chosen = place.first() if keep == "first" else place.last()
    return (
        ordered.with_columns(chosen.over(IDENTITY).alias("kept"), place.alias("place"))
        .filter(pl.col("place") != pl.col("kept"))
        .select(
            "__file",
            "__row",
            pl.col("kept").struct.field("__file").alias("__kept"),
            pl.lit(None, pl.String).alias("_kept_file"),
            pl.col("kept").struct.field("__row").alias("_kept_row"),
            pl.lit(None, pl.String).alias("_kept_job"),
            pl.lit(None, pl.String).alias("_kept_state"),
        )
    )
