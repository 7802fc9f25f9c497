"""The server: three endpoints on this machine, one judgement after the other for each request."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from anyio.from_thread import start_blocking_portal

from backfill.errors import ConfigError
from backfill.sandbox.contract import Endpoint, Refusal, endpoints, read_json
from backfill.sandbox.faults import (
    Arrival,
    Fault,
    FaultScript,
    parse_fault,
    parse_faults,
    scripted,
)
from backfill.sandbox.limit import Allowance, RetryStyle, parse_rate_limit, retry_headers
from backfill.sandbox.witness import Accepted, Spoilt, Witness

__all__ = ["STATS_PATH", "Sandbox", "running_sandbox"]

STATS_PATH = "/_sandbox/stats"

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
    b"<body><h1>502 Bad Gateway</h1></body></html>\n"
)
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request at one of the endpoints."""

    request: web.BaseRequest
    endpoint: Endpoint
    request_id: str


class Sandbox:
    """The three endpoints on 127.0.0.1. Starts in `async with`, and has a `url` from then on.

    `rate_limit` is "50/s", "3000/min" or requests a second, for each destination; `burst` is
    how many may come at once, by default a second's worth. `faults` are "KIND=SHARE" each, or
    a callable that says for each arrival what goes wrong. `latency` and `idle` are seconds:
    every request takes at least the one, an unused connection is closed after the other.
    `credential`, where given, is the only one accepted; else any that is not empty. `keep`
    holds accepted records and spoilt requests in memory. Bad options raise ConfigError.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        rate_limit: str | float | None = None,
        burst: float | None = None,
        retry_after: RetryStyle = "seconds",
        faults: Iterable[str] | FaultScript = (),
        seed: int = 0,
        log: str | Path | None = None,
        credential: str | None = None,
        latency: float = 0.0,
        idle: float = 75.0,
        max_body: int = 1_048_576,
        email_targets: bool = False,
        custom_value_max: int = 255,
        keep: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._endpoints = endpoints(email_targets=email_targets, custom_value_max=custom_value_max)
        rate = parse_rate_limit(rate_limit)
        self._allowances = (
            {each.destination: Allowance(rate, burst or rate, clock) for each in self._endpoints}
            if rate
            else {}
        )
        self._retry_after: RetryStyle = retry_after
        self._script = faults if callable(faults) else scripted(parse_faults(faults), seed)
        self._chance = random.Random(seed)  # noqa: S311 - a rehearsal is meant to be repeatable
        self._credential = credential
        self._latency = latency
        self._idle = idle
        self._max_body = max_body
        self._log = Path(log) if log is not None else None
        self._keep = keep
        self._arrivals = 0
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._witness = self._open_witness()
        self._closing = asyncio.Event()
        server = web.Server(
            self._handle,
            # A client that went away waits for nothing: its keys are free again.
            handler_cancellation=True,
            keepalive_timeout=self._idle,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await self.__aexit__(None, None, None)
            raise ConfigError(
                f"port {self._port} cannot be opened: {error}",
                where="--port",
                hint="Leave it out for a free one.",
            ) from error
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self._witness.close()

    def _open_witness(self) -> Witness:
        names = [each.destination for each in self._endpoints]
        try:
            return Witness(names, self._log, keep=self._keep)
        except OSError as error:
            raise ConfigError(
                f"cannot be written: {error.strerror}", where=str(self._log)
            ) from error

    @property
    def accepted(self) -> list[Accepted]:
        """The records stored so far, in the order in which they were stored."""
        return self._witness.accepted

    @property
    def spoilt(self) -> list[Spoilt]:
        """The requests that met a fault, in order of arrival."""
        return self._witness.spoilt

    @property
    def stats(self) -> dict[str, Any]:
        """What was seen so far, as `GET /_sandbox/stats` gives it."""
        return {
            "destinations": {
                name: tally.as_dict() for name, tally in self._witness.tallies.items()
            },
            "elsewhere": dict(self._witness.strays),
        }

    # --- one request -------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        endpoint = next((each for each in self._endpoints if each.takes(path)), None)
        if endpoint is None:
            return self._elsewhere(request, path)
        self._witness.tallies[endpoint.destination].requests += 1
        visit = _Visit(request, endpoint, endpoint.request_id(request.headers) or self._new_id())
        body = await self._read(request)
        refusal = self._refuses_door(visit, path)
        if refusal is not None:
            return self._refuse(visit, refusal)
        if body is None:
            return self._refuse(visit, Refusal(413, "the body is too large"))
        try:
            content = read_json(body)
        except (ValueError, RecursionError) as error:
            return self._refuse(visit, Refusal(400, f"the body is not JSON: {error}"[:200]))
        keys = frozenset(filter(None, map(endpoint.key, endpoint.items(content))))
        with self._witness.flight(endpoint.destination, keys):
            arrival = Arrival(self._arrivals, endpoint.destination, tuple(keys), body)
            self._arrivals += 1
            return await self._answer(visit, content, self._fault(arrival))

    async def _answer(self, visit: _Visit, content: Any, fault: Fault | None) -> web.StreamResponse:
        endpoint = visit.endpoint
        items = endpoint.items(content)
        allowance = self._allowances.get(endpoint.destination)
        wait = allowance.take() if allowance else 0.0
        if wait:
            headers = retry_headers(wait, self._retry_after)
            return self._refuse(visit, Refusal(429, "too many requests", headers=headers))
        delay = self._latency
        if fault is not None and fault.kind == "slow":
            self._note(visit, fault, items)
            delay += 1.0 if fault.number is None else fault.number
            fault = None
        if delay:
            await asyncio.sleep(delay)
        if fault is not None and not fault.stored:
            self._note(visit, fault, items)
            return await self._spoil(visit, fault, len(items))
        refusal = endpoint.refuses(content, self._witness.contacts)
        if refusal is not None:
            return self._refuse(visit, refusal)
        self._witness.store(
            endpoint.destination,
            visit.request_id,
            [(endpoint.key(item) or "", item) for item in items],
            fault.kind if fault else None,
        )
        if fault is not None:
            self._note(visit, fault, items)
            return await self._spoil_reply(visit, fault)
        return self._reply(endpoint, *endpoint.success(visit.request_id))

    # --- judgements --------------------------------------------------------------------

    def _refuses_door(self, visit: _Visit, path: str) -> Refusal | None:
        """What is wrong before the body is looked at."""
        request = visit.request
        if request.method != "POST":
            return Refusal(405, "only POST is taken here", headers={"Allow": "POST"})
        shown = visit.endpoint.credential(request.headers)
        if not shown or self._credential not in (None, shown):
            return Refusal(401, "the credential is missing or not valid")
        return visit.endpoint.refuses_address(path, request.headers)

    async def _read(self, request: web.BaseRequest) -> bytes | None:
        """The body, or None where it is too large."""
        if (request.content_length or 0) > self._max_body:
            return None
        body = await request.content.read()
        return body if len(body) <= self._max_body else None

    def _note(self, visit: _Visit, fault: Fault, items: Sequence[Any]) -> None:
        self._witness.spoil(
            Spoilt(
                visit.endpoint.destination,
                visit.request_id,
                fault.kind,
                fault.stored,
                tuple(items),
            )
        )

    def _fault(self, arrival: Arrival) -> Fault | None:
        fault = self._script(arrival)
        return parse_fault(fault) if isinstance(fault, str) else fault

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    # --- replies -----------------------------------------------------------------------

    def _reply(
        self, endpoint: Endpoint, status: int, body: bytes, kind: str = _JSON, **headers: str
    ) -> web.Response:
        self._witness.tallies[endpoint.destination].statuses[str(status)] += 1
        return web.Response(status=status, body=body, content_type=kind, headers=headers or None)

    def _refuse(self, visit: _Visit, refusal: Refusal) -> web.Response:
        body = visit.endpoint.error(refusal, visit.request_id)
        return self._reply(visit.endpoint, refusal.status, body, **refusal.headers)

    def _elsewhere(self, request: web.BaseRequest, path: str) -> web.Response:
        if path == STATS_PATH and request.method == "GET":
            return web.Response(body=json.dumps(self.stats).encode(), content_type=_JSON)
        self._witness.strays["404"] += 1
        # Each vendor words its errors in its own way, also where there is nothing.
        endpoint = self._endpoints[-1 if path.startswith("/v1/") else 0]
        body = endpoint.error(Refusal(404, "there is nothing at this address"), self._new_id())
        return web.Response(status=404, body=body, content_type=_JSON)

    async def _spoil(self, visit: _Visit, fault: Fault, size: int) -> web.StreamResponse:
        """Answer a request whose records are not stored."""
        match fault.kind:
            case "cut-before":
                return _cut(visit.request)
            case "hang":
                await self._closing.wait()
                return _cut(visit.request)
            case "html":
                return self._reply(visit.endpoint, 502, _HTML, "text/html")
            case "not-ok":
                inner = 422 if fault.number is None else int(fault.number)
                return self._reply(visit.endpoint, *visit.endpoint.not_ok(inner))
            case "bad-item":
                refusal = visit.endpoint.bad_item(self._chance.randrange(max(1, size)))
                return self._refuse(visit, refusal)
        return self._refuse(visit, self._status_of(fault))

    async def _spoil_reply(self, visit: _Visit, fault: Fault) -> web.StreamResponse:
        """Answer a request whose records are stored."""
        status, body = visit.endpoint.success(visit.request_id)
        match fault.kind:
            case "cut-after":
                return _cut(visit.request)
            case "hang-after":
                await self._closing.wait()
                return _cut(visit.request)
            case "html-after":
                return self._reply(visit.endpoint, status, _HTML, "text/html")
            case "half-reply":
                half = body[: len(body) // 2]
                return _cut(visit.request, _head(status, len(body)) + half)
            case "wrong-length":
                return _cut(visit.request, _head(status, len(body) // 2) + body)
        return self._refuse(visit, self._status_of(fault))

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
        f"HTTP/1.1 {status} OK\r\nContent-Type: {_JSON}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _cut(request: web.BaseRequest, sent: bytes = b"") -> web.Response:
    """Close the connection after the bytes. The reply that is returned goes nowhere."""
    if request.transport is not None:
        if sent:
            request.transport.write(sent)
        request.transport.close()
    return web.Response()


@contextmanager
def running_sandbox(**options: Any) -> Iterator[Sandbox]:
    """Run a sandbox in a thread of its own; the options are those of `Sandbox`."""
    sandbox = Sandbox(**options)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(sandbox):
        yield sandbox
