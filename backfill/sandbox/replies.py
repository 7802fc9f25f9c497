"""Replies, as they should be, and faulty on demand."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from aiohttp import web

from backfill.sandbox.accepted_log import AcceptedLog
from backfill.sandbox.contract import Endpoint, Refusal
from backfill.sandbox.fault_injection import Fault
from backfill.sandbox.limit import RetryStyle, retry_headers

__all__ = ["JSON", "Replies", "Visit"]

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
    b"<body><h1>502 Bad Gateway</h1></body></html>\n"
)
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request at one of the endpoints."""

    request: web.BaseRequest
    endpoint: Endpoint
    request_id: str


class Replies:
    """Words every reply, and counts it.

    `chance` chooses what a fault falls on, `closing` lets go of those who are never answered.
    """

    def __init__(
        self,
        accepted_log: AcceptedLog,
        *,
        chance: random.Random,
        closing: asyncio.Event,
        retry_after: RetryStyle,
    ) -> None:
        self._accepted_log = accepted_log
        self._chance = chance
        self._closing = closing
        self._retry_after: RetryStyle = retry_after

    def reply(
        self, endpoint: Endpoint, status: int, body: bytes, kind: str = JSON, **headers: str
    ) -> web.Response:
        """A whole reply."""
        self._accepted_log.counts[endpoint.destination].statuses[str(status)] += 1
        return web.Response(status=status, body=body, content_type=kind, headers=headers or None)

    def refuse(self, visit: Visit, refusal: Refusal) -> web.Response:
        """A refusal in the endpoint's own words."""
        body = visit.endpoint.error(refusal, visit.request_id)
        return self.reply(visit.endpoint, refusal.status, body, **refusal.headers)

    async def faulty_reply(self, visit: Visit, fault: Fault, size: int) -> web.StreamResponse:
        """Answer a request whose records are not stored."""
        match fault.kind:
            case "cut-before":
                return _cut(visit.request)
            case "hang":
                await self._closing.wait()
                return _cut(visit.request)
            case "html":
                return self.reply(visit.endpoint, 502, _HTML, "text/html")
            case "not-ok":
                inner = 422 if fault.number is None else int(fault.number)
                return self.reply(visit.endpoint, *visit.endpoint.not_ok(inner))
            case "bad-item":
                refusal = visit.endpoint.bad_item(self._chance.randrange(max(1, size)))
                return self.refuse(visit, refusal)
        return self.refuse(visit, self._status_of(fault))

    async def faulty_success(self, visit: Visit, fault: Fault, size: int) -> web.StreamResponse:
        """Answer a request whose records are stored."""
        status, body = visit.endpoint.success(visit.request_id, size)
        match fault.kind:
            case "cut-after":
                return _cut(visit.request)
            case "hang-after":
                await self._closing.wait()
                return _cut(visit.request)
            case "html-after":
                return self.reply(visit.endpoint, status, _HTML, "text/html")
            case "half-reply":
                half = body[: len(body) // 2]
                return _cut(visit.request, _head(status, len(body)) + half)
            case "wrong-length":
                return _cut(visit.request, _head(status, len(body) // 2) + body)
        return self.refuse(visit, self._status_of(fault))

    def _status_of(self, fault: Fault) -> Refusal:
        """The refusal that a fault of a status stands for."""
        status = fault.status or 500
        headers = {}
        if status == 429 or fault.number is not None:
            wait = 1.0 if fault.number is None else fault.number
            headers = retry_headers(wait, self._retry_after)
        if 300 <= status < 400:
            headers["Location"] = "/elsewhere"
        return Refusal(status, "answered so on demand", headers=headers)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} OK\r\nContent-Type: {JSON}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _cut(request: web.BaseRequest, sent: bytes = b"") -> web.Response:
    """Close the connection after the bytes. The reply that is returned goes nowhere."""
    if request.transport is not None:
        if sent:
            request.transport.write(sent)
        request.transport.close()
    return web.Response()
