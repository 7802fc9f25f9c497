"""A destination in memory that stores records and sees whether the promises are kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from tests.deliver.jobs import key_of, number_of

Answer = httpx.Response | Exception


@dataclass
class Request:
    """One request as the destination sees it. `attempt` counts the times its first record came."""

    url: str
    headers: dict[str, str]
    items: list[dict[str, Any]]
    attempt: int
    at: float

    @property
    def numbers(self) -> list[int]:
        return [number_of(item) for item in self.items]


Behaviour = Callable[["Store", Request], Awaitable[Answer] | Answer]


def accepted(request: Request, status: int | None = None) -> httpx.Response:
    """What the real API says when it has taken a request."""
    if "/v2/watch/" in request.url:
        return httpx.Response(status or 200, json={"status": "success", "request_id": "r"})
    content = {"ok": True, "status": 201, "statusText": "Created", "body": None, "raw": ""}
    return httpx.Response(status or 201, json=content)


@dataclass
class Store(httpx.AsyncBaseTransport):
    """Answers as `behave` says; without it, stores everything.

    Sees to it that no key is in two requests at once, and that a key's records are stored in
    order, whatever happens.
    """

    behave: Behaviour | None = None
    latency: float = 0.0
    requests: list[Request] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    out: int = 0
    most_out: int = 0
    _busy: set[str] = field(default_factory=set)
    _attempts: Counter[int] = field(default_factory=Counter)
    _last: dict[str, int] = field(default_factory=dict)

    def store(self, request: Request) -> None:
        for item in request.items:
            key, number = key_of(item), number_of(item)
            assert number > self._last.get(key, -1), "a key's records came out of order"
            self._last[key] = number
            self.stored.append(number)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = json.loads(await request.aread())
        items = content.get("events") or content.get("feedbacks") or [content]
        keys = {key_of(item) for item in items}
        assert not keys & self._busy, "a key is in two requests at once"
        first = number_of(items[0])
        self._attempts[first] += 1
        seen = Request(
            str(request.url),
            dict(request.headers),
            items,
            self._attempts[first],
            anyio.current_time(),
        )
        self.requests.append(seen)
        self._busy |= keys
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            await anyio.sleep(self.latency)
            answer = self._answer(seen)
            if isinstance(answer, Awaitable):
                answer = await answer
        finally:
            self.out -= 1
            self._busy -= keys
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, request: Request) -> Awaitable[Answer] | Answer:
        if self.behave is not None:
            return self.behave(self, request)
        self.store(request)
        return accepted(request)
