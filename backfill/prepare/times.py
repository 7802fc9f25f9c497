"""When something happened: any usual way to write it, as one moment in UTC.

Source: Pristo `IsoDateTime` (`format: date-time`, RFC 3339). What is accepted here is wider
than what is sent. Nothing is guessed: a number that could be a date or a serial number of a
spreadsheet is refused, and so is a time without a zone where the configuration names none.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from backfill.prepare.checked import Checked, absent, trimmed

__all__ = ["MOMENT", "check_time", "rfc3339"]

MOMENT = pl.Datetime("us", "UTC")

_ZONE = " ?(?:[Zz]|UTC|GMT|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?"
_WRITTEN = f"^{_DATE}(?:[Tt ]{_CLOCK}(?:{_ZONE})?)?$"
_NUMBER = "^[0-9]{9,19}(?:[.][0-9]+)?$"

_NAIVE = pl.Datetime("us")
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - compared with moments whose zone is set aside
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - the same

# An epoch counts in seconds from 10**8 (1973), in milliseconds from 10**11, in microseconds
# from 10**14 and in nanoseconds from 10**17: each range ends in the year 5138.
_SECONDS, _MILLIS, _MICROS, _NANOS = 10**8, 10**11, 10**14, 10**17


def check_time(raw: pl.Expr, dtype: pl.DataType, *, timezone: str | None, now: datetime) -> Checked:
    """Read times of any type. Rules: `format`, `timezone`, `nonexistent`, `range`, `future`.

    Text, without regard to white space around it:

    - RFC 3339, with `t`, a space or nothing at all for `T`; the seconds and the zone may be
      missing; the zone may be `Z`, `UTC`, `GMT`, `+03:00`, `+0300` or `+03`, after a space or
      not. A leap second (`:60`) has no moment of its own and breaks `format`;
    - a date alone, which is the midnight that begins it;
    - epoch seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude. Below
      100,000,000 (early 1973) it could as well be `20240131` and breaks `format`.

    Integers, floats and decimals are epochs, dates and date-times what they say. Fractions end
    at the microsecond; what is finer is cut off. A time without a zone is one of `timezone`
    (else it breaks `timezone`): where clocks were put back and it happened twice, it is the
    earlier one; where they were put forward and it never was, it breaks `nonexistent`.
    Moments outside the years 1 to 9999 break `range`, moments later than `now` break `future`.
    """
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return _text(trimmed(raw.cast(pl.String)), timezone, now)
    if dtype.is_decimal():
        return _text(raw.cast(pl.String), timezone, now)
    if dtype.is_integer() or dtype.is_float():
        moment = _epoch(raw, dtype)
        return _judged(raw, now, local=None, fixed=moment, timezone=timezone)
    if isinstance(dtype, pl.Datetime):
        plain, within = _microseconds(raw, dtype)
        zoned = dtype.time_zone is not None
        return _judged(
            raw,
            now,
            local=None if zoned else plain,
            fixed=plain if zoned else None,
            timezone=timezone,
            outside=~within,
        )
    if dtype == pl.Date:
        return _judged(raw, now, local=raw.cast(_NAIVE), fixed=None, timezone=timezone)
    if dtype == pl.Null:
        return Checked(absent(raw, MOMENT))
    return Checked(absent(raw, MOMENT), (("format", raw.is_not_null()),))


def rfc3339(moment: pl.Expr) -> pl.Expr:
    """Write moments as `YYYY-MM-DDTHH:MM:SSZ`, with `.mmm` where it is not zero.

    Takes Datetime("us", "UTC"). What is finer than a millisecond is cut off.
    """
    text = moment.dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ")
    return text.str.replace(".000Z", "Z", literal=True)


def _judged(
    raw: pl.Expr,
    now: datetime,
    *,
    local: pl.Expr | None,
    fixed: pl.Expr | None,
    timezone: str | None,
    outside: pl.Expr | None = None,
) -> Checked:
    """Join times that need a zone (`local`) and moments that do not (`fixed`, both naive).

    A raw value that gave neither has no known form. `outside` marks values that have one but
    lie outside the calendar.
    """
    given = raw.is_not_null()
    far = pl.lit(value=False) if outside is None else (given & outside).fill_null(value=False)
    broken: list[tuple[str, pl.Expr]] = []
    known = far
    moment = absent(raw, _NAIVE) if fixed is None else fixed
    if fixed is not None:
        known = known | fixed.is_not_null()
    if local is not None:
        known = known | local.is_not_null()
        if timezone is None:
            broken.append(("timezone", local.is_not_null()))
        else:
            placed = _placed(local, timezone)
            broken.append(("nonexistent", local.is_not_null() & placed.is_null()))
            moment = placed if fixed is None else pl.coalesce(fixed, placed)
    inside = moment.is_between(_FIRST, _LAST)
    value = pl.when(inside).then(moment).dt.replace_time_zone("UTC")
    limit = pl.lit(now.astimezone(UTC)).cast(MOMENT)
    return Checked(
        value,
        (
            ("format", given & ~known),
            *broken,
            ("range", far | (~inside).fill_null(value=False)),
            ("future", (value > limit).fill_null(value=False)),
        ),
    )


def _placed(local: pl.Expr, timezone: str) -> pl.Expr:
    """The UTC moment, still naive, of a local time; null where clocks skipped it."""
    there = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return there.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _microseconds(raw: pl.Expr, dtype: pl.Datetime) -> tuple[pl.Expr, pl.Expr]:
    """A Datetime as naive UTC (or naive local) microseconds, and whether the calendar has it.

    Milliseconds reach further than microseconds can count, so they are compared first.
    """
    plain = (
        raw.dt.replace_time_zone(None)
        if dtype.time_zone is None
        else (raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    )
    if dtype.time_unit == "ns":
        return (plain.cast(pl.Int64) // 1000).cast(_NAIVE), raw.is_not_null()
    within = plain.is_between(_FIRST, _LAST)
    return pl.when(within).then(plain).cast(_NAIVE), within


def _epoch(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Numbers as naive UTC microseconds; null where their size is that of no epoch."""
    number = raw.cast(pl.Float64) if dtype.is_float() else raw.cast(pl.Int64, strict=False)
    if dtype.is_float():
        number = pl.when(number.is_finite()).then(number)
        micros = (
            pl.when(number < _MILLIS)
            .then((number * 1e6).round())
            .when(number < _MICROS)
            .then((number * 1e3).round())
            .when(number < _NANOS)
            .then(number.floor())
            .otherwise((number / 1e3).floor())
        )
        inside = number.is_between(_SECONDS, 9e18)
    else:
        micros = (
            pl.when(number < _MILLIS)
            .then(number * 1_000_000)
            .when(number < _MICROS)
            .then(number * 1_000)
            .when(number < _NANOS)
            .then(number)
            .otherwise(number // 1000)
        )
        inside = number >= _SECONDS
    return pl.when(inside).then(micros).cast(pl.Int64).cast(_NAIVE)


def _text(text: pl.Expr, timezone: str | None, now: datetime) -> Checked:
    written = pl.when(text.str.contains(_WRITTEN)).then(text)
    date = written.str.head(10)
    clock = written.str.slice(11, 8)
    # The clock of "2024-01-02 10:30Z" ends before its eighth place.
    short = clock.str.contains("^[0-9:]{8}$").not_()
    clock = pl.when(short).then(clock.str.head(5) + ":00").otherwise(clock)
    clock = pl.when(written.str.len_bytes() == 10).then(pl.lit("00:00:00")).otherwise(clock)
    whole = (date + " " + clock).str.to_datetime(
        "%Y-%m-%d %H:%M:%S", time_unit="us", strict=False, exact=True
    )
    rest = written.str.slice(16)
    fraction = rest.str.extract("[.]([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64)
    local = whole + pl.duration(microseconds=fraction.fill_null(0), time_unit="us")
    zoned = rest.str.contains("(?:[A-Za-z]|[+-][0-9:]+)$")
    offset = rest.str.extract_groups("([+-])([0-9]{2}):?([0-9]{2})?$").struct
    minutes = offset.field("2").cast(pl.Int32) * 60 + offset.field("3").cast(pl.Int32).fill_null(0)
    ahead = pl.when(offset.field("1") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    shifted = local - pl.duration(minutes=ahead, time_unit="us")
    digits = pl.when(text.str.contains(_NUMBER)).then(text)
    fixed = pl.coalesce(pl.when(zoned).then(shifted), _epoch_text(digits))
    return _judged(text, now, local=pl.when(~zoned).then(local), fixed=fixed, timezone=timezone)


def _epoch_text(digits: pl.Expr) -> pl.Expr:
    """Digits with or without a decimal fraction, exact to the microsecond."""
    number = digits.str.extract("^([0-9]+)").cast(pl.Int64, strict=False)
    fraction = digits.str.extract("[.]([0-9]+)$").fill_null("").str.pad_end(6, "0")
    unit = pl.when(number < _MILLIS).then(6).when(number < _MICROS).then(3).otherwise(0)
    finer = fraction.str.slice(0, unit).cast(pl.Int64, strict=False).fill_null(0)
    return _epoch(number, pl.Int64()) + pl.duration(microseconds=finer, time_unit="us")
