"""A response of any transport becomes a plain reply, whatever its body is."""

from __future__ import annotations

import gzip
import zlib

import httpx
import pytest

from backfill.core.model import Fault, Reply, Secret
from backfill.deliver.http.errors import TransportFault
from backfill.deliver.run.send import Sender, read_reply
from backfill.destinations import destination

pytestmark = pytest.mark.anyio

MOST = 64 * 1024
RAW = zlib.compressobj(wbits=-15)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def packed(body: bytes, encoding: str) -> httpx.Response:
    return httpx.Response(
        200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(body)
    )


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (b"{}", "identity", b"{}"),
        (gzip.compress(b"{}", mtime=0), "gzip", b"{}"),
        (gzip.compress(b"{}", mtime=0), " GZIP ", b"{}"),
        (gzip.compress(b"{}", mtime=0), "x-gzip", b"{}"),
        (zlib.compress(b"{}"), "deflate", b"{}"),
        (RAW.compress(b"{}") + RAW.flush(), "deflate", b"{}"),
        (b"{}", "gzip", b"{}"),
        (b"\x1f\x8b\x08broken", "gzip", b"\x1f\x8b\x08broken"),
        (b"whatever", "br", b"whatever"),
        (gzip.compress(b"x" * 10_000_000, mtime=0), "gzip", b"x" * MOST),
    ],
    ids=[
        "not packed",
        "gzip",
        "shouted",
        "gzip by its old name",
        "deflate",
        "deflate without a header",
        "not packed after all",
        "broken",
        "unknown",
        "bomb",
    ],
)
async def test_a_packed_body_is_unpacked_within_bounds(body, encoding, expected):
    assert (await read_reply(packed(body, encoding))).body == expected


async def test_a_broken_encoding_keeps_the_status():
    reply = await read_reply(packed(b"junk", "gzip"))
    assert (reply.status, reply.body) == (200, b"junk")


class Endless(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    async def __aiter__(self):
        while True:
            self.given += 1
            yield b"x" * 1000

    async def aclose(self) -> None:
        self.closed = True


async def test_an_endless_body_is_cut_and_closed():
    stream = Endless()
    reply = await read_reply(httpx.Response(500, stream=stream))
    assert len(reply.body) == MOST
    assert stream.closed
    assert stream.given < 100


async def test_header_names_are_lower_case_and_odd_bytes_are_read():
    response = httpx.Response(200, headers=[(b"Retry-After", b"7"), (b"X-Odd", b"\xe9\xff")])
    assert await read_reply(response) == Reply(200, {"retry-after": "7", "x-odd": "éÿ"}, b"")


async def test_a_header_that_comes_twice_is_one_list():
    response = httpx.Response(429, headers=[(b"Retry-After", b"4"), (b"retry-after", b"0")])
    assert (await read_reply(response)).headers == {"retry-after": "4, 0"}


class Failing(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.request: httpx.Request | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        raise self.error


def sender(transport: httpx.AsyncBaseTransport) -> Sender:
    return Sender(
        transport,
        destination("watch-events"),
        base_url="https://api.example.com/",
        population=None,
        credential=Secret("hunter2"),
        timeout=7.0,
    )


async def test_a_fault_is_an_answer():
    answer = await sender(Failing(httpx.ReadTimeout("x"))).send("key", [b"{}"])
    assert answer.reply is Fault.TIMEOUT
    assert answer.seconds >= 0


async def test_a_fault_that_has_words_keeps_them():
    fault = TransportFault(Fault.UNRESOLVED, "no such name")
    answer = await sender(Failing(fault)).send("key", [b"{}"])
    assert (answer.reply, answer.message) == (Fault.UNRESOLVED, "no such name")


async def test_a_fault_of_the_program_is_none():
    with pytest.raises(ZeroDivisionError):
        await sender(Failing(ZeroDivisionError())).send("key", [b"{}"])


async def test_a_request_is_whole_for_any_transport():
    transport = Failing(httpx.ConnectError("x"))
    await sender(transport).send("key", [b"{}", b"{}"])
    request = transport.request
    assert request is not None
    assert request.method == "POST"
    assert str(request.url) == "https://api.example.com/v2/watch/event"
    assert request.headers["host"] == "api.example.com"
    assert request.headers["authorization"] == "Bearer hunter2"
    assert request.headers["content-length"] == "18"
    assert request.headers["user-agent"].startswith("backfill/")
    assert request.headers["accept-encoding"] == "identity"
    assert await request.aread() == b'{"events":[{},{}]}'
    assert request.extensions["timeout"]["read"] == 7.0
    assert "hunter2" not in repr(request) + repr(request.headers)
