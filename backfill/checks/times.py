"""When something happened: any usual way to write it, as one moment in UTC.

Source: Pristo `IsoDateTime` (`format: date-time`, RFC 3339). What is accepted here is wider
than what is sent. Nothing is guessed: a number that could be a date or a serial number of a
spreadsheet is refused, and so is a time without a zone where the configuration names none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import polars as pl

from backfill.checks.checked import Stage, Steps, absent, seldom, trimmed
from backfill.config.time_formats import TimeFormat, read_time_format
from backfill.sources.canonical_text import float_written
from backfill.sources.timestamps import FIRST, LAST, NAIVE, in_calendar, placed, zoned_in_utc

__all__ = ["EPOCH", "KNOWN", "MOMENT", "check_time", "read_as", "rfc3339"]

MOMENT = pl.Datetime("us", "UTC")

_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?"
_ZONE = " ?(?:[Zz]|UTC|GMT|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
KNOWN = f"^{_DATE}(?:[Tt ]{_CLOCK}(?:{_ZONE})?)?$"
"""The pattern of a text that is a date, with or without a clock, in a form that is always known."""

_WHOLE_CLOCK = "(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}"
_USUAL = {
    24: TimeFormat("%Y-%m-%dT%H:%M:%S.%3fZ", f"^{_DATE}T{_WHOLE_CLOCK}[.][0-9]{{3}}Z$", zoned=True),
    20: TimeFormat("%Y-%m-%dT%H:%M:%SZ", f"^{_DATE}T{_WHOLE_CLOCK}Z$", zoned=True),
    19: TimeFormat("%Y-%m-%d %H:%M:%S", f"^{_DATE} {_WHOLE_CLOCK}$", zoned=False),
}
"""Forms of so many characters that Polars reads in one step, which takes a fraction of the time of
taking a text of any form apart."""

EPOCH = "^[0-9]{9,19}(?:[.][0-9]+)?$"
"""The pattern of a text that counts the time since 1970, in whichever unit."""

_READ = pl.Struct({"local": NAIVE, "fixed": NAIVE})

_SECOND = 1_000_000  # microseconds
# An epoch counts in seconds from 10**8 (1973), in milliseconds from 10**11, in microseconds
# from 10**14 and in nanoseconds from 10**17: each of the first three ends in the year 5138.
_SECONDS, _MILLIS, _MICROS, _NANOS = 10**8, 10**11, 10**14, 10**17

# A date and a clock in 12 digits; in 14 with its second, in 17 with its millisecond.
_FIRST_MINUTE, _LAST_MINUTE = 190001010000, 209912312359

_DAY = 86_400_000  # milliseconds
_MINUTES = pl.Series([f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)])
_WHOLE = pl.Series([f"{second:02}" for second in range(60)])
_FRACTIONS = pl.Series(["Z", *(f".{millis:03}Z" for millis in range(1, 1_000))])


def check_time(
    dtype: pl.DataType, *, timezone: str | None, now: datetime, formats: Sequence[str] = ()
) -> Steps:
    """Read times of any type. Rules: `format`, `timezone`, `nonexistent`, `range`, `future`.

    Text, without regard to white space around it:

    - RFC 3339, with `t` or a space for `T`; the seconds and the zone may be missing; the zone
      may be `Z`, `UTC`, `GMT`, `+03:00`, `+0300` or `+03`, after a space or not. A leap second
      (`:60`) has no moment of its own and breaks `format`;
    - a date alone, which is the midnight that begins it;
    - epoch seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude. Below
      100,000,000 (early 1973) it could as well be `20240131` and breaks `format`, and so does a
      number such as `202401311000`, `20240131100000` or `20240131100000123`, which is a date and a
      clock from 1900 to 2099 (and as an epoch a moment of 1976, or one after the year 2500);
    - before all of these, what fits one of `formats` (strftime notation) from its first character
      to its last, also of numbers in digits; the first that fits counts.

    Integers, floats and decimals are epochs, dates and date-times what they say. Fractions end
    at the microsecond; what is finer is cut off. A time without a zone is one of `timezone`
    (else it breaks `timezone`): where clocks were put back and it happened twice, it is the
    earlier one; where they were put forward and it never was, it breaks `nonexistent`.
    Moments outside the years 1 to 9999 break `range`, moments later than `now` break `future`.
    """
    return Steps(
        (*_read(dtype, formats), *_judged(timezone, now)),
        ("format", "timezone", "nonexistent", "range", "future"),
    )


def rfc3339(moment: pl.Expr) -> pl.Expr:
    """Write moments as `YYYY-MM-DDTHH:MM:SSZ`, with `.mmm` where it is not zero.

    Takes Datetime("us", "UTC"). What is finer than a millisecond is cut off.
    """
    return moment.map_batches(_written_out, return_dtype=pl.String, is_elementwise=True)


def _written_out(moments: pl.Series) -> pl.Series:
    """Each part of a moment from a table of its texts: formatting takes twice as long."""
    days = moments.dt.date()
    known = days.unique().drop_nulls()
    millis = moments.dt.timestamp("ms") - days.cast(pl.Int64) * _DAY
    return pl.select(
        pl.concat_str(
            days.replace_strict(known, known.dt.to_string("%Y-%m-%dT"), return_dtype=pl.String),
            _MINUTES.gather(millis // 60_000),
            _WHOLE.gather(millis // 1_000 % 60),
            _FRACTIONS.gather(millis % 1_000),
        )
    ).to_series()


def _read(dtype: pl.DataType, formats: Sequence[str]) -> tuple[Stage, ...]:
    """Stages that leave a time without a zone in `local`, and a moment in `fixed`.

    Both are naive microseconds, at most one of them not null. `given` is what was there to be
    read, `beyond` marks what was understood but lies outside the calendar.
    """
    raw = pl.field("raw")
    nowhere = absent(raw, NAIVE)
    rest = {"given": raw.is_not_null(), "beyond": pl.lit(value=False)}
    text: Stage = {"text": trimmed(raw.cast(pl.String))}
    textual = dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)
    if textual or (dtype.is_numeric() and formats):  # such as 202401311000, which is no epoch
        if dtype.is_float():
            text = {"text": float_written(raw, dtype)}
        return (text, *_by_form([read_time_format(each) for each in formats]))
    if dtype.is_decimal():
        return (text, *_TEXT)
    if dtype.is_integer():
        number = raw.cast(pl.Int64, strict=False)
        return ({**rest, "local": nowhere, "fixed": _epoch(number)},)
    if dtype.is_float():
        return ({**rest, "local": nowhere, "fixed": _float_epoch(raw.cast(pl.Float64))},)
    if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
        return ({**rest, "inside": in_calendar(raw, dtype)}, _typed(dtype))
    return ({**rest, "local": nowhere, "fixed": nowhere},)


def _typed(dtype: pl.DataType) -> Stage:
    """Dates and date-times. What the calendar does not hold is left out before it is converted."""
    raw = pl.when(pl.field("inside")).then(pl.field("raw"))
    nowhere = absent(raw, NAIVE)
    beyond = pl.field("given") & ~pl.field("inside")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        fixed = zoned_in_utc(raw).dt.cast_time_unit("us")
        return {"beyond": beyond, "local": nowhere, "fixed": fixed}
    return {"beyond": beyond, "local": raw.cast(NAIVE), "fixed": nowhere}


def _judged(timezone: str | None, now: datetime) -> tuple[Stage, ...]:
    local, fixed, beyond = pl.field("local"), pl.field("fixed"), pl.field("beyond")
    there = absent(local, NAIVE) if timezone is None else placed(local, timezone)
    moment, inside = pl.field("moment"), pl.field("inside")
    lost = local.is_not_null() & moment.is_null()
    never = pl.lit(value=False)
    return (
        {"moment": pl.coalesce(fixed, there)},
        {"inside": moment.is_between(FIRST, LAST)},
        {
            "value": pl.when(inside).then(moment).dt.replace_time_zone("UTC"),
            "format": pl.field("given") & local.is_null() & fixed.is_null() & ~_so(beyond),
            "timezone": lost if timezone is None else never,
            "nonexistent": never if timezone is None else lost,
            "range": _so(beyond) | ~inside,
            "future": inside & (moment > pl.lit(now.astimezone(UTC).replace(tzinfo=None))),
        },
    )


def _so(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=False)


def _epoch(number: pl.Expr) -> pl.Expr:
    """Whole numbers as naive UTC microseconds; null where their size is that of no epoch."""
    micros = (
        pl.when(number < _MILLIS)
        .then(number * _SECOND)
        .when(number < _MICROS)
        .then(number * 1_000)
        .when(number < _NANOS)
        .then(number)
        .otherwise(number // 1_000)
    )
    return pl.when((number >= _SECONDS) & ~_is_calendar(number)).then(micros).cast(NAIVE)


def _is_calendar(number: pl.Expr) -> pl.Expr:
    """Whether digits are a year from 1900 to 2099 with all that follows, to minutes, seconds or
    milliseconds.
    """
    return number.map_batches(_calendars, return_dtype=pl.Boolean, is_elementwise=True)


def _calendars(numbers: pl.Series) -> pl.Series:
    """Divisions cost more than all else that is done with an epoch, and few numbers need them."""
    first, last = _FIRST_MINUTE, _LAST_MINUTE
    finest = numbers.is_between(100_000 * first, 100_000 * last + 59_999)
    long = numbers.is_between(100 * first, 100 * last + 59)
    likely = finest | long | numbers.is_between(first, last)
    if not likely.any():
        return likely
    clock = pl.when(finest).then(numbers // 1_000).when(long).then(numbers).otherwise(100 * numbers)
    seconds = pl.select(clock).to_series()
    return (
        likely
        & (seconds // 100_000_000 % 100).is_between(1, 12)
        & (seconds // 1_000_000 % 100).is_between(1, 31)
        & (seconds // 10_000 % 100 < 24)
        & (seconds // 100 % 100 < 60)
        & (seconds % 100 < 60)
    )


def _float_epoch(number: pl.Expr) -> pl.Expr:
    """As `_epoch`, with a fraction; a float holds today's microseconds to the nearest one."""
    micros = (
        pl.when(number < _MILLIS)
        .then((number * 1e6).round())
        .when(number < _MICROS)
        .then((number * 1e3).round())
        .when(number < _NANOS)
        .then(number.floor())
        .otherwise((number / 1e3).floor())
    )
    known = number.is_finite() & number.is_between(_SECONDS, 2.0**63, closed="left")
    known &= ~_is_calendar(pl.when(known).then(number).cast(pl.Int64))
    return pl.when(known).then(micros).cast(pl.Int64).cast(NAIVE)


