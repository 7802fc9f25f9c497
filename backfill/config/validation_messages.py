"""What pydantic finds wrong with a configuration, in words for whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from backfill.config.field_specs import unquoted
from backfill.core.errors import did_you_mean

__all__ = ["explained", "in_words"]

_SHOWN = 40  # characters of a text that is not understood

_TEXT = "is a text in quotes"
_LIST = 'is a text, or a list of texts such as ["a", "b"]'
_TABLE = "is a section of its own: {place} on a line, with its keys below"
_WHOLE = "is a whole number"
_UUID = 'is a UUID of 36 characters, such as "6ba7b810-9dad-11d1-80b4-00c04fd430c8"'
_WANTED = {
    "string_type": _TEXT,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "is a number",
    "float_parsing": "is a number",
    "finite_number": "is a number",
    "bool_type": "is true or false, without quotes",
    "bool_parsing": "is true or false, without quotes",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "greater_than": "is more than {gt:g}",
    "greater_than_equal": "is at least {ge:g}",
    "less_than": "is less than {lt:g}",
    "less_than_equal": "is at most {le:g}",
}


def explained(error: ErrorDetails, model: type[BaseModel]) -> str:
    """A line on one fault of a configuration: where it stands, what is wrong, what would do.

    `model` is what the configuration's file is read as.
    """
    location = error["loc"]
    names = [str(part) for part in location if isinstance(part, str)]
    section, name = ".".join(names[:-1]), names[-1] if names else ""
    place = f"[{section}] {name}" if section else name
    if error["type"] == "extra_forbidden":
        hint = did_you_mean(name, _known_keys(names[:-1], model))
        return f"{place}: unknown key. {hint or ''}".rstrip()
    if error["type"] == "missing":
        return f"{place}: is missing"
    message = in_words(error)
    if names[:1] == ["fields"] and len(names) == 2:
        message = unquoted(name, error["input"]) or message
    return f"{place}: {message}" if place else message


def in_words(error: ErrorDetails) -> str:
    """What is wrong with one value, to be read after its name."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "literal_error":
        return _not_one_of(re.findall("'([^']*)'", context["expected"]), value)
    if kind == "too_short":
        return "is an empty list"
    wanted = _WANTED.get(kind)
    if wanted is None:
        return error["msg"].removeprefix("Value error, ")
    within = [part for part in error["loc"] if isinstance(part, str)]
    place = f"[{'.'.join(within)}]"
    each = "a part of it " if isinstance(error["loc"][-1], int) else ""
    return f"{each}{wanted.format(place=place, **context)}, not {_shown(value)}"


def _not_one_of(choices: list[str], value: Any) -> str:
    *rest, last = [f'"{each}"' for each in choices]
    message = f"is {', '.join(rest)} or {last}, not {_shown(value)}"
    hint = did_you_mean(value, choices) if isinstance(value, str) else None
    return f"{message}. {hint}" if hint and hint.startswith("Did") else message


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:_SHOWN]!r}"
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case datetime() | date() | time():
            return "a date or a time"
    return repr(value)[:_SHOWN]


def _known_keys(section: list[str], model: type[BaseModel]) -> list[str]:
    for name in section:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
