"""One set of columns for files that differ: which type a column gets, and how it gets there.

Types that differ meet where nothing is lost: a wider number, a finer time, the same instant in
UTC. Whole numbers and fractions meet as fractions, as they do when a file with missing whole
numbers comes out of pandas. Other single values meet as text, times in ISO 8601. Where some
values of a column are lists or objects and others are not, each keeps its kind (`MIXED`): what is
said of a value must not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
from polars.datatypes import DataTypeClass

__all__ = ["MIXED", "apart", "common_type", "converted", "flattened", "mixed", "union"]

_TEXT, _NESTED = "__text", "__nested"

MIXED = pl.Struct({_TEXT: pl.String(), _NESTED: pl.String()})
"""The type of a column in which some values are lists or objects: a value is the text of a single
one, or the JSON of a nested one."""


def mixed(text: pl.Expr, nested: pl.Expr) -> pl.Expr:
    """A MIXED column of two, of which at most one has a value in each row."""
    value = pl.struct(text.cast(pl.String).alias(_TEXT), nested.cast(pl.String).alias(_NESTED))
    return pl.when(text.is_not_null() | nested.is_not_null()).then(value)


def apart(value: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """The two columns that make up a MIXED one."""
    return value.struct.field(_TEXT), value.struct.field(_NESTED)


def flattened(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column `name`, a MIXED one as text, as people see it in files."""
    return pl.coalesce(*apart(pl.col(name))).alias(name) if dtype == MIXED else pl.col(name)


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
        unit = min((left.time_unit, right.time_unit), key=["ns", "us", "ms"].index)
        zone = left.time_zone if left.time_zone == right.time_zone else "UTC"
        return pl.Datetime(unit, zone)
    if {left, right} == {pl.Int64(), pl.UInt64()}:
        return pl.Int128()  # Polars itself would take fractions, which round
    alike = (left.is_numeric() and right.is_numeric()) or (left.is_nested() and right.is_nested())
    if not alike:
        return pl.String()
    try:
        both = [pl.Series([], dtype=each).to_frame("x") for each in (left, right)]
        return pl.concat(both, how="vertical_relaxed").schema["x"]
    except pl.exceptions.PolarsError:
        return MIXED if left.is_nested() else pl.String()


def _alike(left: pl.DataType, right: pl.DataType) -> bool:
    """Whether lists stand where lists do and objects where objects do, at any depth.

    Polars names a common type of others too, and then cannot convert to it.
    """
    if pl.Null in (left, right):
        return True
    if isinstance(left, pl.Struct) and isinstance(right, pl.Struct):
        others = {field.name: field.dtype for field in right.fields}
        pairs = [(field.dtype, others.get(field.name, pl.Null())) for field in left.fields]
        return all(_alike(_instance(one), _instance(other)) for one, other in pairs)
    if isinstance(left, pl.List) and isinstance(right, pl.List):
        return _alike(_instance(left.inner), _instance(right.inner))
    return left == right or not (left.is_nested() or right.is_nested())


def _instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


def converted(name: str, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """The column `name` of type `dtype` as `wanted`, which is their common type with others."""
    column = pl.col(name)
    if dtype == wanted:
        return column
    if wanted == MIXED:
        text = _as_text(name, dtype)
        nothing = pl.lit(None, pl.String)
        both = (nothing, text) if dtype.is_nested() else (text, nothing)
        return mixed(*both).alias(name)
    return column.cast(wanted) if wanted != pl.String else _as_text(name, dtype)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime | pl.Date | pl.Time | pl.Duration):
        return column.dt.to_string("iso:strict")
    if dtype.is_nested():
        body = pl.struct(column.alias("x")).struct.json_encode()
        text = body.str.strip_prefix('{"x":').str.strip_suffix("}")
        return pl.when(column.is_not_null()).then(text).alias(name)
    return column.cast(pl.String)
