"""SQL expressions of the configuration: one value for each row, from that row alone.

An expression is parsed, then its tree is compared with what may stand in it. Whatever looks
beyond the row (aggregates, windows, subqueries, table functions) would give another value in
another bucket, and whatever reads the clock would give another value tomorrow, so both are
refused. What names a table is refused before it is parsed, since parsing would open a file.
"""

from __future__ import annotations

import json
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
from backfill.prepare.sql.tokens import foreign_words, outside_quotes
from backfill.sources.formats.parquet_errors import UNREADABLE
from backfill.sources.schemas import MIXED

__all__ = ["row_expression"]

_CLOCK = re.compile(
    r"\b(now\s*\(|current_(date|time|timestamp)\b|local(time|timestamp)\b)", re.IGNORECASE
)

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


def row_expression(text: str, schema: Mapping[str, pl.DataType], *, where: str) -> pl.Expr:
    """Parse an expression over the columns of `schema`. Raises ConfigError, which names `where`."""
    words = foreign_words(text)
    if words is not None:
        raise _refused(text, words, where)
    if _CLOCK.search(outside_quotes(text)):
        raise _refused(text, "reads the clock", where)
    try:
        expression = pl.sql_expr(text)
        tree = json.loads(expression.meta.serialize(format="json"))
    except (*UNREADABLE, ValueError) as error:
        raise not_to_be_parsed(text, error, schema, where) from None
    disallowed = _disallowed(tree)
    if disallowed is not None:
        raise _refused(text, f"contains {disallowed}", where)
    names = expression.meta.root_names()
    for name in names:
        if name not in schema:
            raise missing_column(text, name, schema, where)
    if not names:
        raise ConfigError(
            f"{text!r} reads no column",
            where=where,
            hint="A constant is written { value = … }.",
        )
    strange = strange_field(text, tree, schema, where)
    if strange is not None:
        raise strange
    try:  # what a type does not allow is said by the schema or, at the latest, by a frame
        empty = pl.DataFrame(schema=dict(schema)).lazy().select(value=expression)
        empty.collect_schema()
        found = empty.collect().schema["value"]
    except UNREADABLE as error:
        raise unfit(text, error, expression, schema, where) from None
    both = next((name for name in names if schema[name] == MIXED), None)
    if both is not None and found != MIXED:
        raise of_two_kinds(text, both, where)
    return expression


def _disallowed(node: Any) -> str | None:
    """The first part of a parsed expression that may not stand in it."""
    if isinstance(node, list):
        return next((found for each in node if (found := _disallowed(each))), None)
    if not isinstance(node, dict):
        return None if isinstance(node, bool | int | float | None) else f"{node!r}"
    ((kind, inner),) = node.items() if len(node) == 1 else (("?", node),)
    if kind not in _NODES:
        return repr(kind)
    match kind:
        case "Column" | "Literal":
            return None
        case "Cast":
            return _disallowed(inner["expr"])
        case "Alias":
            return _disallowed(inner[0])
        case "BinaryExpr":
            return _disallowed([inner["left"], inner["right"]])
        case "Ternary":
            return _disallowed([inner["predicate"], inner["truthy"], inner["falsy"]])
    return _foreign_function(inner["function"]) or _disallowed(inner["input"])


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


def _refused(text: str, what: str, where: str) -> ConfigError:
    return ConfigError(
        f"{text!r} {what}",
        where=where,
        hint="An expression gives one value for each row from that row's columns alone: no"
        " aggregate, window, subquery, table function, and nothing that changes with the time."
        " A column whose name is a word of SQL is written in double quotes.",
    )
