"""One set of columns for files that differ: which type a column gets, and how it gets there.

Types that differ meet where nothing is lost: a wider number, a finer time, the same instant in
UTC. Nanoseconds and another unit meet as microseconds, because 64 bits of nanoseconds end in 2262,
and the year 9999 stands for "never" in many a file. Whole numbers of up to 32 bits and fractions
meet as fractions, as they do when a file with missing whole numbers comes out of pandas; wider
ones, which a fraction would round, and decimals of different scales meet as text. Other single
values meet as text, too. The text is what would be sent if the value stood alone. Where some values
of a column are lists, objects or bytes and others are not, at any depth, each keeps its kind
(`MIXED`): what is said of a value must not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from backfill.sources.canonical_text import (
    clock_written,
    day_written,
    float_written,
    instance,
    json_written,
)
from backfill.sources.timestamps import in_calendar

__all__ = [
    "MIXED",
    "common_type",
    "converted",
    "flattened",
    "mixed",
    "named_objects",
    "split_mixed",
    "union",
]

_TEXT, _NESTED = "__text", "__nested"
_DIGITS = 38  # the most that a decimal has
_FARTHEST = 2**63 - 1
_EXACT = 32  # bits of the widest integers of which Float64, with 53 bits, holds every one
_SIGNED: dict[int, pl.DataType] = {
    16: pl.Int16(),
    32: pl.Int32(),
    64: pl.Int64(),
    128: pl.Int128(),
}

MIXED = pl.Struct({_TEXT: pl.String(), _NESTED: pl.String()})
"""The type of a column in which some values are lists, objects or bytes: a value is the text of a
single one, or the JSON of another one, that of bytes in base64."""


def mixed(text: pl.Expr, nested: pl.Expr) -> pl.Expr:
    """A MIXED column of two, of which at most one has a value in each row."""
    value = pl.struct(text.cast(pl.String).alias(_TEXT), nested.cast(pl.String).alias(_NESTED))
    return pl.when(text.is_not_null() | nested.is_not_null()).then(value)


def split_mixed(value: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """The two columns that make up a MIXED one."""
    return value.struct.field(_TEXT), value.struct.field(_NESTED)


def flattened(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column `name`, a MIXED one as text, as people see it in files."""
    return pl.coalesce(*split_mixed(pl.col(name))).alias(name) if dtype == MIXED else pl.col(name)


