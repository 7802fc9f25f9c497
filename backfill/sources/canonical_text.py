"""How single typed values are written: the same whether they are sent alone or stand beside text.

Both who sends a value and who brings columns of different files together write it by these rules,
so 5.0 of one file and 5 of another are the same text.
"""

from __future__ import annotations

import polars as pl
from polars.datatypes import DataTypeClass

from backfill.sources.timestamps import in_calendar, zoned_in_utc

__all__ = [
    "clock_written",
    "day_written",
    "float_written",
    "instance",
    "json_ready",
    "json_written",
    "moment_written",
    "presentable",
]


def float_written(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Floats in digits without an exponent, the fewest that mean this float.

    Whole ones have no point, both zeros are "0"; NaN and infinities are null.
    """
    wide = raw if dtype in (pl.Float32, pl.Float64) else raw.cast(pl.Float32)
    written = pl.when(wide.is_finite()).then(wide).cast(pl.String).str.strip_suffix(".0")
    short = pl.when(wide == 0).then(pl.lit("0")).otherwise(written)
    return short.map_batches(_in_digits, return_dtype=pl.String, is_elementwise=True)


def moment_written(naive: pl.Expr) -> pl.Expr:
    """Date-times without a zone as ISO 8601 has them, with the fraction that they have."""
    return naive.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")


def day_written(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Dates and date-times as ISO 8601 has them, those with a zone in UTC.

    A day that no calendar holds is the number that stands in the file and its unit, such as
    `2147483647d`, which is no time in any form.
    """
    known = pl.when(in_calendar(value, dtype)).then(value)
    if not isinstance(dtype, pl.Datetime):
        text, unit = known.dt.to_string("%Y-%m-%d"), "d"
    else:
        zoned = dtype.time_zone is not None
        text = moment_written(zoned_in_utc(known)) + "Z" if zoned else moment_written(known)
        unit = dtype.time_unit or "us"
    return pl.coalesce(text, value.cast(pl.Int64).cast(pl.String) + unit)


def json_written(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A list or an object as its JSON."""
    body = pl.struct(json_ready(value, dtype).alias("x")).struct.json_encode()
    text = body.str.strip_prefix('{"x":').str.strip_suffix("}")
    return pl.when(value.is_not_null()).then(text)


def json_ready(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The value with a text for each part of it that Polars cannot write as JSON.

    These are days that no calendar holds, and bytes, which become base64; and a map whose keys are
    no texts becomes the list of its entries.
    """
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return day_written(value, dtype)
    if dtype == pl.Binary:
        return value.bin.encode("base64")
    if not _hides(dtype):
        return value
    if isinstance(dtype, pl.Map):
        entry = pl.Struct({"key": dtype.key, "value": dtype.value})
        return json_ready(value.map.entries(), pl.List(entry))
    if isinstance(dtype, pl.Struct):
        parts = [
            json_ready(value.struct.field(each.name), instance(each.dtype)).alias(each.name)
            for each in dtype.fields
        ]
        return pl.when(value.is_not_null()).then(pl.struct(parts))
    if isinstance(dtype, pl.Array):
        value = value.arr.to_list()
    inner = instance(dtype.inner) if isinstance(dtype, pl.List | pl.Array) else dtype
    return value.list.eval(json_ready(pl.element(), inner))


def presentable(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame that can be shown: Polars cannot so much as print a day that no calendar holds.

    Columns with such a day become text, or hold text in the day's place; all others stay.
    """
    dated = {name: dtype for name, dtype in frame.schema.items() if _hides(dtype)}
    far = frame.select(_far(pl.col(name), dtype).any().alias(name) for name, dtype in dated.items())
    return frame.with_columns(
        json_ready(pl.col(name), dtype).alias(name)
        for name, dtype in dated.items()
        if dtype != pl.Binary and far[name].item()
    )


def _far(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is, or holds, a day that no calendar holds."""
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return ~in_calendar(value, dtype)
    if isinstance(dtype, pl.Struct) and dtype.fields:
        return pl.any_horizontal(
            _far(value.struct.field(each.name), instance(each.dtype)) for each in dtype.fields
        )
    if isinstance(dtype, pl.Array):
        value = value.arr.to_list()
    if isinstance(dtype, pl.List | pl.Array) and _hides(dtype):
        return value.list.eval(_far(pl.element(), instance(dtype.inner)).any()).list.first()
    return pl.lit(value=False)


def _hides(dtype: pl.DataType) -> bool:
    """Whether something in a type is a day, bytes, or a map whose keys are no texts."""
    if isinstance(dtype, pl.Map):
        return dtype.key != pl.String
    if isinstance(dtype, pl.Struct):
        return any(_hides(instance(each.dtype)) for each in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _hides(instance(dtype.inner))
    return dtype in (pl.Date, pl.Binary) or isinstance(dtype, pl.Datetime)


def instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """A type that stands inside another one, which may be given as its class."""
    return dtype() if isinstance(dtype, type) else dtype


def clock_written(raw: pl.Expr) -> pl.Expr:
    """Times of the day, with the fraction that they have."""
    return raw.dt.to_string("%H:%M:%S%.f")


def _in_digits(numbers: pl.Series) -> pl.Series:
    """Numbers without exponents. Few columns have any, and writing them out takes ten steps."""
    if not numbers.str.contains("e", literal=True).any():
        return numbers
    number = pl.col("number")
    scientific = pl.when(number.str.contains("e", literal=True)).then(number)
    written = pl.coalesce(_without_exponent(scientific), number).alias(numbers.name)
    return numbers.to_frame("number").select(written).to_series()


def _without_exponent(scientific: pl.Expr) -> pl.Expr:
    """Write out "-1.5e-7" as "-0.00000015"; null stays null."""
    parts = scientific.str.extract_groups("^(-?)([0-9])(?:\\.([0-9]+))?e([+-]?[0-9]+)$").struct
    digits = parts.field("2") + parts.field("3").fill_null("")
    exponent = parts.field("4").str.strip_prefix("+").cast(pl.Int32)
    count = digits.str.len_bytes().cast(pl.Int32)
    whole = digits.str.pad_end(pl.max_horizontal(exponent + 1, pl.lit(0)), "0")
    small = "0." + digits.str.pad_start(pl.max_horizontal(count - exponent - 1, pl.lit(0)), "0")
    return parts.field("1") + pl.when(exponent < 0).then(small).otherwise(whole)
