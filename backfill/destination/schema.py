"""The JSON Schema of one record, from the fields of a destination and the checks between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backfill.destination.fields import AnyOf, Field, Kind, TargetAgrees

__all__ = ["schema_of"]

Schema = dict[str, Any]

_PHONE: Schema = {"pattern": r"^\+[1-9][0-9]{1,14}$"}
_EMAIL: Schema = {"format": "email"}
_KINDS: dict[Kind, Schema] = {
    Kind.TEXT: {},
    Kind.CUSTOM: {},
    Kind.UUID: {"format": "uuid"},
    Kind.PHONE: _PHONE,
    Kind.EMAIL: _EMAIL,
    Kind.LANGUAGE: {"pattern": "^[a-z]{2}$"},
    Kind.CHOICE: {},
    Kind.EVENT_TYPE: {"minLength": 1},
    Kind.TIME: {"format": "date-time"},
    Kind.TARGET: {"minLength": 1},
}


def schema_of(fields: Sequence[Field], checks: Sequence[AnyOf | TargetAgrees]) -> Schema:
    """A schema that takes what the fields declare and nothing besides (draft 2020-12)."""
    root = _object()
    for field in fields:
        _insert(root, field)
    root["allOf"] = [each for check in checks for each in _between(check)]
    return root


def _object() -> Schema:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _insert(root: Schema, field: Field) -> None:
    *above, last = field.name.split(".")
    owner = root
    for name in above:
        if field.required and name not in owner["required"]:
            owner["required"].append(name)
        owner = owner["properties"].setdefault(name, _object())
    if field.family:
        owner["additionalProperties"] = _value(field)
        return
    owner["properties"][last] = _value(field)
    if field.required:
        owner["required"].append(last)


def _value(field: Field) -> Schema:
    schema: Schema = {"type": "string", **_KINDS[field.kind]}
    if field.required and field.kind is Kind.TEXT:
        schema["minLength"] = 1
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.max_chars is not None:
        schema["maxLength"] = field.max_chars
    return schema


def _between(check: AnyOf | TargetAgrees) -> list[Schema]:
    """What must hold between fields."""
    if isinstance(check, AnyOf):
        return [{"anyOf": [_at(name, {}) for name in check.fields]}]
    return [
        {
            "if": _at(check.type_field, {"const": word}),
            "then": _at(check.value_field, value),
        }
        for word, value in ((check.phone_type, _PHONE), (check.email_type, _EMAIL))
    ]


def _at(name: str, schema: Schema) -> Schema:
    """That a value is there, and of this schema."""
    for each in reversed(name.split(".")):
        schema = {"properties": {each: schema}, "required": [each]}
    return schema
