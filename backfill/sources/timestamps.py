"""Typed dates and moments: what the calendar holds, and local times placed in a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

__all__ = ["FIRST", "LAST", "NAIVE", "in_calendar", "placed", "zoned_in_utc"]

NAIVE = pl.Datetime("us")
FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - compared with moments whose zone is set aside
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - the same

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the same
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def in_calendar(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whether a Date or a Datetime lies within the years 1 to 9999, in UTC where it has a zone.

    Null where there is none. Counts are compared and not dates, because Polars cannot so much as
    look at a date that is far enough away.
    """
    count = raw.cast(pl.Int64)
    if not isinstance(dtype, pl.Datetime):
        first, last = date(1, 1, 1), date(9999, 12, 31)
        return count.is_between((first - _EPOCH.date()).days, (last - _EPOCH.date()).days)
    if dtype.time_unit == "ns":
        # 64 bits of nanoseconds reach from 1677 to 2262.
        return pl.when(raw.is_not_null()).then(pl.lit(value=True))
    unit = _PER_SECOND[dtype.time_unit or "us"]
    first_second = int(FIRST.replace(tzinfo=UTC).timestamp())
    last_second = int(LAST.replace(tzinfo=UTC, microsecond=0).timestamp())
    return count.is_between(first_second * unit, (last_second + 1) * unit, closed="left")


def placed(local: pl.Expr, timezone: str) -> pl.Expr:
    """The UTC moment, still naive, of a naive local time; null where clocks skipped it.

    Where clocks were put back and the local time was twice, it is the earlier one.
    """
    there = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return zoned_in_utc(there)


def zoned_in_utc(moment: pl.Expr) -> pl.Expr:
    """The naive UTC moment of one with a zone."""
    return moment.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
