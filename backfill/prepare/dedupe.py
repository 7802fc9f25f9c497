"""Finding records that are the same one: exactly, by their identity's text."""

from __future__ import annotations

from typing import Literal

import polars as pl

from backfill.prepare.identity import IDENTITY

__all__ = ["MARKS", "marks"]

MARKS = pl.Schema(
    {
        "__file": pl.UInt32(),
        "__row": pl.UInt64(),
        "__kept": pl.UInt32(),
        "_kept_file": pl.String(),
        "_kept_row": pl.UInt64(),
        "_kept_job": pl.String(),
    }
)
"""Which rows are duplicates, and of what: a row of this source by the index of its file in
`__kept`, or a row of an earlier job by the name of its file and the job's directory."""


def marks(
    rows: pl.DataFrame,
    keep: Literal["first", "last"],
    *,
    record: pl.Expr | None = None,
    earlier: pl.LazyFrame | None = None,
) -> pl.DataFrame:
    """Mark the duplicates among rows that hold `__file`, `__row` and the identity.

    `earlier` holds what earlier jobs delivered: `record`, `_kept_file`, `_kept_row`,
    `_kept_job`; `record` is the expression of our rows' record key. Whatever was delivered is
    a duplicate; among the others the first or last in source order is kept.
    """
    if earlier is None or record is None:
        return _repeated(rows, keep)
    keyed = rows.lazy().with_columns(record.alias("record")).collect()
    # Ours are in memory already; of the others, however many, only those that are ours, too.
    delivered = (
        earlier.join(keyed.lazy().select("record"), on="record", how="semi")
        .unique("record", keep="any")
        .collect(engine="streaming")
    )
    found = (
        keyed.lazy()
        .join(delivered.lazy(), on="record", how="inner")
        .select("__file", "__row", pl.lit(None, pl.UInt32).alias("__kept"), *list(MARKS)[3:])
        .collect()
        .cast(dict(MARKS))  # type: ignore[arg-type]  # a schema is a mapping of types
    )
    rest = rows.join(found, on=["__file", "__row"], how="anti")
    return pl.concat([found, _repeated(rest, keep)])


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
        )
    )
