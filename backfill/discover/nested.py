"""What nested columns hold, as columns of their own: `properties.time`, `context.traits.email`.

A column is nested where its type is, or where its cells hold JSON objects as text. The names are
those by which a configuration reaches the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

__all__ = ["flattened"]

_DEPTH = 5
_MOST = 400  # columns that come of all nested ones
_NAME = re.compile(r"""[^.\[\]'"\\]+""")  # what a way into a column can name
_OBJECT = r"^\s*\{"


def flattened(frame: pl.DataFrame) -> pl.DataFrame:
    """The sample with a column for each single value in its nested ones, in their places.

    What cannot be reached by a way of names (lists, names with a dot) is left as it is.
    """
    columns: dict[str, pl.Series] = {}
    room = _MOST
    for column in frame:
        leaves = list(_leaves(_parsed(column), column.name, _DEPTH))
        known = [each for each in leaves if each.name not in frame.columns]
        if leaves and known and len(known) <= room:
            room -= len(known)
            columns |= {each.name: each for each in known}
        else:
            columns[column.name] = column
    return pl.DataFrame(list(columns.values())) if columns else frame


def _parsed(column: pl.Series) -> pl.Series:
    """Text that is JSON objects as a struct; all else as it is."""
    if column.dtype != pl.String:
        return column
    filled = column.drop_nulls()
    if filled.is_empty() or not filled.str.contains(_OBJECT).all():
        return column
    try:
        return column.str.json_decode(infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return column  # not JSON, or of values that differ in kind


def _leaves(column: pl.Series, name: str, depth: int) -> Iterator[pl.Series]:
    """The single values in a struct, nothing where the column is none."""
    if not isinstance(column.dtype, pl.Struct) or not depth:
        return
    for field in column.dtype.fields:
        if not _NAME.fullmatch(field.name):
            continue
        inner = column.struct.field(field.name)
        path = f"{name}.{field.name}"
        if isinstance(inner.dtype, pl.Struct):
            yield from _leaves(inner, path, depth - 1)
        elif not inner.dtype.is_nested():
            yield inner.alias(path)
