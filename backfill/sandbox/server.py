"""The server: endpoints on this machine, one judgement after the other for each request."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from anyio.from_thread import start_blocking_portal

from backfill.core.errors import ConfigError
from backfill.sandbox.accepted_log import Accepted, AcceptedLog, InjectedFault
from backfill.sandbox.contract import Endpoint, Refusal
from backfill.sandbox.contract import endpoints as own_endpoints
from backfill.sandbox.fault_injection import (
    Arrival,
    Fault,
    FaultScript,
    parse_fault,
    parse_faults,
    scripted,
)
from backfill.sandbox.limit import Allowance, RetryStyle, parse_rate_limit, retry_headers
from backfill.sandbox.replies import JSON, Replies, Visit

__all__ = ["STATS_PATH", "Sandbox", "running_sandbox"]

STATS_PATH = "/_sandbox/stats"


class Sandbox:
    """Endpoints on 127.0.0.1. Starts in `async with`, and has a `url` from then on.

    `rate_limit` is "50/s", "3000/min" or requests a second, for each destination; `burst` is
    how many may come at once, by default a second's worth. `faults` are "KIND=SHARE" each, or
    a callable that says for each arrival what goes wrong. `latency` and `idle` are seconds:
    every request takes at least the one, an unused connection is closed after the other.
    `credential`, where given, is the only one accepted; else any that is not empty. `keep`
    holds accepted records and faulty requests in memory. `endpoints` are served instead of the
    three, for which `email_targets`, `custom_value_max` and `known_contacts` (Pristo has them all
    already) are. Bad options raise ConfigError.
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
        known_contacts: bool = False,
        keep: bool = True,
        endpoints: Sequence[Endpoint] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._endpoints = endpoints or own_endpoints(
            email_targets=email_targets,
            custom_value_max=custom_value_max,
            known_contacts=known_contacts,
        )
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
        self._accepted_log = self._open_accepted_log()
        self._closing = asyncio.Event()
        self._replies = Replies(
            self._accepted_log,
            chance=self._chance,
            closing=self._closing,
            retry_after=self._retry_after,
        )
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
        self._accepted_log.close()

    def _open_accepted_log(self) -> AcceptedLog:
        names = [each.destination for each in self._endpoints]
        try:
            return AcceptedLog(names, self._log, keep=self._keep)
        except OSError as error:
            raise ConfigError(
                f"cannot be written: {error.strerror}", where=str(self._log)
            ) from error

    @property
    def accepted(self) -> list[Accepted]:
        """The records stored so far, in the order in which they were stored."""
        return self._accepted_log.accepted

    @property
    def injected(self) -> list[InjectedFault]:
        """The requests that met a fault, in order of arrival."""
        return self._accepted_log.injected

    @property
    def stats(self) -> dict[str, Any]:
        """What was seen so far, as `GET /_sandbox/stats` gives it."""
        return {
            "destinations": {
                name: counts.as_dict() for name, counts in self._accepted_log.counts.items()
            },
            "elsewhere": dict(self._accepted_log.strays),
        }

    # --- one request -------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        endpoint = next((each for each in self._endpoints if each.takes(path)), None)
        if endpoint is None:
            return self._elsewhere(request, path)
        self._accepted_log.counts[endpoint.destination].requests += 1
        visit = Visit(request, endpoint, endpoint.request_id(request.headers) or self._new_id())
        body = await self._read(request)
        refusal = self._refuses_address(visit, path)
        if refusal is not None:
            return self._replies.refuse(visit, refusal)
        if body is None:
            return self._replies.refuse(visit, Refusal(413, "the body is too large"))
        try:
            content = visit.endpoint.read(body)
        except (ValueError, RecursionError) as error:
            return self._replies.refuse(visit, Refusal(400, f"the body is not JSON: {error}"[:200]))
        keys = frozenset(filter(None, map(endpoint.key, endpoint.items(content))))
        with self._accepted_log.in_flight(endpoint.destination, keys):
            arrival = Arrival(self._arrivals, endpoint.destination, tuple(keys), body)
            self._arrivals += 1
            return await self._answer(visit, content, self._fault(arrival))

    async def _answer(self, visit: Visit, content: Any, fault: Fault | None) -> web.StreamResponse:
        endpoint = visit.endpoint
        items = endpoint.items(content)
        allowance = self._allowances.get(endpoint.destination)
        wait = allowance.take() if allowance else 0.0
        if wait:
            headers = retry_headers(wait, self._retry_after)
            return self._replies.refuse(visit, Refusal(429, "too many requests", headers=headers))
        delay = self._latency
        if fault is not None and fault.kind == "slow":
            self._note(visit, fault, items)
            delay += 1.0 if fault.number is None else fault.number
            fault = None
        if delay:
            await asyncio.sleep(delay)
        if fault is not None and not fault.stored:
            self._note(visit, fault, items)
            return await self._replies.faulty_reply(visit, fault, len(items))
        refusal = endpoint.refuses(content, self._accepted_log.keys(endpoint.destination))
        if refusal is not None:
            return self._replies.refuse(visit, refusal)
        self._accepted_log.store(
            endpoint.destination,
            visit.request_id,
            [(endpoint.key(item) or "", endpoint.time(item), item) for item in items],
            fault.kind if fault else None,
        )
        if fault is not None:
            self._note(visit, fault, items)
            return await self._replies.faulty_success(visit, fault, len(items))
        return self._replies.reply(endpoint, *endpoint.success(visit.request_id, len(items)))

    # --- judgements --------------------------------------------------------------------

    def _refuses_address(self, visit: Visit, path: str) -> Refusal | None:
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

    def _note(self, visit: Visit, fault: Fault, items: Sequence[Any]) -> None:
        self._accepted_log.inject(
            InjectedFault(
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

    def _elsewhere(self, request: web.BaseRequest, path: str) -> web.Response:
        if path == STATS_PATH and request.method == "GET":
            return web.Response(body=json.dumps(self.stats).encode(), content_type=JSON)
        self._accepted_log.strays["404"] += 1
        # Each vendor words its errors in its own way, also where there is nothing.
        endpoint = max(self._endpoints, key=lambda each: _in_common(each.place, path))
        body = endpoint.error(Refusal(404, "there is nothing at this address"), self._new_id())
        return web.Response(status=404, body=body, content_type=JSON)


def _in_common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@contextmanager
def running_sandbox(**options: Any) -> Iterator[Sandbox]:
    """Run a sandbox in a thread of its own; the options are those of `Sandbox`."""
    sandbox = Sandbox(**options)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(sandbox):
        yield sandbox
