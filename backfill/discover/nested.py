"""What nested columns hold, as columns of their own: `properties.time`, `products[0].sku`.

A column is nested where its type is, or where its cells hold JSON objects or lists as text. The
names are those by which a configuration reaches the values; of a list, those of its first
element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from backfill.sources.schemas import MIXED

__all__ = ["flattened"]

_DEPTH = 5
_MOST = 400  # columns that come of all nested ones
_KEYS = 100  # of a map
_NAME = re.compile(r"""[^.\[\]'"\\]+""")  # what a way into a column can name
_NESTED = r"^\s*[\[{]"


def flattened(frame: pl.DataFrame) -> pl.DataFrame:
    """The sample with a column for each single value in its nested ones, in their places.

    What cannot be reached, such as names with a dot, is left as it is.
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
    """Text that is JSON objects or lists as what it holds; all else as it is."""
    if column.dtype != pl.String:
        return column
    filled = column.drop_nulls()
    if filled.is_empty() or not filled.str.contains(_NESTED).all():
        return column
    try:
        return column.str.json_decode(infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return column  # not JSON, or of values that differ in kind


def _leaves(column: pl.Series, name: str, depth: int) -> Iterator[pl.Series]:
    """The single values in a struct, a map or a list's first element, nothing of other columns."""
    if not depth or column.dtype == MIXED:
        return
    for path, inner in _parts(column, name):
        if inner.dtype.is_nested():
            yield from _leaves(inner, path, depth - 1)
        else:
            yield inner.alias(path)


def _parts(column: pl.Series, name: str) -> Iterator[tuple[str, pl.Series]]:
    """What one step leads to from a nested column, and the ways there."""
    dtype = column.dtype
    if isinstance(dtype, pl.List):
        yield f"{name}[0]", column.list.get(0, null_on_oob=True)
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            if _NAME.fullmatch(field.name):
                yield f"{name}.{field.name}", column.struct.field(field.name)
    elif isinstance(dtype, pl.Map) and dtype.key == pl.String:
        for key in column.map.keys().explode().drop_nulls().unique().sort().head(_KEYS):
            if _NAME.fullmatch(key):
                yield f"{name}.{key}", column.map.get(key)
