"""Pristo: one event a request, each of which also creates or updates its contact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from backfill.destination import (
    AnyOf,
    Destination,
    Fault,
    Field,
    Flow,
    Kind,
    Reply,
    Secret,
    Verdict,
    body_text,
    fault_verdict,
    is_words,
    json_object,
    reply_verdict,
    status_flow,
    text_of,
)

__all__ = ["PristoEvents"]

_SWAPPED = (
    "population and PRISTO_API_KEY are both UUIDs: check that they are not the wrong way round"
)


class PristoEvents(Destination):
    """`POST /v1/events/send/{populationId}`."""

    name = "pristo-events"
    title = "Pristo events"
    base_url = "https://api.pristo.io"
    credential_env = "PRISTO_API_KEY"
    batch_size = 1
    ordering_field = "contact.id"
    time_field = "occurredAt"
    needs_population = True
    fields = (
        Field("contact.id", Kind.UUID, required=True, source="Contact.id"),
        Field("contact.email", Kind.EMAIL, source="Contact.email"),
        Field("contact.phone", Kind.PHONE, source="Contact.phone"),
        Field("contact.language", Kind.LANGUAGE, source="Contact.language"),
        Field("contact.name", Kind.TEXT, source="Contact.name"),
        Field("contact.lastName", Kind.TEXT, source="Contact.lastName"),
        Field("contact.customFields.*", Kind.CUSTOM, max_chars=50, source="Contact.customFields"),
        Field("type", Kind.EVENT_TYPE, required=True, source="SendEventRequest.type"),
        Field("occurredAt", Kind.TIME, required=True, source="SendEventRequest.occurredAt"),
        Field("customFields.*", Kind.CUSTOM, max_chars=50, source="SendEventRequest.customFields"),
    )
    checks = (AnyOf("contact|reachable", ("contact.phone", "contact.email"), source="Contact"),)

    def path(self, population: str | None) -> str:
        return f"/v1/events/send/{population}"

    def headers(self, credential: Secret) -> dict[str, str]:
        return {
            "X-API-Key": credential.reveal(),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def request_headers(self, record: str) -> dict[str, str]:
        return {"X-Request-Id": record}

    def request_id_of(self, record: str) -> str | None:
        return record

    def body(self, items: Sequence[bytes]) -> bytes:
        (item,) = items
        return item

    def verdict(self, answer: Reply | Fault, size: int) -> Verdict:
        del size
        if isinstance(answer, Fault):
            return fault_verdict(answer)
        if answer.status == 201 and (delivered := _delivered(answer.body)) is not None:
            return delivered
        content = json_object(answer.body)
        if answer.status == 201 and content is not None:
            return self._envelope(answer, content)
        error = content.get("error") if content else None
        if isinstance(error, dict):
            reason = text_of(error.get("code"), error.get("message"))
        elif content is not None:
            reason = text_of(content.get("code"), content.get("message"))
        else:
            reason = body_text(answer.body)
        flow = status_flow(
            answer,
            own_error=isinstance(error, dict)
            and is_words(error.get("code"))
            and is_words(error.get("message")),
            invalid=Flow.FAILED,
            too_large=Flow.FAILED,
            other_4xx=Flow.FAILED,
        )
        if answer.status in (401, 404):
            reason = text_of(reason, _SWAPPED)
        return reply_verdict(answer, flow, reason=reason)

    def success(self, size: int) -> Reply:
        del size
        return Reply(201, body=b'{"ok":true,"status":201,"statusText":"Created","raw":""}')

    def error(self, status: int, message: str) -> bytes:
        del status
        return json.dumps({"error": {"code": "error", "message": message}}).encode()

    def _envelope(self, reply: Reply, content: dict[str, object]) -> Verdict:
        """A 201 holds an application-level result, which alone says whether the event stands."""
        inner, message = content.get("status"), content.get("statusText")
        if content.get("ok") is not False:
            return reply_verdict(reply, Flow.UNKNOWN, reason="201 without a readable `ok`")
        flow = Flow.AGAIN if inner in (429, 503) else Flow.FAILED
        return reply_verdict(reply, flow, reason=text_of(inner, message))


@lru_cache(maxsize=16)  # a server says yes in the same words each time
def _delivered(body: bytes) -> Verdict | None:
    """The verdict of a 201 whose body says that the event stands; None for any other body."""
    content = json_object(body)
    if content is None or content.get("ok") is not True:
        return None
    inner = content.get("status")
    said = text_of(inner)
    odd = text_of("application status", said) if said not in ("", "200", "201") else ""
    return reply_verdict(Reply(201), Flow.DELIVERED, reason=odd)
