"""A way into a nested column: `properties.time`, `products[0].sku`.

Steps lead through objects and maps by name and through lists by position, counted from 0. Where a
column holds text, what is left of the way leads into the JSON that stands in its cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

from backfill.core.errors import ConfigError, did_you_mean
from backfill.sources.schemas import MIXED, instance, mixed, split_mixed

__all__ = ["path_value", "root_of"]

_STEP = re.compile(r"\.([^.\[\]'\"\\]+)|\[([0-9]{1,9})\]")
_STEPS = re.compile(rf"(?:{_STEP.pattern})+")
_NESTED = r"^[\[{]"


def root_of(path: str, columns: Iterable[str]) -> str | None:
    """The column that a way begins at: the longest name of which only steps are left.

    None where the text is no way into one of the columns.
    """
    begun = (
        name for name in columns if path.startswith(name) and _STEPS.fullmatch(path, len(name))
    )
    return max(begun, key=len, default=None)


def path_value(
    path: str, root: str, schema: Mapping[str, pl.DataType], *, where: str
) -> tuple[pl.Expr, pl.DataType]:
    """What a way from the column `root` leads to, and its type.

    Null where a list is shorter, an object or a map lacks the field or a text is no JSON. Raises
    ConfigError where no row can have such a value.
    """
    value, dtype, at = pl.col(root), schema[root], len(root)
    while at < len(path):
        if dtype in (pl.String, MIXED):
            text = split_mixed(value)[1] if dtype == MIXED else value
            found = text.str.json_path_match("$" + _as_json_path(path[at:]))
            # An object or a list comes as its JSON: it is no single value.
            nested = pl.when(found.str.contains(_NESTED)).then(found)
            return mixed(pl.when(nested.is_null()).then(found), nested), MIXED
        step = _STEP.match(path, at)
        assert step is not None  # noqa: S101 - `root_of` has seen that only steps are left
        value, dtype = _one_step(value, dtype, step, path[:at], where)
        at = step.end()
    return value, dtype


def _one_step(
    value: pl.Expr, dtype: pl.DataType, step: re.Match[str], before: str, where: str
) -> tuple[pl.Expr, pl.DataType]:
    name, index = step.groups()
    if isinstance(dtype, pl.Struct) and name is not None:
        fields = {each.name: instance(each.dtype) for each in dtype.fields}
        if name not in fields:
            raise ConfigError(
                f"{before!r} has no field {name!r}", where=where, hint=did_you_mean(name, fields)
            )
        return value.struct.field(name), fields[name]
    if isinstance(dtype, pl.Map) and dtype.key == pl.String and name is not None:
        return value.map.get(pl.lit(name)), instance(dtype.value)
    if isinstance(dtype, pl.List) and index is not None:
        return value.list.get(int(index), null_on_oob=True), instance(dtype.inner)
    if isinstance(dtype, pl.Array) and index is not None:
        return value.arr.get(int(index), null_on_oob=True), instance(dtype.inner)
    if isinstance(dtype, pl.List | pl.Array):
        held, hint = "lists", f"Its first element is {before}[0]."
    elif isinstance(dtype, pl.Map):
        held, hint = "maps", f"A value of one stands under a text, such as {before}.name."
    elif isinstance(dtype, pl.Struct):
        held, hint = "objects", f"A field of it is {before}.{dtype.fields[0].name}."
    else:
        held, hint = f"{dtype}, which has no parts", None
    raise ConfigError(
        f"{before + step[0]!r} is not there: {before!r} holds {held}", where=where, hint=hint
    )


def _as_json_path(rest: str) -> str:
    return "".join(
        f"[{step[2]}]" if step[2] is not None else f"['{step[1]}']" for step in _STEP.finditer(rest)
    )
