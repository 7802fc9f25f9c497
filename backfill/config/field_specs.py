"""Where a field's value comes from: a column, an expression, a constant, or a table.

Each form has its type here, and `read_field` reads what a person writes in [fields].
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, cast

from backfill.core.errors import did_you_mean

__all__ = [
    "Column",
    "Constant",
    "FieldSpec",
    "Lookup",
    "Otherwise",
    "Scalar",
    "Side",
    "Sql",
    "read_field",
    "read_key",
    "unquoted",
]

_BESIDE = {"column": ("from", "values", "otherwise"), "sql": ("from",), "value": ()}
_KEYS = (*_BESIDE, "from", "values", "otherwise")

Side = Literal["events", "contacts"]
Otherwise = Literal["reject", "omit", "keep", "exclude"]
Scalar = str | bool | int | float | Decimal | datetime | date | time


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `side` is None where the configuration leaves it to the one file that has it."""

    name: str
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression over the columns of one side."""

    text: str
    side: Side = "events"


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Lookup:
    """A column's value translated by a table.

    A value that is in no row of the table is rejected as `unmapped` ("reject"), leaves the
    field out ("omit"), is sent as it is ("keep"), excludes the whole record ("exclude"), or
    becomes a constant.
    """

    column: Column
    values: tuple[tuple[str, Scalar], ...]
    otherwise: Otherwise | Constant = "reject"


FieldSpec = Column | Sql | Constant | Lookup


def _column(text: str, side: Side | None = None) -> Column:
    prefix, dot, rest = text.partition(".")
    if dot and rest and prefix in ("events", "contacts"):
        if side not in (None, prefix):
            raise ValueError(f"{text!r} and from = {side!r} name two different files")
        return Column(rest, "events" if prefix == "events" else "contacts")
    if not text:
        raise ValueError("a column's name is empty")
    return Column(text, side)


def read_field(value: Any) -> FieldSpec:  # noqa: PLR0912 - one branch for each form
    """Read one entry of [fields]. Raises ValueError, in words for the user."""
    if isinstance(value, Column | Sql | Constant | Lookup):
        return value
    if isinstance(value, str):
        return _column(value)
    if not isinstance(value, dict):
        raise ValueError(
            "is neither a column's name nor a table; a constant is written { value = … }"
        )
    for key in value:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}. {did_you_mean(str(key), _KEYS)}")
    forms = [form for form in _BESIDE if form in value]
    if len(forms) != 1:
        raise ValueError("needs exactly one of `column`, `sql`, `value`")
    for key in value:
        if key not in (forms[0], *_BESIDE[forms[0]]):
            beside = " and ".join(f"`{each}`" for each in _BESIDE[forms[0]]) or "nothing"
            raise ValueError(f"unknown key {key!r} beside `{forms[0]}`, which takes {beside}")
    side = value.get("from")
    if side not in (None, "events", "contacts"):
        raise ValueError('`from` is "events" or "contacts"')
    if forms[0] == "value":
        return Constant(_scalar(value["value"]))
    text = value[forms[0]]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"`{forms[0]}` needs a text")
    if forms[0] == "sql":
        return Sql(text, side or "events")
    column = _column(text, side)
    if "values" not in value:
        if "otherwise" in value:
            raise ValueError("`otherwise` needs `values`")
        return column
    table = value["values"]
    if not isinstance(table, dict) or not table:
        raise ValueError('`values` is a table such as { p1 = "gold", p2 = "silver" }')
    rows = tuple((str(key), _scalar(each)) for key, each in table.items())
    return Lookup(column, rows, _otherwise(value.get("otherwise", "reject")))


def read_key(value: Any, side: Side) -> str | Sql:
    """Read what names a key or the time of a row: a column of `side`, or `{ sql = … }` over it.

    Raises ValueError, in words for the user.
    """
    if not isinstance(value, str | dict | Sql):
        raise ValueError("is a column's name in quotes, or { sql = … }")
    match read_field(value):
        case Column(name, found) if found in (None, side):
            return name
        case Sql(text, found) if found == side or (isinstance(value, dict) and "from" not in value):
            return Sql(text, side)
    raise ValueError(f"is a column of the {side}, or {{ sql = … }} over such columns")


def unquoted(name: str, value: Any) -> str | None:
    """What to do where a field's name with a dot was written without quotes.

    TOML makes a table of it: `contact.email = "mail"` is a table `contact` with a key `email`.
    """
    path = [name]
    while isinstance(value, dict) and value and "." not in name:
        unknown_key = next((key for key in value if key not in _KEYS), None)
        if unknown_key is None:
            break
        path.append(str(unknown_key))
        value = value[unknown_key]
    if len(path) == 1:
        return None
    whole = ".".join(path)
    near = did_you_mean(path[1], _KEYS) or ""
    if len(path) == 2 and near.startswith("Did"):  # more likely a slip in the key of a table
        return f'unknown key {path[1]!r}. {near} The name of a field stands in quotes: "{whole}"'
    return f'a field\'s name with a dot stands in quotes: "{whole}" = …'


def _otherwise(value: Any) -> Otherwise | Constant:
    match value:
        case "reject" | "omit" | "keep" | "exclude":
            return cast(Otherwise, value)
    if isinstance(value, dict) and set(value) == {"value"}:
        return Constant(_scalar(value["value"]))
    raise ValueError('`otherwise` is "reject", "omit", "keep", "exclude" or { value = … }')


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str | bool | int | float | Decimal | datetime | date | time):
        return value
    raise ValueError("a value is a text, a number, a truth value or a date, never a list or table")
