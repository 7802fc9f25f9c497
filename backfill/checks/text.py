"""Any typed value as the text that stands for it: the APIs take strings only.

Source: Pristo `SendEventRequest.customFields` ("string values"); every other field of both
APIs is a string too. Text, categories and enums stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backfill.checks.checked import Broken, absent
from backfill.sources.canonical_text import clock_written, float_written, moment_written
from backfill.sources.schemas import MIXED, split_mixed
from backfill.sources.timestamps import in_calendar, placed, zoned_in_utc

__all__ = ["Text", "as_text"]


@dataclass(frozen=True)
class Text:
    """The text of a value, null where it is missing or has none, and the rules it broke.

    The rules are true or false for every row, and false for a missing value.
    """

    value: pl.Expr
    broken: Broken = ()


def as_text(raw: pl.Expr, dtype: pl.DataType, *, timezone: str | None) -> Text:
    """Write values as text, without trimming it; an empty text is missing.

    - integers and decimals in digits, a decimal with its column's scale;
    - floats in digits without an exponent, the fewest that mean this float, whole ones without
      a point (5.0 is "5": a column of whole numbers that has nulls often comes as floats), both
      zeros as "0"; NaN and infinities break `finite`;
    - booleans as `true` and `false`;
    - dates, times and date-times as RFC 3339 writes them, date-times in UTC with the fraction
      that they have. A date-time without a zone takes `timezone`; without one it breaks
      `timezone`, and a moment that a clock change skipped breaks `nonexistent`. Outside the years
      1 to 9999 they break `range`;
    - lists, structs and maps break `nested`, also in a column that holds single values too; bytes,
      durations and objects, which no standard writes as text in one way, break `type`.
    """
    if dtype == MIXED:
        text, nested = split_mixed(raw)
        octets = _seen(nested.str.starts_with('"'))  # in base64; what else is nested has brackets
        broken = (("nested", nested.is_not_null() & ~octets), ("type", octets))
        return Text(_present(text).value, broken)
    if dtype in (pl.String, pl.Null) or isinstance(dtype, pl.Categorical | pl.Enum):
        return _present(raw.cast(pl.String))
    if dtype.is_integer() or dtype.is_decimal() or dtype == pl.Boolean:
        return Text(raw.cast(pl.String))
    if dtype.is_float():
        return Text(float_written(raw, dtype), (("finite", _seen(~raw.is_finite())),))
    if dtype == pl.Date:
        inside = in_calendar(raw, dtype)
        text = pl.when(inside).then(raw).dt.to_string("%Y-%m-%d")
        return Text(text, (("range", _seen(~inside)),))
    if isinstance(dtype, pl.Datetime):
        return _datetime(raw, dtype, timezone)
    if dtype == pl.Time:
        return Text(clock_written(raw))
    rule = "nested" if dtype.is_nested() else "type"
    return Text(absent(raw), ((rule, raw.is_not_null()),))


def _present(text: pl.Expr) -> Text:
    return Text(pl.when(text != "").then(text))


def _seen(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=False)


def _datetime(raw: pl.Expr, dtype: pl.Datetime, timezone: str | None) -> Text:
    inside = in_calendar(raw, dtype)
    known = pl.when(inside).then(raw)
    range_rule = ("range", _seen(~inside))
    if dtype.time_zone is not None:
        return Text(moment_written(zoned_in_utc(known)) + "Z", (range_rule,))
    if timezone is None:
        return Text(absent(raw), (("timezone", raw.is_not_null()),))
    moment = placed(known, timezone)
    skipped = known.is_not_null() & moment.is_null()
    # A zone can carry the first and the last day out of the calendar.
    within = in_calendar(moment, pl.Datetime(dtype.time_unit))
    text = moment_written(pl.when(within).then(moment)) + "Z"
    range_rule = ("range", _seen(~inside) | _seen(~within))
    return Text(text, (("nonexistent", skipped), range_rule))
