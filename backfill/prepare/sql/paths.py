"""A way into a nested column: `properties.time`, `products[0].sku`.

Steps lead through objects and maps by name and through lists by position, counted from 0. Where a
column holds text, what is left of the way leads into the JSON that stands in its cells. A number is
the same text there as in a column of its own: `1e3` and `1000.0` are `1000`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import polars as pl

from backfill.core.errors import ConfigError, did_you_mean
from backfill.sources.canonical_text import instance
from backfill.sources.schemas import MIXED, mixed, split_mixed

__all__ = ["path_value", "root_of"]

_STEP = re.compile(r"\.([^.\[\]'\"\\]+)|\[([0-9]{1,9})\]")
_STEPS = re.compile(rf"(?:{_STEP.pattern})+")
_NESTED = r"^[\[{]"
_NUMBER = r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
# Numbers of which JSON path gives every digit, and no other digits than are sent.
_PLAIN = r"^-?(?:[1-9][0-9]{0,17}|[0-9]{1,10}\.[0-9]{0,4}[1-9])$|^0$"
_WHOLE = r"^(?:-?[1-9][0-9]{0,14}|0)\.0$"


def root_of(path: str, columns: Iterable[str]) -> str | None:
    """The column that a way begins at: the longest name of which only steps are left.

    None where the text is no way into one of the columns.
    """
    begun = (
        name for name in columns if path.startswith(name) and _STEPS.fullmatch(path, len(name))
    )
    return max(begun, key=len, default=None)


def path_value(
    path: str,
    root: str,
    schema: Mapping[str, pl.DataType],
    *,
    where: str,
    as_written: float = math.inf,
) -> tuple[pl.Expr, pl.DataType]:
    """What a way from the column `root` leads to, and its type.

    Null where a list is shorter, an object or a map lacks the field or a text is no JSON. A number
    in JSON that has a point or an exponent stays so from the magnitude `as_written` on. Raises
    ConfigError where no row can have such a value.
    """
    value, dtype, at = pl.col(root), schema[root], len(root)
    while at < len(path):
        if dtype == pl.Null:  # a list of which all are empty: what could be in one, nobody knows
            return value.cast(pl.String), pl.String()
        if dtype in (pl.String, MIXED):
            text = split_mixed(value)[1] if dtype == MIXED else value
            return _found_in(text, path[at:], as_written), MIXED
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


def _found_in(text: pl.Expr, rest: str, as_written: float) -> pl.Expr:
    """What the rest of a way leads to in JSON, as a MIXED column; null where it leads nowhere."""
    steps = [int(step[2]) if step[2] is not None else step[1] for step in _STEP.finditer(rest)]
    find = partial(_find, steps=steps, as_written=as_written)
    return text.map_batches(find, return_dtype=MIXED, is_elementwise=True)


def _find(texts: pl.Series, *, steps: list[int | str], as_written: float) -> pl.Series:
    path = "".join(f"[{step}]" if isinstance(step, int) else f"['{step}']" for step in steps)
    found = texts.str.json_path_match(f"${path}")
    doubtful = found.str.contains(_NUMBER) & ~found.str.contains(_PLAIN)
    places = doubtful.arg_true()
    if not places.is_empty():
        rows = pl.DataFrame({"text": texts.gather(places), "found": found.gather(places)})
        found = found.scatter(places, _numbers_written(rows, steps, as_written))
    # An object or a list comes as its JSON: it is no single value.
    nested = pl.when(pl.col("found").str.contains(_NESTED)).then("found")
    value = mixed(pl.when(nested.is_null()).then("found"), nested).alias(texts.name)
    return found.to_frame("found").select(value).to_series()


def _numbers_written(rows: pl.DataFrame, steps: list[int | str], as_written: float) -> pl.Series:
    """What was `found` in each `text`, which may be a number, as it is sent.

    JSON path gives a number's exponent and `.0`, and rounds one of many digits. It does not tell
    it from a text of the same digits: only where none stands in quotes, and nothing is escaped, is
    a number one for sure. For others the JSON is parsed.
    """
    text, found = pl.col("text"), pl.col("found")
    whole = pl.lit(value=False)
    if as_written == math.inf:
        quoted = text.str.contains(pl.format('"{}"', found), literal=True)
        whole = found.str.contains(_WHOLE) & ~quoted & ~text.str.contains("\\", literal=True)
    known = rows.select(pl.when(whole).then(found.str.strip_suffix(".0"))).to_series()
    written = [
        each if each is not None else _written(_led_to(json_text, steps), digits, as_written)
        for each, (json_text, digits) in zip(known, rows.iter_rows(), strict=True)
    ]
    return pl.Series(written, dtype=pl.String)


def _led_to(text: str, steps: list[int | str]) -> Any:
    """What the steps lead to in JSON, where they lead to something."""
    value = json.loads(text)
    for step in steps:
        value = value[step]
    return value


def _written(value: float | str, digits: str, as_written: float) -> str:
    """A number as it is sent: in digits, a float in the fewest that mean it."""
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= as_written:
        return digits
    return f"{Decimal(repr(value)):f}".removesuffix(".0") if value else "0"
