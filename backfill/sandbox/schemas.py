"""What the endpoints take and give, restated as JSON Schema (draft 2020-12).

Written from the API documents alone: nothing here is derived from what `prepare` does, so
that the two can disagree. A request that these schemas accept and the documents would not, or
the other way round, is a fault of this file.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "PRISTO_ERROR",
    "PRISTO_REPLY",
    "PRISTO_REQUEST",
    "WATCH_ERROR",
    "WATCH_REPLY",
    "watch_events_request",
    "watch_feedbacks_request",
]

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

# --- Prelude Watch -------------------------------------------------------------------------


def _target(*, emails: bool) -> Schema:
    """Element `Target`, with its prose: a phone is E.164, and only phones are supported yet."""
    kinds: list[Schema] = [
        {
            "properties": {
                "type": {"const": "phone_number"},
                "value": {"pattern": r"^\+[1-9][0-9]{1,14}$"},
            }
        }
    ]
    if emails:
        kinds.append(
            {"properties": {"type": {"const": "email_address"}, "value": {"format": "email"}}}
        )
    return {
        "type": "object",
        "required": ["type", "value"],
        "properties": {
            "type": {"type": "string", "enum": ["phone_number", "email_address"]},
            "value": {"type": "string"},
        },
        "oneOf": kinds,
    }


def _list_of(name: str, item: Schema) -> Schema:
    return {
        "$schema": _DRAFT,
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "minItems": 1, "maxItems": 100, "items": item}},
    }


def watch_events_request(*, emails: bool = False) -> Schema:
    """Element `EventWatchRequest`. An empty list and an empty label say nothing: refused."""
    return _list_of(
        "events",
        {
            "type": "object",
            "required": ["target", "label", "confidence"],
            "properties": {
                "target": _target(emails=emails),
                "label": {"type": "string", "minLength": 1},
                "confidence": {
                    "type": "string",
                    "enum": ["maximum", "high", "neutral", "low", "minimum"],
                },
            },
        },
    )


def watch_feedbacks_request(*, emails: bool = False) -> Schema:
    """Element `FeedbackWatchRequest`."""
    return _list_of(
        "feedbacks",
        {
            "type": "object",
            "required": ["target", "type"],
            "properties": {
                "target": _target(emails=emails),
                "type": {
                    "type": "string",
                    "enum": ["verification.started", "verification.completed"],
                },
                "metadata": {
                    "type": "object",
                    "properties": {"correlation_id": {"type": "string", "maxLength": 80}},
                },
            },
        },
    )


WATCH_REPLY: Schema = {
    "$schema": _DRAFT,
    "type": "object",
    "required": ["status", "request_id"],
    "properties": {"status": {"const": "success"}, "request_id": {"type": "string"}},
}

# `details` and `param` stand in the documents' example of a 400 only.
WATCH_ERROR: Schema = {
    "$schema": _DRAFT,
    "type": "object",
    "required": ["code", "message", "type"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "type": {"type": "string"},
        "param": {"type": "string"},
        "request_id": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

# --- Pristo --------------------------------------------------------------------------------

_CUSTOM_FIELDS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": 255},
}

PRISTO_REQUEST: Schema = {
    "$schema": _DRAFT,
    "type": "object",
    "required": ["contact", "type"],
    "additionalProperties": False,
    "properties": {
        "contact": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "email": {"type": "string", "format": "email"},
                "phone": {"type": "string"},
                "language": {"type": "string", "pattern": "^[a-z]{2}$"},
                "name": {"type": "string"},
                "lastName": {"type": "string"},
                "customFields": _CUSTOM_FIELDS,
            },
        },
        "type": {"type": "string", "minLength": 1},
        "occurredAt": {"type": "string", "format": "date-time"},
        "customFields": _CUSTOM_FIELDS,
    },
}

PRISTO_REPLY: Schema = {
    "$schema": _DRAFT,
    "type": "object",
    "required": ["ok", "status", "statusText", "raw"],
    "additionalProperties": False,
    "properties": {
        "ok": {"type": "boolean"},
        "status": {"type": "integer"},
        "statusText": {"type": "string"},
        "body": True,
        "raw": {"type": "string"},
    },
}

PRISTO_ERROR: Schema = {
    "$schema": _DRAFT,
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
