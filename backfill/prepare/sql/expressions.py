"""SQL expressions of the configuration: one value for each row, from that row alone.

An expression is parsed, then its tree is compared with what may stand in it. Whatever looks
beyond the row (aggregates, windows, subqueries, table functions) would give another value in
another bucket, and whatever reads the clock would give another value tomorrow, so both are
refused. What names a table is refused before it is parsed, since parsing would open a file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from backfill.core.errors import ConfigError
from backfill.prepare.sql.errors import (
    missing_column,
    not_to_be_parsed,
    of_two_kinds,
    strange_field,
    unfit,
)
from backfill.prepare.sql.paths import path_value, root_of
from backfill.prepare.sql.tokens import foreign_words, outside_quotes
from backfill.sources.canonical_text import instance
from backfill.sources.formats.parquet_errors import UNREADABLE
from backfill.sources.schemas import MIXED, split_mixed

__all__ = ["row_expression"]

_CLOCK = re.compile(
    r"\b(now\s*\(|current_(date|time|timestamp)\b|local(time|timestamp)\b)", re.IGNORECASE
)

_SHOWN = 60  # characters of an expression that is too long to be shown

_NODES = frozenset({"Alias", "BinaryExpr", "Cast", "Column", "Function", "Literal", "Ternary"})
_FAMILIES = frozenset(
    {"Bitwise", "ListExpr", "Pow", "StringExpr", "StructExpr", "TemporalExpr", "Trigonometry"}
)
_FUNCTIONS = frozenset(
    {
        "Abs",
        "Ceil",
        "Coalesce",
        "ConcatExpr",
        "Exp",
        "FillNull",
        "Floor",
        "Log",
        "Log1p",
        "MaxHorizontal",
        "MinHorizontal",
        "Negate",
        "Round",
        "RoundSF",
        "Sign",
    }
)
_TRUTHS = frozenset(
    {
        "AllHorizontal",
        "AnyHorizontal",
        "IsBetween",
        "IsFinite",
        "IsIn",
        "IsInfinite",
        "IsNan",
        "IsNotNan",
        "IsNotNull",
        "IsNull",
        "Not",
    }
)
_BY_TYPE = frozenset({"Binary", "IsIn", "Round"})  # chosen when the columns' types are known
_DOWN_THE_COLUMN = frozenset({"ConcatVertical"})


def row_expression(
    text: str, schema: Mapping[str, pl.DataType], *, where: str, as_written: float = math.inf
) -> pl.Expr:
    """Parse an expression over the columns of `schema`. Raises ConfigError, which names `where`.

    A name in double quotes may also be a way into a column, such as `"products[0].sku"`;
    `as_written` is for numbers that such a way leads to, as in `path_value`.
    """
    words = foreign_words(text)
    if words is not None:
        raise _refused(text, words, where)
    if _CLOCK.search(outside_quotes(text)):
        raise _refused(text, "reads the clock", where)
    try:
        expression = pl.sql_expr(text)
        tree = json.loads(expression.meta.serialize(format="json"))
    except RecursionError:
        raise _too_deep(text, where) from None
    except (*UNREADABLE, ValueError) as error:
        raise not_to_be_parsed(text, error, schema, where) from None
    try:
        disallowed = _disallowed(tree)
    except (KeyError, TypeError, ValueError, IndexError):  # how it is written down was changed
        disallowed = f"something that Polars {pl.__version__} writes in a way that is not known"
    if disallowed is not None:
        raise _refused(text, f"contains {disallowed}", where)
    names = list(dict.fromkeys(expression.meta.root_names()))
    if not names:
        raise ConfigError(
            f"{text!r} reads no column",
            where=where,
            hint="Name a column in it. A field that is the same in all records is { value = … }.",
        )
    paths = {
        name: _path(text, name, schema, where, as_written) for name in names if name not in schema
    }
    known = {**schema, **{name: dtype for name, (_, dtype) in paths.items()}}
    try:
        strange = strange_field(text, tree, known, where)
    except RecursionError:
        raise _too_deep(text, where) from None
    if strange is not None:
        raise strange
    try:  # what a type does not allow is said by the schema or, at the latest, by a frame
        empty = pl.DataFrame(schema=known).lazy().select(value=expression)
        empty.collect_schema()
        found = empty.collect().schema["value"]
    except UNREADABLE as error:
        raise unfit(text, error, expression, known, where) from None
    both = next((name for name in names if known[name] == MIXED), None)
    if both is not None and found != MIXED:
        raise of_two_kinds(text, both, where)
    values = {name: paths[name][0] if name in paths else pl.col(name) for name in names}
    sound = {name: _without_empty(value, known[name]) for name, value in values.items()}
    if all(sound[name] is values[name] for name in names) and not paths:
        return expression
    return _over(expression, sound, found)


def _over(expression: pl.Expr, columns: Mapping[str, pl.Expr], dtype: pl.DataType) -> pl.Expr:
    """An expression in which others stand for the columns that it names."""

    def work(rows: pl.Series) -> pl.Series:
        return rows.struct.unnest().select(expression.alias(rows.name)).to_series()

    given = pl.struct(value.alias(name) for name, value in columns.items())
    return given.map_batches(work, return_dtype=dtype, is_elementwise=True)


def _without_empty(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Texts, null where they are empty: an empty cell of a CSV is null already.

    So the same data means the same in every format. What holds no text is given back as it is.
    """
    if dtype == pl.String:
        return pl.when(value != "").then(value)
    if isinstance(dtype, pl.Struct) and dtype != MIXED:
        parts = {each.name: value.struct.field(each.name) for each in dtype.fields}
        sound = {
            each.name: _without_empty(parts[each.name], instance(each.dtype))
            for each in dtype.fields
        }
        if all(sound[name] is parts[name] for name in parts):
            return value
        whole = pl.struct(part.alias(name) for name, part in sound.items())
        return pl.when(value.is_not_null()).then(whole)
    if isinstance(dtype, pl.List):
        element = pl.element()
        sound_element = _without_empty(element, instance(dtype.inner))
        return value if sound_element is element else value.list.eval(sound_element)
    return value


