"""Tables of the configuration's keys, from its types and the texts below them."""

from __future__ import annotations

import ast
import inspect
import json
import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from backfill.config import (
    Cluster,
    Column,
    Config,
    Contacts,
    Dedupe,
    Delivery,
    Events,
    Files,
    Lookup,
    Rules,
    Sql,
)
from backfill.config.values import Rate, Share, parse_duration, parse_rate, parse_share
from backfill.destination import Field, Kind
from backfill.destinations import destination

__all__ = ["config_table", "fields_table", "keys_of"]

_MODELS: tuple[type[BaseModel], ...] = (
    Config,
    Files,
    Events,
    Contacts,
    Rules,
    Dedupe,
    Delivery,
    Cluster,
)
_WRITTEN = {
    parse_rate: 'a rate: `"50/s"`, `"3000/min"`, `"auto"`',
    parse_share: "a number or a share",
    parse_duration: 'a duration: `"30s"`, `"1h30m"`',
}
_TYPES = {
    str: "text",
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    Column: "`{ column = … }`",
    Sql: "`{ sql = … }`",
    Lookup: "`{ column = …, values = … }`",
}
_KINDS = {
    Kind.TEXT: "text, sent as it stands",
    Kind.CUSTOM: "any single value, sent as text",
    Kind.UUID: "UUID",
    Kind.PHONE: "phone number",
    Kind.EMAIL: "email address",
    Kind.LANGUAGE: "two-letter language code",
    Kind.CHOICE: "one of",
    Kind.EVENT_TYPE: "text",
    Kind.TIME: "time",
    Kind.TARGET: "phone number or email address",
}


def keys_of(name: str) -> list[str]:
    """The keys that a person may write in a section; those of `Files` stand in a table apart."""
    model = _model(name)
    shared = set() if model is Files else set(Files.model_fields)
    return [
        key
        for key, field in model.model_fields.items()
        if not field.exclude and key not in shared and not _is_section(field.annotation)
    ]


def config_table(name: str) -> str:
    """One line for each key of a section: what it takes, what holds without it, what it does."""
    model, texts = _model(name), _texts()
    lines = ["| key | takes | without it | |", "|---|---|---|---|"]
    for key in keys_of(name):
        field = model.model_fields[key]
        home = next(each for each in model.__mro__ if (each.__name__, key) in texts)
        lines.append(
            f"| `{key}` | {_takes(field)} | {_default(field)} | {texts[home.__name__, key]} |"
        )
    return "\n".join(lines)


def fields_table(name: str) -> str:
    """The fields of a destination that [fields] may map."""
    lines = ["| field | takes | |", "|---|---|---|"]
    lines += [
        f"| `{field.name}` | {_value(field)} | {'; '.join(_notes(field))} |"
        for field in destination(name).fields
    ]
    return "\n".join(lines)


def _value(field: Field) -> str:
    words = " ".join(f"`{choice}`" for choice in field.choices)
    return f"{_KINDS[field.kind]} {words}".strip()


def _notes(field: Field) -> list[str]:
    notes = []
    if field.required:
        notes.append(f"needed; `{field.default}` if not mapped" if field.default else "needed")
    if field.kind is Kind.CUSTOM:
        notes.append("at most `custom_value_max` characters")
    elif field.max_chars is not None:
        notes.append(f"at most {field.max_chars} characters")
    if field.warn_chars is not None:
        notes.append(f"a warning above {field.warn_chars}")
    if field.family:
        notes.append("the name after the dot is yours")
    return notes


def _model(name: str) -> type[BaseModel]:
    return next(model for model in _MODELS if model.__name__ == name)


def _is_section(annotation: Any) -> bool:
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(each in _MODELS for each in options) or get_origin(annotation) is dict


@cache
def _texts() -> dict[tuple[str, str], str]:
    """The text below each key, by class and key."""
    texts = {}
    for model in _MODELS:
        section = cast("ast.ClassDef", ast.parse(inspect.getsource(model)).body[0])
        for key, below in zip(section.body, section.body[1:], strict=False):
            if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name):
                if not isinstance(below, ast.Expr) or not isinstance(below.value, ast.Constant):
                    continue
                words = " ".join(str(below.value.value).split())
                texts[section.name, key.target.id] = re.sub(r"\[(\w+)\]", r"`[\1]`", words)
    return texts


def _takes(field: FieldInfo) -> str:
    validators = [each.func for each in field.metadata if isinstance(each, BeforeValidator)]
    for parser, words in _WRITTEN.items():
        if parser in validators:
            return words
    return _named(field.annotation)


def _named(annotation: Any) -> str:
    if isinstance(annotation, UnionType):
        return " or ".join(_named(each) for each in get_args(annotation) if each is not NoneType)
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f'`"{each}"`' for each in get_args(annotation))
    if origin is tuple:
        return "a text or a list of texts"
    if origin is not None:
        return _named(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table"
    return _TYPES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    value = field.default
    if isinstance(value, Share):
        return f'`"{value}"`'
    if parse_duration in [getattr(each, "func", None) for each in field.metadata]:
        return "no limit" if value is None else f'`"{value:g}s"`'
    if field.annotation == Rate | None:
        return '`"auto"`'
    if value is None or value == ():
        return ""
    return f"`{json.dumps(value)}`"
