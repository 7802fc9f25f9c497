"""The sandbox's schemas as an OpenAPI document, for tools that read one."""

from __future__ import annotations

from typing import Any

from backfill.sandbox import schemas

__all__ = ["document"]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "$schema"}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _plain(schema)}}


def _operation(
    name: str,
    request: dict[str, Any],
    success: tuple[str, dict[str, Any]],
    error: dict[str, Any],
    security: str,
) -> dict[str, Any]:
    refusals = {
        status: {"description": words, "content": _content(error)}
        for status, words in (
            ("400", "what was sent breaks a rule"),
            ("401", "no credential"),
            ("413", "too large"),
            ("415", "not JSON"),
        )
    }
    return {
        "operationId": name,
        "security": [{security: []}],
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            success[0]: {"description": "taken", "content": _content(success[1])},
            **refusals,
        },
    }


def document() -> dict[str, Any]:
    """OpenAPI 3.1: its schemas are JSON Schema 2020-12, as the sandbox's are."""
    population = {
        "name": "populationId",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    }
    request_id = {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "format": "uuid"},
    }
    watch = (("200", schemas.WATCH_REPLY), schemas.WATCH_ERROR, "token")
    pristo = _operation(
        "sendEvent",
        schemas.PRISTO_REQUEST,
        ("201", schemas.PRISTO_REPLY),
        schemas.PRISTO_ERROR,
        "key",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "The three endpoints", "version": "1"},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
        },
        "paths": {
            "/v2/watch/event": {
                "post": _operation("dispatchEvents", schemas.watch_events_request(), *watch)
            },
            "/v2/watch/feedback": {
                "post": _operation("sendFeedbacks", schemas.watch_feedbacks_request(), *watch)
            },
            "/v1/events/send/{populationId}": {
                "post": {**pristo, "parameters": [population, request_id]}
            },
        },
    }
