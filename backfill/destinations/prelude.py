"""Prelude Watch: events and feedbacks, up to 100 a request.

The two endpoints differ in path, body key and fields, and share the rest. The replies name
bad items by path (`events.3.target.value`); the path's index counts and nothing else, since
`code` and `param` are the same for both endpoints in the documented examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from backfill.destination import (
    INVALID,
    Destination,
    Fault,
    Field,
    Flow,
    Kind,
    Reply,
    Secret,
    TargetAgrees,
    Verdict,
    body_text,
    fault_verdict,
    id_of,
    is_words,
    json_object,
    reply_verdict,
    status_flow,
    text_of,
)

__all__ = ["WatchEvents", "WatchFeedbacks"]

_TARGET_TYPE = Field(
    "target.type",
    Kind.CHOICE,
    required=True,
    choices=("phone_number", "email_address"),
    default="phone_number",
    source="Target.type",
)
_TARGET_VALUE = Field("target.value", Kind.TARGET, required=True, source="Target.value")
_AGREES = TargetAgrees(
    type_field="target.type",
    value_field="target.value",
    phone_type="phone_number",
    email_type="email_address",
    source="Target",
)
_NO_TIMESTAMP = (
    "Watch takes no timestamp: the server will read this history as happening now, in the order"
    " in which it is sent."
)


class _Watch(Destination):
    base_url = "https://api.prelude.dev"
    credential_env = "PRELUDE_API_TOKEN"
    batch_size = 100
    ordering_field = "target.value"
    time_field = None
    checks = (_AGREES,)
    notes: tuple[str, ...] = (_NO_TIMESTAMP,)
    endpoint: str
    items_key: str

    def __init__(self) -> None:
        # events.3.target.value, or events[3].target.value
        self._path = re.compile(
            rf"{self.items_key}(?:\.|\[)([0-9]{{1,4}})\]?(?:\.(.*))?", re.DOTALL
        )

    def path(self, population: str | None) -> str:
        del population
        return self.endpoint

    def headers(self, credential: Secret) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {credential.reveal()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def request_headers(self, record: str) -> dict[str, str]:
        del record
        return {}

    def body(self, items: Sequence[bytes]) -> bytes:
        return b'{"%s":[%s]}' % (self.items_key.encode(), b",".join(items))

    def verdict(self, answer: Reply | Fault, size: int) -> Verdict:
        if isinstance(answer, Fault):
            return fault_verdict(answer)
        content = json_object(answer.body)
        request_id = id_of(content.get("request_id")) if content else None
        if answer.status == 200 and content is not None and content.get("status") == "success":
            return reply_verdict(answer, Flow.DELIVERED, reason="", request_id=request_id)
        flow = status_flow(
            answer,
            own_error=_is_error(content),
            invalid=Flow.ISOLATE,
            too_large=Flow.SPLIT,
            other_4xx=Flow.ISOLATE,
        )
        if content is None:
            reason = body_text(answer.body)
        else:
            reason = text_of(content.get("code"), content.get("message") or content.get("status"))
        return reply_verdict(
            answer,
            flow,
            reason=reason,
            request_id=request_id,
            bad=self._bad_items(content, size) if answer.status in INVALID else None,
        )

    def success(self, size: int) -> Reply:
        del size
        return Reply(200, body=b'{"status":"success","request_id":"00000000"}')

    def error(self, status: int, message: str) -> bytes:
        del status
        return json.dumps({"code": "error", "message": message, "type": "error"}).encode()

    def _bad_items(self, content: dict[str, Any] | None, size: int) -> dict[int, str]:
        """The items that the server names, by their index in the request."""
        details = content.get("details") if content else None
        bad: dict[int, str] = {}
        for detail in details if isinstance(details, list) else ():
            where = detail.get("path") if isinstance(detail, dict) else None
            path = self._path.fullmatch(where) if isinstance(where, str) else None
            if path is not None and int(path[1]) < size:
                index, field = int(path[1]), path[2]
            elif size == 1 and isinstance(detail, dict):  # it can mean nothing but the one
                index, field = 0, where
            else:
                continue
            message = text_of(field, detail.get("message"))
            bad[index] = text_of(f"{bad[index]}; {message}") if index in bad else message
        return bad


def _is_error(content: dict[str, Any] | None) -> bool:
    """Whether a body is an error as the API writes it: the names that `Error` requires."""
    return content is not None and all(
        is_words(content.get(name)) for name in ("code", "message", "type")
    )


class WatchEvents(_Watch):
    """`POST /v2/watch/event`: what an end user did, and how much it is trusted."""

    name = "watch-events"
    title = "Prelude Watch events"
    endpoint = "/v2/watch/event"
    items_key = "events"
    fields = (
        _TARGET_TYPE,
        _TARGET_VALUE,
        Field("label", Kind.TEXT, required=True, source="WatchEvent.label"),
        Field(
            "confidence",
            Kind.CHOICE,
            required=True,
            choices=("maximum", "high", "neutral", "low", "minimum"),
            source="WatchEvent.confidence",
        ),
    )


class WatchFeedbacks(_Watch):
    """`POST /v2/watch/feedback`: how a verification went on."""

    name = "watch-feedbacks"
    title = "Prelude Watch feedbacks"
    endpoint = "/v2/watch/feedback"
    items_key = "feedbacks"
    fields = (
        _TARGET_TYPE,
        _TARGET_VALUE,
        Field(
            "type",
            Kind.CHOICE,
            required=True,
            choices=("verification.started", "verification.completed"),
            source="WatchFeedback.type",
        ),
        Field(
            "metadata.correlation_id",
            Kind.TEXT,
            max_chars=80,
            warn_chars=64,
            source="WatchFeedback.metadata.correlation_id",
        ),
    )
    tie_order = {"type": ("verification.started", "verification.completed")}  # noqa: RUF012 - only read
