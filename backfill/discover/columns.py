"""What the sampled values of a column look like, measured by the destinations' own rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from datetime import datetime
from typing import Literal

import polars as pl

from backfill.checks.checked import Checked, trimmed
from backfill.checks.fields import check
from backfill.checks.text import as_text
from backfill.checks.times import EPOCH
from backfill.config import Rules
from backfill.destination import Field, Kind
from backfill.discover.names.exports import Export, recognise
from backfill.discover.names.spellings import JOIN_KEYS, PHONES, closeness
from backfill.discover.times.dates import Written, perhaps_digits, written_form
from backfill.discover.times.forms import looks_dated
from backfill.prepare.facts.id_spellings import FORMULA, UNWRAPPED, sql_of
from backfill.prepare.facts.lost_pluses import (
    PLUS_BEFORE,
    PLUS_BEFORE_QUANTITY,
    lack_their_plus,
)
from backfill.prepare.facts.uuid_spellings import uuid_form

__all__ = ["ColumnProfile", "Side", "profile_columns"]

Side = Literal["events", "contacts"]

_KINDS = (Kind.UUID, Kind.PHONE, Kind.EMAIL, Kind.LANGUAGE, Kind.TIME)
_LIKELY = 0.5  # the share of times from which a column is one of times
_RARE = 0.01  # the share of dates in forms of their own that is left to be rejected
_COMMON = 60  # values that are kept with their counts
_NUMBER = "^[+-]?[0-9]+(?:[.][0-9]+)?$"
_NATIONAL = "^[0-9(][0-9() ./-]{5,17}[0-9]$"
_DECIMAL = "^[0-9]+[.][0-9]+$"
_AT_ONCE = 100_000  # values that are looked at in one query
_UNMEASURED: Mapping[str, int] = defaultdict(int)


@dataclass(frozen=True)
class ColumnProfile:
    """A column as its sample shows it. Shares are of the values that are not empty.

    `shares` says how many values would pass a field of that kind; `unzoned` how many are times
    without a zone, `epoch` and `national` how many are digits such as those of an epoch or of a
    phone number without its country. `common` holds the most frequent values as text, most
    frequent first; `values` all distinct ones, without the white space around them.
    `written` is how most of them are written where they are times in no known form. `export` is
    that of the known tool whose columns these are, `sql` what gives the values where they stand in
    several columns, in formulas or in another form.
    """

    side: Side
    name: str
    dtype: pl.DataType
    filled: int
    distinct: int
    longest: int  # characters
    shares: Mapping[Kind, float]
    number: float
    unzoned: float
    epoch: float
    national: float
    common: tuple[tuple[str, int], ...]
    written: Written | None
    values: pl.Series = attribute(repr=False, compare=False)
    export: Export | None = None
    sql: str | None = None

    def named(self, field: str, spellings: tuple[str, ...]) -> float:
        """How well the name fits a field: above 1 where the export of a known tool says so, else
        by its likeness to the spellings.
        """
        rank = self.rank(field)
        return closeness(self.name, spellings) if rank is None else 1.5 - 0.05 * rank

    def rank(self, field: str) -> int | None:
        """The place among a field's columns in the export of a known tool, 0 for the first; None
        where this is no such column.
        """
        return self.export.rank(field, self.name) if self.export else None

    def share(self, kind: Kind) -> float:
        return self.shares.get(kind, 0.0)

    def share_of(self, texts: tuple[str, ...]) -> float:
        """The share of the values that are one of these texts."""
        wanted = set(texts)
        hits = sum(count for value, count in self.common if value.strip() in wanted)
        return hits / self.filled if self.filled else 0.0

    @property
    def timed(self) -> float:
        """The share of the values that are times, in a known form or as `written` says."""
        return self.share(Kind.TIME) + (self.written.share if self.written else 0)

    @property
    def repeats(self) -> bool:
        """Whether values come back, as those of a contact do in a list of events."""
        return self.distinct < self.filled

    @property
    def coded(self) -> bool:
        """Whether the values are a few words that come back, as the names of events are."""
        special = max(
            self.number, self.timed, *(self.share(kind) for kind in _KINDS if kind != Kind.LANGUAGE)
        )
        few = self.distinct <= max(_COMMON, self.filled // 100)
        return self.filled > 0 and special < 0.5 and few and (self.repeats or self.filled <= 5)


def profile_columns(frame: pl.DataFrame, side: Side, *, now: datetime) -> tuple[ColumnProfile, ...]:
    """Look at each column of a sample that has a name."""
    columns = [each for each in frame.get_columns() if each.name]
    reading = {each.name: sql for each in columns if (sql := _reading(each)) is not None}
    found: dict[str, ColumnProfile] = {}
    for alike in _batches([_read(each, reading.get(each.name)) for each in columns]):
        found |= _look_alike(alike, side, now)
    export = recognise(found, side)
    return tuple(
        replace(found[each.name], export=export, sql=reading.get(each.name)) for each in columns
    )


def _reading(column: pl.Series) -> str | None:
    """SQL that gives the values which a column holds in another form; None where it is not so."""
    name = sql_of(column.name, pl.String())
    phone = bool(closeness(column.name, PHONES))
    if phone and (column.dtype.is_integer() or column.dtype.is_float()):
        sql = PLUS_BEFORE_QUANTITY if column.dtype.is_float() else PLUS_BEFORE
        whole = column.cast(pl.Int64, strict=False).cast(pl.String)
        return sql.format(name) if lack_their_plus(whole) else None
    if column.dtype != pl.String:
        return None
    if _in_formulas(column):
        return UNWRAPPED.format(name)
    texts = column.str.strip_chars()
    if closeness(column.name, JOIN_KEYS) and (form := uuid_form(texts)):
        return form.sql.format(name)
    if phone and int(texts.str.starts_with("'").sum()) > texts.count() / 2:
        return f"LTRIM({name}, '''')"
    return PLUS_BEFORE.format(name) if phone and lack_their_plus(texts) else None


def _in_formulas(column: pl.Series) -> bool:
    """Whether half of the values or more are numbers in formulas, which keep their digits so."""
    filled = column.drop_nulls().str.strip_chars()
    numbers = filled.str.extract(FORMULA).str.contains("[0-9]")
    wrapped = int(numbers.sum())
    return 2 * wrapped >= len(filled) and wrapped > 0


def _read(column: pl.Series, sql: str | None) -> pl.Series:
    if sql is None:
        return column
    return column.to_frame().select(pl.sql_expr(sql).alias(column.name)).to_series()


def _batches(columns: list[pl.Series]) -> Iterator[list[pl.Series]]:
    """Columns of one type, some at a time.

    One query looks at all of a batch. A query for each column would take as long for one value as
    for a thousand; one for all of them would hold a table for each rule over the whole sample.
    """
    types: dict[pl.DataType, list[pl.Series]] = {}
    for each in columns:
        types.setdefault(each.dtype, []).append(each)
    for alike in types.values():
        size = max(1, _AT_ONCE // max(1, len(alike[0])))
        yield from (alike[at : at + size] for at in range(0, len(alike), size))


def _look_alike(columns: list[pl.Series], side: Side, now: datetime) -> dict[str, ColumnProfile]:
    dtype, height = columns[0].dtype, len(columns[0])
    stacked = (
        pl.concat([each.alias("value") for each in columns])
        .to_frame()
        .lazy()
        .with_columns((pl.int_range(pl.len()) // max(1, height)).alias("column"))
    )
    checked = {kind: _checked(kind, dtype, now) for kind in _KINDS}
    measured = (
        # Each check once, as a column: for Polars to find what its parts have in common takes ten
        # times as long as all else that is done with a small sample.
        stacked.with_columns(text=trimmed(_text(dtype)))
        .with_columns(each.packed.alias(kind.value) for kind, each in checked.items())
        .select(
            "column", *_measured({kind: each.within(kind.value) for kind, each in checked.items()})
        )
        .group_by("column")
        .agg(pl.col("longest").max().fill_null(0), pl.exclude("column", "longest").sum())
    )
    measures, counts = pl.collect_all([measured, _counted(stacked, dtype)], engine="in-memory")
    rows = {each["column"]: each for each in measures.iter_rows(named=True)}
    parts = counts.partition_by("column", as_dict=True, include_key=False)
    nothing = counts.drop("column").clear()
    return {
        each.name: _look(
            each.name, side, dtype, rows.get(number, _UNMEASURED), parts.get((number,), nothing)
        )
        for number, each in enumerate(columns)
    }


def _measured(checked: Mapping[Kind, Checked]) -> list[pl.Expr]:
    """For each value whether it is there, of which kinds it is, and how long."""
    text = pl.col("text")
    return [
        text.is_not_null().alias("filled"),
        text.str.len_chars().alias("longest"),
        *(_passing(kind, each).alias(kind.value) for kind, each in checked.items()),
        text.str.contains(_NUMBER).alias("number"),
        text.str.contains(EPOCH).alias("epoch"),
        (text.str.contains(_NATIONAL) & ~text.str.contains(_DECIMAL)).alias("national"),
        dict(checked[Kind.TIME].broken).get("timezone", pl.lit(value=False)).alias("unzoned"),
        looks_dated(text).alias("dated"),
    ]


def _counted(stacked: pl.LazyFrame, dtype: pl.DataType) -> pl.LazyFrame:
    """The distinct values as they stand and trimmed, with their counts, most frequent first."""
    return (
        stacked.select("column", _text(dtype).alias("value"))
        .group_by("column", "value")
        .agg(pl.len().alias("count"))
        .with_columns(trimmed(pl.col("value")).alias("inner"))
        .filter(pl.col("inner").is_not_null())
        .sort("column", "count", "value", descending=[False, True, False])
    )


def _look(
    name: str, side: Side, dtype: pl.DataType, measures: Mapping[str, int], counts: pl.DataFrame
) -> ColumnProfile:
    filled = measures["filled"]

    def share(key: str) -> float:
        return (measures[key] or 0) / filled if filled else 0.0

    shares = {kind: share(kind.value) for kind in _KINDS}
    known = shares[Kind.TIME] + share("unzoned")
    texts = dtype.is_integer() or dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)
    dated = texts and share("dated") >= _RARE and known + share("dated") >= _LIKELY
    written = written_form(counts) if dated else None
    if written is None and texts and share("epoch") == 1:
        written = perhaps_digits(counts)
    return ColumnProfile(
        side=side,
        name=name,
        dtype=dtype,
        filled=filled,
        distinct=counts.height,
        longest=measures["longest"],
        shares={**shares, Kind.TIME: known},
        number=share("number"),
        unzoned=share("unzoned"),
        epoch=share("epoch"),
        national=share("national"),
        written=written,
        common=tuple(counts.head(_COMMON).select("value", "count").iter_rows()),
        values=counts["inner"].unique(maintain_order=True),
    )


def _text(dtype: pl.DataType) -> pl.Expr:
    return as_text(pl.col("value"), dtype, timezone="UTC").value


def _passing(kind: Kind, checked: Checked) -> pl.Expr:
    """Whether a value would pass a field of a kind.

    A time may lie in the future here; one without a zone is counted apart.
    """
    passing = checked.value.is_not_null()
    if kind is Kind.TIME:
        return passing  # what breaks another rule has no moment
    for _, broken in checked.broken:
        passing = passing & ~broken
    return passing


def _checked(kind: Kind, dtype: pl.DataType, now: datetime) -> Checked:
    field = Field("value", kind)
    return check(field, pl.col("value"), dtype, rules=Rules(), timezone=None, now=now)