def _by_form(formats: Sequence[TimeFormat]) -> Iterator[Stage]:
    """Texts in forms of the user's own, in usual ones, and then all others; what one form fits, no
    other one sees.
    """
    text = pl.field("text")
    read = partial(_read_by_form, formats)
    yield {"given": text.is_not_null(), "beyond": pl.lit(value=False)}
    yield {"read": text.map_batches(read, return_dtype=_READ, is_elementwise=True)}
    yield {name: pl.field("read").struct.field(name) for name in ("local", "fixed")}


def _read_by_form(formats: Sequence[TimeFormat], texts: pl.Series) -> pl.Series:
    """Most columns are of one form, and no other one is tried where all of it is read."""
    left = texts
    found: dict[str, pl.Series] = {}

    def keep(into: str, read: pl.Series) -> None:
        nonlocal left
        known = read.is_not_null()
        found[into] = read.zip_with(known, found[into]) if into in found else read
        if read.null_count() == left.null_count():
            left = left.clear()
        elif known.any():
            left = left.set(known, None)

    lengths = set(texts.str.len_bytes().unique())
    usual = (form for length, form in _USUAL.items() if length in lengths)
    for form in (*formats, *usual):
        if left.null_count() < len(left):
            read = left.to_frame("text").select(read_as(pl.col("text"), form)).to_series()
            keep("fixed" if form.zoned else "local", read)
    if left.null_count() < len(left):
        others = seldom(_TEXT, {"local": NAIVE, "fixed": NAIVE}, text=pl.col("text"))
        for each in left.to_frame("text").select(others.alias("read")).unnest("read"):
            keep(each.name, each)
    nowhere = pl.Series(dtype=NAIVE).extend_constant(None, len(texts))
    return pl.DataFrame({name: found.get(name, nowhere) for name in ("local", "fixed")}).to_struct(
        texts.name
    )


