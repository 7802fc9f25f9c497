"""Whole runs over real sockets, against a server with faults that knows what it stored."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections import Counter

import anyio
import pytest

from backfill.core.model import State, StopKind
from tests.deliver.jobs import number_of
from tests.deliver.servers import Exchange, Server, serving

DELIVERED, FAILED, UNKNOWN = State.DELIVERED, State.FAILED, State.UNKNOWN
SUCCESS = {
    "pristo-events": (
        201,
        b'{"ok":true,"status":201,"statusText":"Created","body":null,"raw":""}',
    ),
    "watch-events": (200, b'{"status":"success","request_id":"r"}'),
}


class Faulty:
    """Stores records, and for a share of the requests does something else before or after."""

    AMBIGUOUS = ("cut before", "cut after", "500 after", "half a reply", "wrong length", "slow")
    HARMLESS = ("503", "429", "408")

    def __init__(self, name: str, share: float, seed: int) -> None:
        self.name = name
        self.stored: Counter[int] = Counter()
        self.ambiguous: set[int] = set()
        self.faults: Counter[str] = Counter()
        self._share = share
        self._rng = random.Random(seed)

    async def __call__(self, exchange: Exchange) -> None:
        content = json.loads(exchange.body)
        numbers = [number_of(item) for item in content.get("events", [content])]
        fault = ""
        if self._rng.random() < self._share:
            fault = self._rng.choice((*self.AMBIGUOUS, *self.HARMLESS))
            self.faults[fault] += 1
        if fault in self.HARMLESS:
            await exchange.answer(int(fault), b"", "Retry-After: 0\r\nretry-after-ms: 5\r\n")
            return
        if fault in self.AMBIGUOUS:
            self.ambiguous.update(numbers)
        if fault == "cut before":
            exchange.reset()
            return
        self.stored.update(numbers)
        status, body = SUCCESS[self.name]
        match fault:
            case "cut after":
                exchange.writer.close()
            case "500 after":
                await exchange.answer(500, b"<html>oops</html>")
            case "half a reply" | "wrong length":
                head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body) + 9}\r\n\r\n"
                part = body if fault == "wrong length" else body[:10]
                exchange.writer.write(head.encode() + part)
                await exchange.writer.drain()
                exchange.writer.close()
            case "slow":
                await asyncio.sleep(2.5)
                await exchange.answer(status, body)
            case _:
                await exchange.answer(status, body)


@pytest.mark.parametrize("name", ["pristo-events", "watch-events"])
@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
def test_nothing_is_lost_and_what_is_ambiguous_is_exactly_what_the_guarantee_says(
    job, name, guarantee
):
    each = job(name, [[40] * 8] if name == "pristo-events" else [[1000] * 8])
    total = each.manifest.ready
    faulty = Faulty(name, share=0.15, seed=11)

    async def go() -> None:
        async with serving(faulty) as server:
            stop = await each.run(
                None, base_url=server.url, guarantee=guarantee, timeout=1.0, concurrency=8
            )
            assert stop is None

    anyio.run(go)
    assert set(faulty.AMBIGUOUS) & set(faulty.faults)
    delivered, unknown = set(each.numbers(DELIVERED)), set(each.numbers(UNKNOWN))
    assert len(delivered) + len(unknown) == total
    if guarantee == "at-most-once":
        assert unknown == faulty.ambiguous
        assert set(faulty.stored.values()) == {1}
        assert delivered == set(range(total)) - unknown
        assert delivered <= set(faulty.stored)
    else:
        assert not unknown
        assert set(faulty.stored) == set(range(total))


def test_idle_connections_cost_no_unknown(job):
    """14 requests a second over 64 lanes; the server closes what was idle for 2 seconds."""
    each = job(lanes=[[1] * 70])

    async def go() -> Server:
        async def behave(exchange: Exchange) -> None:
            await exchange.answer(*SUCCESS["pristo-events"])

        async with serving(behave, idle=2.0) as server:
            assert await each.run(None, base_url=server.url, rate=14.0, concurrency=64) is None
            return server

    server = anyio.run(go)
    assert each.numbers(UNKNOWN) == []
    assert len(each.numbers(DELIVERED)) == 70
    assert server.connections < 10


def test_a_server_that_is_not_there_leaves_all_pending(job):
    each = job(lanes=[[10] * 4])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        stop = anyio.run(lambda: each.run(None, base_url=url, patience=0.2))
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "connection refused" in stop.message
    assert not each.outcomes()


def test_a_certificate_that_nobody_trusts_leaves_all_pending(job):
    each = job(lanes=[[10] * 4])

    async def go():
        async def behave(exchange: Exchange) -> None:
            raise AssertionError("nothing may be sent")

        async with serving(behave, tls=True) as server:
            return await each.run(None, base_url=f"https://localhost:{server.port}", patience=0.2)

    stop = anyio.run(go)
    assert stop.kind is StopKind.UNAVAILABLE
    assert "self-signed certificate" in stop.message
    assert not each.outcomes()