def _path(
    text: str, name: str, schema: Mapping[str, pl.DataType], where: str, as_written: float
) -> tuple[pl.Expr, pl.DataType]:
    """What a name leads to that is no column's, and its type."""
    root = root_of(name, schema)
    if root is None:
        raise missing_column(text, name, schema, where)
    value, dtype = path_value(name, root, schema, where=where, as_written=as_written)
    return (pl.coalesce(*split_mixed(value)), pl.String()) if dtype == MIXED else (value, dtype)


def _disallowed(tree: Any) -> str | None:
    """The first part of a parsed expression that may not stand in it."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left.extend(reversed(node))
            continue
        if not isinstance(node, dict):
            if not isinstance(node, bool | int | float | None):
                return f"{node!r}"
            continue
        ((kind, inner),) = node.items() if len(node) == 1 else (("?", node),)
        if kind not in _NODES:
            return repr(kind)
        match kind:
            case "Column" | "Literal":
                continue
            case "Cast":
                left.append(inner["expr"])
            case "Alias":
                left.append(inner[0])
            case "BinaryExpr":
                left.extend([inner["right"], inner["left"]])
            case "Ternary":
                left.extend([inner["falsy"], inner["truthy"], inner["predicate"]])
            case _:
                if (found := _foreign_function(inner["function"])) is not None:
                    return found
                left.append(inner["input"])
    return None


def _foreign_function(function: Any) -> str | None:
    family, member = function, None
    if isinstance(function, dict):
        ((family, member),) = function.items()
    name = next(iter(member)) if isinstance(member, dict) and member else member
    if family == "Boolean":
        allowed = name in _TRUTHS
    elif family == "Sql":
        allowed = name in _BY_TYPE
    elif family in _FAMILIES:
        allowed = name not in _DOWN_THE_COLUMN
    else:
        allowed = family in _FUNCTIONS
    return None if allowed else repr(name if family in ("Boolean", "Sql") else family)


def _too_deep(text: str, where: str) -> ConfigError:
    return ConfigError(
        f"{text[:_SHOWN]!r}… has too many parts inside each other",
        where=where,
        hint="CONCAT(a, b, …) joins any number of texts, and IN (…) compares with any number of"
        " values. What is longer still is worked out in the source.",
    )


def _refused(text: str, what: str, where: str) -> ConfigError:
    return ConfigError(
        f"{text!r} {what}",
        where=where,
        hint="An expression gives one value for each row from that row's columns alone: no"
        " aggregate, window, subquery, table function, and nothing that changes with the time."
        " A column whose name is a word of SQL is written in double quotes.",
    )