def read_as(text: pl.Expr, form: TimeFormat) -> pl.Expr:
    """The naive moment or local time of the texts that fit a form as a whole, else null."""
    fits = pl.when(text.str.contains(form.pattern)).then(text)
    read = fits.str.to_datetime(form.text, time_unit="us", strict=False)
    return read.dt.replace_time_zone(None) if form.zoned else read


def _text_stages() -> tuple[Stage, ...]:
    text, written, clocked = pl.field("text"), pl.field("written"), pl.field("clocked")
    tail, offset, zoned = pl.field("tail"), pl.field("offset"), pl.field("zoned")
    clock = _number(clocked.str.slice(11, 2)) * 3600 + _number(clocked.str.slice(14, 2)) * 60
    # What follows the minutes is ":09.123+03:00" with all or none of its parts.
    seconds = _number(pl.when(tail.str.starts_with(":")).then(tail.str.slice(1, 2)))
    finer = pl.when(tail.str.slice(3, 1) == ".").then(tail.str.slice(4, 6))
    places = finer.str.extract("^([0-9]+)").str.pad_end(6, "0")
    hours, minutes = offset.str.slice(1, 2), offset.str.tail(2)
    minutes = pl.when(offset.str.len_bytes() > 3).then(minutes)
    ahead = (_number(hours) * 3600 + _number(minutes).fill_null(0) * 60) * _SECOND
    shift = pl.when(offset.str.starts_with("-")).then(-ahead).otherwise(ahead).fill_null(0)
    date = written.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    return (
        {
            "given": text.is_not_null(),
            "beyond": pl.lit(value=False),
            "written": pl.when(text.str.contains(KNOWN)).then(text),
        },
        {
            "clocked": pl.when(written.str.len_bytes() > 10).then(written),
            "digits": pl.when(written.is_null() & text.str.contains(EPOCH)).then(text),
        },
        {"tail": clocked.str.slice(16)},
        {"numeric": tail.str.contains("[+-]")},
        {
            "zoned": (pl.field("numeric") | tail.str.contains("[A-Za-z]$")).fill_null(value=False),
            "offset": pl.when(pl.field("numeric")).then(tail).str.extract("([+-].*)$"),
            "micros": date.cast(NAIVE).cast(pl.Int64)
            + (clock + seconds.fill_null(0)).fill_null(0) * _SECOND
            + _number(places).fill_null(0),
        },
        {
            "local": pl.when(~zoned).then(pl.field("micros")).cast(NAIVE),
            "fixed": pl.coalesce(
                pl.when(zoned).then(pl.field("micros") - shift).cast(NAIVE), _text_epoch()
            ),
        },
    )


def _text_epoch() -> pl.Expr:
    """Digits with or without a decimal fraction, exact to the microsecond."""
    digits = pl.field("digits")
    dotted = pl.when(digits.str.contains(".", literal=True)).then(digits)
    whole = pl.coalesce(dotted.str.extract("^([0-9]+)"), digits)
    number = whole.cast(pl.Int64, strict=False)
    places = pl.when(number < _MILLIS).then(6).when(number < _MICROS).then(3).otherwise(0)
    fraction = dotted.str.extract("[.]([0-9]+)$").str.pad_end(6, "0")
    finer = _number(fraction.str.slice(0, places)).fill_null(0)
    return (_epoch(number).cast(pl.Int64) + finer).cast(NAIVE)


def _number(digits: pl.Expr) -> pl.Expr:
    return digits.cast(pl.Int64, strict=False)


_TEXT = _text_stages()
