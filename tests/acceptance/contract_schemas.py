"""The three request bodies as JSON Schema, read from the API documents a second time.

Neither the sandbox's schemas nor the rules of `prepare` were looked at for this. Draft 7, judged
by a validator in pure Python. What a document says in prose only stands here too.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

__all__ = ["validator"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # RFC 3339, 5.6

formats = FormatChecker(formats=())


@formats.checks("uuid")
def _uuid(value: object) -> bool:
    return not isinstance(value, str) or _UUID.fullmatch(value) is not None


@formats.checks("date-time", raises=ValueError)
def _moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value.upper())
    return _MOMENT.fullmatch(value) is not None


@formats.checks("email")
def _email(value: object) -> bool:
    if not isinstance(value, str):
        return True
    local, _, domain = value.rpartition("@")
    return bool(local) and "." in domain and not re.search(r"\s", value)


def _strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
_TARGET = _strict(
    ["type", "value"],
    # "Only supports phone numbers for now", and those in E.164.
    type={"enum": ["phone_number"]},
    value={"type": "string", "pattern": r"^\+[1-9][0-9]{1,14}\Z"},
)
_EVENT = _strict(
    ["target", "label", "confidence"],
    target=_TARGET,
    label={"type": "string", "minLength": 1},
    confidence={"enum": ["minimum", "low", "neutral", "high", "maximum"]},
)
_FEEDBACK = _strict(
    ["target", "type"],
    target=_TARGET,
    type={"enum": ["verification.started", "verification.completed"]},
    metadata={**_strict([], correlation_id={**_TEXT, "maxLength": 80}), "minProperties": 1},
)
_CUSTOM = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 50},
}
_CONTACT = {
    **_strict(
        ["id"],
        id={**_TEXT, "format": "uuid"},
        email={**_TEXT, "format": "email"},
        phone={"type": "string", "minLength": 1},
        language={"type": "string", "pattern": r"^[a-z]{2}\Z"},
        name={"type": "string", "minLength": 1},
        lastName={"type": "string", "minLength": 1},
        customFields=_CUSTOM,
    ),
    "anyOf": [{"required": ["email"]}, {"required": ["phone"]}],
}


def _list_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    items = {"type": "array", "minItems": 1, "maxItems": 100, "items": item}
    return _strict([name], **{name: items})


_BODIES = {
    "watch-events": _list_of("events", _EVENT),
    "watch-feedbacks": _list_of("feedbacks", _FEEDBACK),
    "pristo-events": _strict(
        ["contact", "type"],
        contact=_CONTACT,
        type={"type": "string", "minLength": 1},
        occurredAt={**_TEXT, "format": "date-time"},
        customFields=_CUSTOM,
    ),
}


def validator(destination: str) -> Draft7Validator:
    """What judges the body of a request to a destination. Extra names are refused everywhere."""
    return Draft7Validator(_BODIES[destination], format_checker=formats)