def union(schemas: Iterable[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """The columns of all schemas in order of first appearance, each with its common type."""
    merged: dict[str, pl.DataType] = {}
    for schema in schemas:
        for name, dtype in schema.items():
            merged[name] = common_type(merged[name], dtype) if name in merged else dtype
    return merged


def common_type(left: pl.DataType, right: pl.DataType) -> pl.DataType:
    """The type that values of both can take."""
    if left == right:
        return left
    if pl.Null in (left, right):
        return right if left == pl.Null else left
    if MIXED in (left, right) or not _alike(left, right):
        return MIXED
    if isinstance(left, pl.Datetime) and isinstance(right, pl.Datetime):
        if (left.time_zone is None) != (right.time_zone is None):
            return pl.String()
        units = {left.time_unit, right.time_unit}
        unit = left.time_unit if len(units) == 1 else "us"
        zone = left.time_zone if left.time_zone == right.time_zone else "UTC"
        return pl.Datetime(unit, zone)
    if isinstance(left, pl.Struct) and isinstance(right, pl.Struct):
        return pl.Struct(
            union({f.name: instance(f.dtype) for f in s.fields} for s in (left, right))
        )
    if isinstance(left, pl.List) and isinstance(right, pl.List):
        return pl.List(common_type(instance(left.inner), instance(right.inner)))
    if _no_text(left) or _no_text(right):
        return MIXED
    return _common_number(left, right) or pl.String()


def _common_number(left: pl.DataType, right: pl.DataType) -> pl.DataType | None:
    """The numbers that hold both without a digit more or less; None where there are none."""
    if isinstance(left, pl.Decimal) and isinstance(right, pl.Decimal):
        precision = max(left.precision or _DIGITS, right.precision or _DIGITS)
        return pl.Decimal(precision, left.scale) if left.scale == right.scale else None
    if left.is_integer() and right.is_integer():
        widths = {_bits(left), _bits(right)}
        if left.is_signed_integer() == right.is_signed_integer():
            return left if _bits(left) == max(widths) else right
        signed, unsigned = (left, right) if left.is_signed_integer() else (right, left)
        bits = max(_bits(signed), 2 * _bits(unsigned))
        return _SIGNED.get(bits)
    if left.is_float() or right.is_float():
        rounded = any(each.is_integer() and _bits(each) > _EXACT for each in (left, right))
        exact = all(each.is_integer() or each.is_float() for each in (left, right))
        return pl.Float64() if exact and not rounded else None
    return None


def named_objects(dtype: pl.DataType) -> pl.DataType:
    """MIXED for a type with objects without names, which Parquet does not know."""
    return MIXED if "Struct({})" in repr(dtype) else dtype


def _bits(integer: pl.DataType) -> int:
    return int(str(integer).lstrip("UInt"))


def _alike(left: pl.DataType, right: pl.DataType) -> bool:
    """Whether lists stand where lists do and objects where objects do, at any depth.

    Polars names a common type of others too, and then cannot convert to it.
    """
    if pl.Null in (left, right):
        return True
    if isinstance(left, pl.Struct) and isinstance(right, pl.Struct):
        others = {field.name: field.dtype for field in right.fields}
        pairs = [(field.dtype, others.get(field.name, pl.Null())) for field in left.fields]
        return all(_alike(instance(one), instance(other)) for one, other in pairs)
    if isinstance(left, pl.List) and isinstance(right, pl.List):
        return _alike(instance(left.inner), instance(right.inner))
    return left == right or not (_no_text(left) or _no_text(right))


def _no_text(dtype: pl.DataType) -> bool:
    """Whether values have no text of their own: lists, objects and bytes."""
    return dtype.is_nested() or dtype == pl.Binary


def converted(name: str, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """The column `name` of type `dtype` as `wanted`, which is their common type with others."""
    return _converted(pl.col(name), dtype, wanted).alias(name)


def _converted(value: pl.Expr, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    if dtype == wanted:
        return value
    if wanted == MIXED:
        nothing = pl.lit(None, pl.String)
        text = _as_text(value, dtype)
        return mixed(nothing, text) if _no_text(dtype) else mixed(text, nothing)
    if wanted == pl.String:
        return _as_text(value, dtype)
    if isinstance(dtype, pl.Struct) and isinstance(wanted, pl.Struct):
        found = {field.name: instance(field.dtype) for field in dtype.fields}
        fields = [
            _converted(
                value.struct.field(field.name), found[field.name], instance(field.dtype)
            ).alias(field.name)
            for field in wanted.fields
            if field.name in found
        ]
        return pl.when(value.is_not_null()).then(pl.struct(fields).cast(wanted))
    if isinstance(dtype, pl.List) and isinstance(wanted, pl.List):
        return value.list.eval(
            _converted(pl.element(), instance(dtype.inner), instance(wanted.inner))
        )
    if isinstance(dtype, pl.Datetime) and isinstance(wanted, pl.Datetime):
        # What no calendar holds may be too far for the other unit: it stays as far as that reaches.
        far = pl.when(value.is_not_null()).then(pl.lit(_FARTHEST).cast(wanted))
        return pl.when(in_calendar(value, dtype)).then(value).cast(wanted).fill_null(far)
    if dtype.is_float() and wanted == pl.Float64:
        # By way of the digits: the short float that is written 0.1 is another number than the
        # long one, and would be written 0.10000000149011612.
        return value.cast(pl.Float32).cast(pl.String).cast(wanted)
    return value.cast(wanted)


def _as_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A single value as it would be sent alone, a list or an object as JSON; no value gets lost.

    A number that is none, such as NaN, is written as Polars does. A day that no calendar holds is
    the number that stands in the file and its unit, which is no time in any form.
    """
    if dtype.is_float():
        return pl.coalesce(float_written(value, dtype), value.cast(pl.String))
    if isinstance(dtype, pl.Datetime | pl.Date):
        return day_written(value, dtype)
    if _no_text(dtype):
        return json_written(value, dtype)
    if dtype == pl.Time:
        return clock_written(value)
    if dtype == pl.Duration:
        return value.dt.to_string("iso:strict")
    return value.cast(pl.String)
