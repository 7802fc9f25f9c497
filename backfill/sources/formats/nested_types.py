"""What lists and objects in lines of JSON hold: a type that rounds nothing and hides nothing.

Polars takes fractions where it finds whole numbers beside them, and text where it finds single
values beside lists or objects. Here is told from the values where that would change one.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from backfill.sources.canonical_text import instance

__all__ = ["EXACT", "kinds_differ", "lossless", "may_hide", "widened"]

EXACT = 2**53
"""Whole numbers below it are fractions of 64 bits without a change; one above it may be rounded."""

# How Polars writes a list or an object that it read as text: [1], [], {"a": 1}, {}.
_WRITTEN = r'(?s)^(?:\{(?:".*)?\}|\[(?:["\[{0-9tfn-].*)?\])$'


def lossless(values: pl.Series) -> pl.DataType:
    """The type of values as Polars reads them, but nothing rounded.

    Fractions are text where one of them is so large that it may be a whole number which was
    rounded. Whole numbers that fractions could stand beside have 32 bits, until `widened`: so
    types that meet (`schemas.common_type`) say what the values, and not the blocks, have in common.
    """
    dtype = values.dtype
    if isinstance(dtype, pl.Struct):
        return pl.Struct(
            {each.name: lossless(values.struct.field(each.name)) for each in dtype.fields}
        )
    if isinstance(dtype, pl.List):
        return pl.List(lossless(_inner(values)))
    if dtype == pl.Float64:
        return dtype if _within(values) else pl.String()
    if dtype == pl.Int64:
        return pl.Int32() if _within(values) else dtype
    return dtype


def _within(numbers: pl.Series) -> bool:
    ends = (numbers.min(), numbers.max())
    return all(abs(each) < EXACT for each in ends if isinstance(each, int | float))


def widened(dtype: pl.DataType) -> pl.DataType:
    """The type by which values of one from `lossless` are read."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({each.name: widened(instance(each.dtype)) for each in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(widened(instance(dtype.inner)))
    return pl.Int64() if dtype == pl.Int32 else dtype


def may_hide(values: pl.Series) -> bool:
    """Whether a text within the values may be a list or an object of which Polars made text."""
    dtype = values.dtype
    if isinstance(dtype, pl.Struct):
        return any(may_hide(values.struct.field(each.name)) for each in dtype.fields)
    if isinstance(dtype, pl.List):
        return may_hide(_inner(values))
    return dtype == pl.String and bool(values.str.contains(_WRITTEN).any())


def _inner(values: pl.Series) -> pl.Series:
    return values.drop_nulls().explode()


def kinds_differ(values: list[Any], dtype: pl.DataType) -> bool:
    """Whether, of values that Polars read as `dtype`, a list or an object was taken for text."""
    found = [each for each in values if each is not None]
    if isinstance(dtype, pl.Struct):
        objects = [each for each in found if isinstance(each, dict)]
        return any(
            kinds_differ([each.get(field.name) for each in objects], instance(field.dtype))
            for field in dtype.fields
        )
    if isinstance(dtype, pl.List):
        lists = [each for each in found if isinstance(each, list)]
        return kinds_differ([one for each in lists for one in each], instance(dtype.inner))
    return any(isinstance(each, dict | list) for each in found)
