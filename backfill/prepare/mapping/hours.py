"""Whether the hour of an event stands in a column beside the one that `time` names.

A date alone is the midnight that begins it, so the events of a day would lose their order, and
those that differ in nothing but the hour would be duplicates.
"""

from __future__ import annotations

import re
from datetime import time as clock_time

import polars as pl

from backfill.config import Events, Sql
from backfill.config.toml_strings import sql_text
from backfill.sources.scan import Source
from backfill.sources.timestamps import in_calendar

__all__ = ["LOOKED_AT", "hour_beside", "hours_left_out"]

LOOKED_AT = 2_000
"""Rows that tell enough."""

_DATE = r"^\s*[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}\s*$"
_MIDNIGHT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]00:00(:00([.]0+)?)?Z?$"
_CLOCK = r"(?i)^\s*[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(\s*[ap]m)?\s*$"
_HOUR = r"^\s*([01]?[0-9]|2[0-3])\s*$"
_NAMED = r"(?i)(^|[^a-z])(hour|hours|hh|time|clock)($|[^a-z])"


def hours_left_out(events: Events, source: Source, first: pl.DataFrame) -> str | None:
    """A question for whoever planned, where all times are dates and another column holds hours.

    Looks at the first rows alone; `first` are some with the time, which mostly tell that there is
    nothing to ask. None is given back then.
    """
    time = events.time
    if time is None or isinstance(time, Sql) or time not in source.columns:
        return None
    if _day(first[time].head(LOOKED_AT)) is None:
        return None
    names = [name for name, dtype in source.schema.items() if name == time or _may(dtype)]
    found = hour_beside(source.scan().select(names).head(LOOKED_AT).collect(), time)
    if found is None:
        return None
    hours, sql = found
    form = " (and the hour in `time_format`, such as %H:%M)" if events.time_format else ""
    return (
        f"every time in {time!r} is a date without an hour, and {hours!r} holds hours: are they"
        f" the hours of these events? Then write time = {{ sql = {sql_text(sql)} }}{form}; as it"
        " stands every event is one of midnight"
    )


def hour_beside(rows: pl.DataFrame, time: str) -> tuple[str, str] | None:
    """The column that holds the hours of dates in the column `time`, and SQL that gives both.

    None where some time has an hour, and where no other column holds hours.
    """
    day = _day(rows[time])
    if day is None:
        return None
    others = [each for each in rows if each.name != time and _may(each.dtype)]
    texts = {each.name: each.cast(pl.String) for each in others}
    hours = next((name for name in texts if _all(texts[name], _CLOCK)), None) or next(
        (name for name in texts if re.search(_NAMED, name) and _all(texts[name], _HOUR)), None
    )
    if hours is None:
        return None
    clock = _as_clock(hours, texts[hours], text=rows.schema[hours] == pl.String)
    return hours, f"{day} || ' ' || {clock}"


def _day(column: pl.Series) -> str | None:
    """SQL that gives the date of a time that never has an hour; None where one has."""
    time, dtype, values = column.name, column.dtype, column.drop_nulls()
    if dtype == pl.Date:
        return f'"{time}"'
    if isinstance(dtype, pl.Datetime):
        known = in_calendar(pl.col(time), dtype)
        values = values.to_frame().filter(known)[time]
        midnight = len(values) > 0 and bool((values.dt.time() == clock_time()).all())
        return f'CAST("{time}" AS DATE)' if midnight else None
    if dtype != pl.String:
        return None
    if _all(values, _DATE):
        return f'"{time}"'
    return f'LEFT("{time}", 10)' if _all(values, _MIDNIGHT) else None


def _may(dtype: pl.DataType) -> bool:
    """Whether a column of this type may hold hours."""
    return dtype in (pl.String, pl.Time) or dtype.is_integer()


def _as_clock(name: str, values: pl.Series, *, text: bool) -> str:
    """SQL that writes a column of hours as `09:15`."""
    column = f'"{name}"' if text else f'CAST("{name}" AS VARCHAR)'
    if not _all(values, _CLOCK):
        return f"CASE WHEN LENGTH({column}) = 1 THEN '0' || {column} ELSE {column} END || ':00'"
    if _all(values, "^[0-9]{2}:"):
        return column
    return f"CASE WHEN {column} LIKE '_:%' THEN '0' || {column} ELSE {column} END"


def _all(values: pl.Series, pattern: str) -> bool:
    known = values.drop_nulls()
    return len(known) > 0 and bool(known.str.contains(pattern).all())
