"""The few forms of SQL that random jobs use, each as its text and as what it means for one row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.reference.values import Cell

__all__ = [
    "Expression",
    "coalesce",
    "column",
    "differs",
    "either",
    "joined",
    "larger",
    "upper",
]


@dataclass(frozen=True)
class Expression:
    """An SQL expression, and its value for a row: None is NULL."""

    sql: str
    value: Callable[[Mapping[str, Cell]], Any]


def column(name: str) -> Expression:
    """A column of text, in which an empty one is NULL."""
    return Expression(f'"{name}"', lambda row: row.get(name) or None)


def _constant(text: str) -> Expression:
    return Expression(f"'{text}'", lambda row: text)


def joined(*parts: Expression | str) -> Expression:
    """`a || 'b'`: NULL where any of them is."""
    wholes = [_constant(part) if isinstance(part, str) else part for part in parts]

    def value(row: Mapping[str, Cell]) -> str | None:
        values = [whole.value(row) for whole in wholes]
        return None if None in values else "".join(values)

    return Expression(" || ".join(whole.sql for whole in wholes), value)


def coalesce(first: Expression, second: Expression) -> Expression:
    """The first that is not NULL."""

    def value(row: Mapping[str, Cell]) -> Any:
        found = first.value(row)
        return second.value(row) if found is None else found

    return Expression(f"COALESCE({first.sql}, {second.sql})", value)


def upper(one: Expression) -> Expression:
    """The text in capitals."""

    def value(row: Mapping[str, Cell]) -> str | None:
        found = one.value(row)
        return None if found is None else str(found).upper()

    return Expression(f"UPPER({one.sql})", value)


def differs(one: Expression, text: str) -> Expression:
    """`one <> 'text'`."""

    def value(row: Mapping[str, Cell]) -> bool | None:
        found = one.value(row)
        return None if found is None else found != text

    return Expression(f"{one.sql} <> '{text}'", value)


def larger(one: Expression, number: int) -> Expression:
    """Whether a text is a number above this one."""

    def value(row: Mapping[str, Cell]) -> bool | None:
        found = one.value(row)
        written = found is not None and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", str(found))
        return float(str(found)) > number if written else None

    return Expression(f"TRY_CAST({one.sql} AS DOUBLE) > {number}", value)


def either(one: Expression, other: Expression) -> Expression:
    """OR with its three values."""

    def value(row: Mapping[str, Cell]) -> bool | None:
        left, right = one.value(row), other.value(row)
        if left or right:
            return True
        return None if left is None or right is None else False

    return Expression(f"({one.sql}) OR ({other.sql})", value)
