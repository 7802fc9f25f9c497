"""The endpoints: which address, which credential, which bodies, and the words of each reply.

An endpoint is pure: it judges a request and words a reply, and knows nothing of sockets,
faults or time.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from backfill.sandbox.schemas import (
    PRISTO_REQUEST,
    Schema,
    watch_events_request,
    watch_feedbacks_request,
)

__all__ = ["Endpoint", "Pristo", "Refusal", "Watch", "endpoints", "read_json"]

_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PRISTO_PATH = re.compile("/v1/events/send/([^/]*)")
_MOST_DETAILS = 100
_LONGEST_MESSAGE = 200  # characters; a message quotes the value that it is about

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken. `details` are (path in the body, what is wrong there)."""

    status: int
    message: str
    details: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def read_json(body: bytes) -> Any:
    """Read a JSON body. Raises ValueError, also for what lenient readers let pass.

    Those are: bytes that are not UTF-8, a name given twice in one object, NaN and infinities,
    and half of a surrogate pair.
    """
    content = json.loads(
        body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
    )
    if b"\\u" in body:
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return content


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Endpoint(ABC):
    """One address that takes records."""

    destination: str
    place: str  # its path, or how it begins
    schema: Schema

    def __init__(self) -> None:
        self._validator = jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)

    @abstractmethod
    def takes(self, path: str) -> bool:
        """Whether the path is this endpoint's."""

    @abstractmethod
    def credential(self, headers: Mapping[str, str]) -> str:
        """The credential that a request shows; empty where there is none."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The id that the client chose for its request, where the documents let it."""
        del headers
        return None

    def read(self, body: bytes) -> Any:
        """A request's content. Raises ValueError, or RecursionError for one nested too deeply."""
        return read_json(body)

    @abstractmethod
    def items(self, content: Any) -> Sequence[Any]:
        """The records of a body, valid or not."""

    @abstractmethod
    def key(self, item: Any) -> str | None:
        """A record's ordering key, or None where there is none."""

    def time(self, item: Any) -> str | None:
        """When a valid record happened: "" where it does not say so, None where none ever does."""
        del item
        return None

    def refuses_address(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """What is wrong with the address or the headers."""
        del path
        media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return Refusal(415, f"Content-Type is {media!r}, not application/json")
        return None

    def refuses(self, content: Any, contacts: Container[str]) -> Refusal | None:
        """What is wrong with a body. `contacts` holds the keys that were reported before."""
        del contacts
        if self._validator.is_valid(content):
            return None
        return self.refusal(
            [
                (".".join(map(str, error.instance_path)), error.message[:_LONGEST_MESSAGE])
                for error, _ in zip(
                    self._validator.iter_errors(content), range(_MOST_DETAILS), strict=False
                )
            ]
        )

    @abstractmethod
    def refusal(self, details: Sequence[tuple[str, str]]) -> Refusal:
        """A 400 in the words of this endpoint."""

    @abstractmethod
    def bad_item(self, index: int) -> Refusal:
        """A 400 about one item that is in fact right."""

    @abstractmethod
    def success(self, request_id: str, size: int) -> tuple[int, bytes]:
        """Status and body of the reply to a request whose `size` records are stored."""

    @abstractmethod
    def not_ok(self, inner: int) -> tuple[int, bytes]:
        """A success status around a body that says no."""

    @abstractmethod
    def error(self, refusal: Refusal, request_id: str) -> bytes:
        """The body of an error reply."""


class Watch(Endpoint):
    """`POST /v2/watch/event` and `POST /v2/watch/feedback`, which differ in names only."""

    def __init__(self, destination: str, path: str, items_name: str, schema: Schema) -> None:
        self.destination = destination
        self.schema = schema
        self.place = path
        self._items_name = items_name
        super().__init__()

    def takes(self, path: str) -> bool:
        return path == self.place

    def credential(self, headers: Mapping[str, str]) -> str:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def items(self, content: Any) -> Sequence[Any]:
        items = content.get(self._items_name) if isinstance(content, dict) else None
        return items if isinstance(items, list) else []

    def key(self, item: Any) -> str | None:
        target = item.get("target") if isinstance(item, dict) else None
        value = target.get("value") if isinstance(target, dict) else None
        return value if isinstance(value, str) else None

    def refusal(self, details: Sequence[tuple[str, str]]) -> Refusal:
        message = f"The provided {self._items_name} are invalid; `details` names each fault."
        return Refusal(400, message, tuple(details))

    def bad_item(self, index: int) -> Refusal:
        path = f"{self._items_name}.{index}.target.value"
        return self.refusal([(path, "refused on demand, to see what a client does")])

    def success(self, request_id: str, size: int) -> tuple[int, bytes]:
        del size
        return 200, b'{"status":"success","request_id":"%s"}' % request_id.encode()

    def not_ok(self, inner: int) -> tuple[int, bytes]:
        return 200, b'{"status":"failed %d","request_id":"on-demand"}' % inner

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        code = _CODES.get(refusal.status, "error")
        content: dict[str, Any] = {"code": code, "message": refusal.message, "type": code}
        if refusal.status == 400:
            # The documents give the same code and param for both endpoints.
            content |= {"code": "invalid_events", "param": "events"}
        if refusal.details:
            content["details"] = [
                {"path": path, "message": message} for path, message in refusal.details
            ]
        return json.dumps({**content, "request_id": request_id}).encode()


_NEEDS_A_WAY = (
    "a contact's first report needs phone or email (the sandbox knows no contact of before;"
    " --known-contacts has it know all of them)"
)


class Pristo(Endpoint):
    """`POST /v1/events/send/{populationId}`.

    The documents limit custom values to 255 characters in the schema and to 50 in the prose;
    `custom_value_max` says which of the two is kept. With `known_contacts` the population has every
    contact already, so that none has to come with a phone or an email.
    """

    destination = "pristo-events"
    place = "/v1/events/send/"
    schema = PRISTO_REQUEST

    def __init__(self, custom_value_max: int = 255, *, known_contacts: bool = False) -> None:
        super().__init__()
        self._known_contacts = known_contacts
        self._custom_value_max = custom_value_max

    def takes(self, path: str) -> bool:
        return _PRISTO_PATH.fullmatch(path) is not None

    def credential(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-API-Key", "").strip()

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("X-Request-Id")

    def items(self, content: Any) -> Sequence[Any]:
        return [content]

    def key(self, item: Any) -> str | None:
        contact = item.get("contact") if isinstance(item, dict) else None
        name = contact.get("id") if isinstance(contact, dict) else None
        return name.lower() if isinstance(name, str) else None

    def time(self, item: Any) -> str | None:
        return item.get("occurredAt") or ""

    def refuses_address(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        population = path.rpartition("/")[2]
        if _UUID.fullmatch(population) is None:
            return Refusal(400, f"populationId {population[:80]!r} is not a UUID")
        request_id = headers.get("X-Request-Id")
        if request_id is not None and _UUID.fullmatch(request_id) is None:
            return Refusal(400, f"X-Request-Id {request_id[:80]!r} is not a UUID")
        return super().refuses_address(path, headers)

    def refuses(self, content: Any, contacts: Container[str]) -> Refusal | None:
        refusal = super().refuses(content, contacts)
        if refusal is not None:
            return refusal
        contact = content["contact"]
        reachable = contact.get("phone") or contact.get("email")
        known = self._known_contacts or contact["id"].lower() in contacts
        if not reachable and not known:
            return self.refusal([("contact", _NEEDS_A_WAY)])
        if self._custom_value_max < 255:
            for place, holder in (("", content), ("contact.", contact)):
                for name, value in holder.get("customFields", {}).items():
                    if len(value) > self._custom_value_max:
                        path = f"{place}customFields.{name}"
                        return self.refusal(
                            [(path, f"is longer than {self._custom_value_max} characters")]
                        )
        return None

    def refusal(self, details: Sequence[tuple[str, str]]) -> Refusal:
        return Refusal(400, "; ".join(f"{path or 'body'}: {message}" for path, message in details))

    def bad_item(self, index: int) -> Refusal:
        del index
        return self.refusal([("type", "refused on demand, to see what a client does")])

    def success(self, request_id: str, size: int) -> tuple[int, bytes]:
        del request_id, size
        return 201, b'{"ok":true,"status":201,"statusText":"Created","body":null,"raw":""}'

    def not_ok(self, inner: int) -> tuple[int, bytes]:
        return 201, (
            b'{"ok":false,"status":%d,"statusText":"Refused on demand","body":null,"raw":""}'
            % inner
        )

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        del request_id
        code = "validation_error" if refusal.status == 400 else _CODES.get(refusal.status, "error")
        return json.dumps({"error": {"code": code, "message": refusal.message}}).encode()


def endpoints(
    *, email_targets: bool = False, custom_value_max: int = 255, known_contacts: bool = False
) -> tuple[Endpoint, ...]:
    """The three endpoints, their validators compiled."""
    return (
        Watch(
            "watch-events",
            "/v2/watch/event",
            "events",
            watch_events_request(emails=email_targets),
        ),
        Watch(
            "watch-feedbacks",
            "/v2/watch/feedback",
            "feedbacks",
            watch_feedbacks_request(emails=email_targets),
        ),
        Pristo(custom_value_max, known_contacts=known_contacts),
    )
