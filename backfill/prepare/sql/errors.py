"""What is wrong with an SQL expression, in words for whoever wrote it.

Polars names a word of its parser or a field that is not there; a person needs the column, what it
holds, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from backfill.core.errors import ConfigError, did_you_mean
from backfill.prepare.sql.tokens import foreign_words, in_quotes, outside_quotes
from backfill.sources.formats.parquet_errors import UNREADABLE
from backfill.sources.reimport import OURS
from backfill.sources.schemas import MIXED

__all__ = [
    "missing_column",
    "not_on_every_row",
    "not_to_be_parsed",
    "of_two_kinds",
    "strange_field",
    "unfit",
]

_LONGEST = 200  # characters of an expression that cannot be parsed
_SHOWN = 12  # fields of a column that are listed
_TREE = re.compile(r": [A-Z][A-Za-z]*\(.*")  # the parser's own, behind its words
_MISFIT = re.compile("invalid series dtype: expected `(.+)`, got `.+` for series with name `(.+)`")
_WANTED = {"String": "a text", "Boolean": "a truth value"}
_CASTS = re.compile(r"(?<!\w)cast\s*\(|::", re.IGNORECASE)
_TRUTHS = re.compile(r"casting from \w+ to boolean\b", re.IGNORECASE)
_TIMES = re.compile(r"casting from string to (date|datetime|time)\b")


def not_to_be_parsed(
    text: str, error: BaseException, schema: Mapping[str, pl.DataType], where: str
) -> ConfigError:
    """An expression that is no SQL, or none that Polars knows."""
    quoted = _quoted(text, schema)
    if quoted is not None:
        return ConfigError(
            f"{text!r} cannot be read as it stands",
            where=where,
            hint="A column whose name is a word of SQL is written in double quotes, and so is that"
            f" of a nested field: {quoted}",
        )
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    words = _TREE.sub("", _first_line(error))[:_LONGEST]
    hint = None
    if "field access" in words:
        words, hint = "this way to a field is not known", _HOW
    return ConfigError(f"{text!r} cannot be used: {words}", where=where, hint=hint)


def missing_column(
    text: str, name: str, schema: Mapping[str, pl.DataType], where: str
) -> ConfigError:
    """An expression that names a column which is not there."""
    hint = did_you_mean(name, schema)
    if name in OURS:
        hint = (
            "The name is one that this program adds to rows itself, and leaves out of a source:"
            " rename the column there."
        )
    if name in ("events", "contacts"):
        hint = (
            'In SQL a column is written without its file; `from = "contacts"` beside `sql` says'
            " that it is one of the contacts."
        )
        if name == "contacts" and where == "[events] where":
            hint = (
                "A condition on contacts stands under [contacts], without their name:"
                " where = \"is_test = 'f'\"."
            )
    return ConfigError(
        f"{text!r} names the column {name!r}, which is not there", where=where, hint=hint
    )


def strange_field(
    text: str, tree: Any, schema: Mapping[str, pl.DataType], where: str
) -> ConfigError | None:
    """A field that its column does not have, or that of a column which has no fields."""
    found = _strange_field(tree, schema)
    if found is None:
        return None
    name, dtype, field = found
    if dtype == MIXED:
        return of_two_kinds(text, name, where)
    hint: str | None
    if isinstance(dtype, pl.Struct):
        known = [each.name for each in dtype.fields]
        words = f"{name!r} has no field {field!r}"
        hint = did_you_mean(field, known) or _listed(known)
    elif dtype == pl.String:
        words = f"{name!r} holds text here, and text has no field {field!r}"
        hint = "A CSV has no nested columns: NDJSON and Parquet keep them."
    else:
        words = f"{name!r} holds {_kind(dtype)} here, not fields"
        hint = _ELEMENT if dtype == pl.List else None
    return ConfigError(f"{text!r} cannot be used: {words}", where=where, hint=hint)


def of_two_kinds(text: str, name: str, where: str) -> ConfigError:
    """An expression that looks into a MIXED column.

    Such a column may be passed on whole; whatever looks into it would see how the two kinds are
    told apart, and no value of the file.
    """
    return ConfigError(
        f"{text!r} looks into the column {name!r}, whose values, or parts of them, are lists or"
        " objects in some rows and single values in others",
        where=where,
        hint="Give each kind of value a column of its own in the source.",
    )


def unfit(
    text: str,
    error: BaseException,
    expression: pl.Expr,
    schema: Mapping[str, pl.DataType],
    where: str,
) -> ConfigError:
    """An expression that does not fit the types of its columns."""
    both = next((name for name in expression.meta.root_names() if schema[name] == MIXED), None)
    if both is not None:
        return of_two_kinds(text, both, where)
    hints = []
    for name in expression.meta.root_names():
        dtype = schema[name]
        if isinstance(dtype, pl.Struct) and dtype.fields:
            known = [each.name for each in dtype.fields]
            hints.append(f'{name!r} is nested. {_listed(known)} One is written "{name}".{known[0]}')
        elif dtype == pl.String and "numeric" in str(error):
            hints.append(f'{name!r} holds text: TRY_CAST("{name}" AS DOUBLE) makes a number of it.')
        elif dtype.is_numeric() and "expected `String`" in str(error):
            hints.append(f'{name!r} holds numbers: CAST("{name}" AS VARCHAR) makes a text of it.')
    words = _first_line(error)
    if found := _MISFIT.fullmatch(words):
        name = found[2]
        held = f" holds {_kind(schema[name])}" if name in schema else " is none"
        words = f"it takes {_WANTED.get(found[1], found[1])}, and {name!r}{held}"
    return ConfigError(
        f"{text!r} cannot be used: {words}", where=where, hint=" ".join(hints) or None
    )


def not_on_every_row(
    text: str, expression: pl.Expr, rows: pl.LazyFrame, where: str
) -> ConfigError | None:
    """What stands in the way of an expression on these rows; None where nothing does."""
    try:
        rows.select(expression.alias("value")).sink_batches(lambda _: None)
    except UNREADABLE as error:
        words = _first_line(error)
        hint = "Map the column itself: a row whose value cannot be read is then rejected alone."
        if _TRUTHS.search(words):
            hint = "It holds text, such as true and false: compare it, column = 'true'."
        elif _TIMES.search(words):
            hint = "STRPTIME(column, '%d/%m/%Y') reads a text as a time."
        elif _CASTS.search(outside_quotes(text)):
            hint = "TRY_CAST gives null where CAST fails; a null counts as missing."
        return ConfigError(
            f"{text!r} cannot be worked out on every row: {words}", where=where, hint=hint
        )
    return None


_ELEMENT = 'The first element of a list is ARRAY_GET("column", 1).'
_HOW = f'A field of a nested column is written "column".field, the name in quotes. {_ELEMENT}'


def _quoted(text: str, schema: Mapping[str, pl.DataType]) -> str | None:
    """The expression with columns in quotes, where Polars reads it so."""
    for names in (*([name] for name in schema), list(schema)):
        quoted = in_quotes(text, names)
        if quoted == text or foreign_words(quoted) is not None:
            continue
        try:
            roots = pl.sql_expr(quoted).meta.root_names()
        except UNREADABLE:
            continue
        if roots and all(name in schema for name in roots):
            return quoted
    return None


def _strange_field(
    node: Any, schema: Mapping[str, pl.DataType]
) -> tuple[str, pl.DataType, str] | None:
    """The column or field, what it holds, and the field that it does not have."""
    parts = node if isinstance(node, list) else node.values() if isinstance(node, dict) else ()
    for part in parts:
        if found := _strange_field(part, schema):
            return found
    match node:
        case {"input": [holder], "function": {"StructExpr": {"FieldByName": str(field)}}}:
            place = _place(holder, schema)
            if place is not None and _field(place[1], field) is None:
                return *place, field
    return None


def _place(node: Any, schema: Mapping[str, pl.DataType]) -> tuple[str, pl.DataType] | None:
    """What a column, or a field of one, is called and holds."""
    match node:
        case {"Column": str(name)}:
            return name, schema[name]
        case {
            "Function": {"input": [holder], "function": {"StructExpr": {"FieldByName": str(name)}}}
        }:
            place = _place(holder, schema)
            dtype = _field(place[1], name) if place else None
            return (f"{place[0]}.{name}", dtype) if place and dtype is not None else None
    return None


def _field(dtype: pl.DataType, name: str) -> pl.DataType | None:
    if not isinstance(dtype, pl.Struct) or dtype == MIXED:
        return None
    found = next((each.dtype for each in dtype.fields if each.name == name), None)
    return found() if isinstance(found, type) else found


def _kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Struct | pl.List):
        return "fields" if isinstance(dtype, pl.Struct) else "a list"
    if dtype.is_numeric():
        return "numbers"
    return {pl.String(): "text", pl.Boolean(): "truth values"}.get(dtype, str(dtype))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"Its fields: {', '.join(names[:_SHOWN])}{more}."


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
