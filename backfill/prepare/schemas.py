"""One set of columns for files that differ: which type a column gets, and how it gets there.

Types that differ meet where nothing is lost: a wider number, a finer time, the same instant in
UTC. Whole numbers and fractions meet as fractions, as they do when a file with missing whole
numbers comes out of pandas. Anything else meets as text: times in ISO 8601, lists and objects
as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

__all__ = ["common_type", "converted", "union"]


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
        return pl.String()


def converted(name: str, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """The column `name` of type `dtype` as `wanted`, which is their common type with others."""
    column = pl.col(name)
    if dtype == wanted:
        return column
    if wanted != pl.String:
        return column.cast(wanted)
    if isinstance(dtype, pl.Datetime | pl.Date | pl.Time | pl.Duration):
        return column.dt.to_string("iso:strict")
    if dtype.is_nested():
        body = pl.struct(column.alias("x")).struct.json_encode()
        text = body.str.strip_prefix('{"x":').str.strip_suffix("}")
        return pl.when(column.is_not_null()).then(text).alias(name)
    return column.cast(pl.String)
