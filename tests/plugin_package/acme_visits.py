"""Acme: visits, up to 20 a request."""

from __future__ import annotations

import json
from collections.abc import Sequence

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
    fault_verdict,
    is_words,
    json_object,
    reply_verdict,
    status_flow,
    text_of,
)

__all__ = ["AcmeVisits"]


class AcmeVisits(Destination):
    """`POST /visits`."""

    name = "acme-visits"
    title = "Acme visits"
    base_url = "https://api.acme.example"
    credential_env = "ACME_TOKEN"
    batch_size = 20
    ordering_field = "visitor"
    time_field = "at"
    fields = (
        Field("visitor", Kind.TEXT, required=True, max_chars=40, source="Visit.visitor"),
        Field("at", Kind.TIME, required=True, source="Visit.at"),
        Field("phone", Kind.PHONE, source="Visit.phone"),
        Field("page.url", Kind.TEXT, source="Visit.page.url"),
        Field("page.kind", Kind.CHOICE, choices=("product", "other"), source="Visit.page.kind"),
    )
    checks = (AnyOf("visitor|reachable", ("phone", "page.url"), source="Visit"),)
    notes = ("Acme forgets visits after two years.",)

    def path(self, population: str | None) -> str:
        return "/visits"

    def headers(self, credential: Secret) -> dict[str, str]:
        return {"X-Acme": credential.reveal(), "Content-Type": "application/json"}

    def request_headers(self, record: str) -> dict[str, str]:
        return {"Idempotency-Key": record}

    def body(self, items: Sequence[bytes]) -> bytes:
        return b'{"visits":[%s]}' % b",".join(items)

    def verdict(self, answer: Reply | Fault, size: int) -> Verdict:
        if isinstance(answer, Fault):
            return fault_verdict(answer)
        content = json_object(answer.body) or {}
        if answer.status == 200 and content.get("taken") == size:
            return reply_verdict(answer, Flow.DELIVERED, reason="")
        flow = status_flow(
            answer,
            own_error=is_words(content.get("error")),
            invalid=Flow.ISOLATE,
            too_large=Flow.SPLIT,
            other_4xx=Flow.ISOLATE,
        )
        return reply_verdict(answer, flow, reason=text_of(content.get("error")))

    def success(self, size: int) -> Reply:
        return Reply(200, body=json.dumps({"taken": size}).encode())
