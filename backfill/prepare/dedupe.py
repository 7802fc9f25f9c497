"""Finding records that are the same one: exactly, by their identity's text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import polars as pl

from backfill.prepare.identity import IDENTITY
from backfill.prepare.left_out import EARLIER, LeftOut
from backfill.prepare.partition import Rows

__all__ = ["MARKS", "Marks", "marked_among", "marks", "marks_in_slices", "sent_from"]

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

Marks = Callable[[pl.DataFrame], pl.DataFrame]
"""Gives the marks among rows."""


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
    sent = _sent(rows, record, left_out, _identities_at([rows], left_out.by_place))
    return pl.concat([sent, _repeated(_without(rows, sent), keep)])


def marks_in_slices(
    part: Rows,
    at_once: int,
    keep: Literal["first", "last"],
    *,
    record: pl.Expr,
    left_out: LeftOut = LeftOut(),  # noqa: B008 - frozen
) -> Iterator[pl.DataFrame]:
    """Mark the duplicates of a part as `marks` does, a slice of so many rows at a time.

    Each identity is held once beside them. Identities spread evenly over parts by their hash, so
    a part that is much larger than others has few of them, over and over.
    """
    placed = _identities_at(part.slices(at_once), left_out.by_place)
    kept: list[pl.DataFrame] = []
    for rows in part.slices(at_once):
        left = _without(rows, _sent(rows, record, left_out, placed))
        kept.append(left.select(*_PLACE, IDENTITY))
        kept = [pl.concat(kept).sort(_PLACE).unique(IDENTITY, keep=keep, maintain_order=True)]
    chosen = pl.concat(kept).select(IDENTITY, pl.struct(_PLACE).alias("kept"))
    for rows in part.slices(at_once):
        sent = _sent(rows, record, left_out, placed)
        repeated = _without(rows, sent).select(*_PLACE, IDENTITY).join(chosen, on=IDENTITY)
        yield pl.concat([sent, _repeats(repeated)])


def marked_among(rows: pl.DataFrame, found: pl.LazyFrame | None) -> pl.DataFrame:
    """The marks of these rows, of those that were found anywhere."""
    if found is None:
        return pl.DataFrame(schema=MARKS)
    return found.join(rows.lazy().select(_PLACE), on=_PLACE, how="semi").collect()


def sent_from(rows: pl.DataFrame, places: pl.LazyFrame | None) -> pl.DataFrame:
    """Mark rows that an earlier job sent from these very places, whatever is in them."""
    if places is None or rows.is_empty():
        return pl.DataFrame(schema=MARKS)
    return _marked(rows.lazy().select(_PLACE).join(places, on=_PLACE)).collect()


def _without(rows: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    return rows.join(sent, on=_PLACE, how="anti") if sent.height else rows


def _sent(
    rows: pl.DataFrame, record: pl.Expr | None, left_out: LeftOut, placed: pl.DataFrame | None
) -> pl.DataFrame:
    """Mark rows that earlier jobs sent; `placed` holds the identities of those sent by place."""
    found = [pl.DataFrame(schema=MARKS)]
    if left_out.by_place is not None and placed is not None:
        found.append(sent_from(rows, left_out.by_place))
        others = rows.lazy().select(*_PLACE, IDENTITY).join(found[-1].lazy(), on=_PLACE, how="anti")
        found.append(_marked(others.join(placed.drop(_PLACE).lazy(), on=IDENTITY)).collect())
    if left_out.by_key is not None and record is not None:
        rows = _without(rows, pl.concat(found))
        keyed = rows.lazy().with_columns(record.alias("record")).collect().lazy()
        # Ours are in memory already; of the others, however many, only those that are ours, too.
        known = (
            left_out.by_key.join(keyed.select("record"), on="record", how="semi")
            .group_by("record")
            .agg(pl.col(list(MARKS)[3:]).min_by(EARLIER))
            .collect(engine="streaming")
        )
        found.append(_marked(keyed.join(known.lazy(), on="record", how="inner")).collect())
    return pl.concat(found)


def _identities_at(
    slices: Iterable[pl.DataFrame], places: pl.LazyFrame | None
) -> pl.DataFrame | None:
    """What the rows at these places are, each identity once, with the first of those places."""
    if places is None:
        return None
    there = [
        rows.lazy().select(*_PLACE, IDENTITY).join(places, on=_PLACE).collect() for rows in slices
    ]
    return pl.concat(there).sort(_PLACE).unique(IDENTITY, keep="first", maintain_order=True)


def _marked(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows that an earlier job has sent, as marks."""
    return rows.select(*_PLACE, pl.lit(None, pl.UInt32).alias("__kept"), *list(MARKS)[3:]).cast(
        dict(MARKS)  # type: ignore[arg-type]  # a schema is a mapping of types
    )


def _repeated(rows: pl.DataFrame, keep: Literal["first", "last"]) -> pl.DataFrame:
    """Mark rows that repeat another one. A hash picks the candidates; their texts decide."""
    candidates = rows.filter(pl.col(IDENTITY).hash().is_duplicated())
    if candidates.is_empty():
        return pl.DataFrame(schema=MARKS)
    ordered = candidates.select(*_PLACE, IDENTITY).sort(_PLACE)
    place = pl.struct(_PLACE)
    chosen = place.first() if keep == "first" else place.last()
    return _repeats(ordered.with_columns(chosen.over(IDENTITY).alias("kept")))


def _repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """Mark rows that are not the one that is kept, of which `kept` has the place."""
    kept = pl.col("kept").struct
    return rows.filter(pl.struct(_PLACE) != pl.col("kept")).select(
        *_PLACE,
        kept.field("__file").alias("__kept"),
        pl.lit(None, pl.String).alias("_kept_file"),
        kept.field("__row").alias("_kept_row"),
        pl.lit(None, pl.String).alias("_kept_job"),
        pl.lit(None, pl.String).alias("_kept_state"),
    )
