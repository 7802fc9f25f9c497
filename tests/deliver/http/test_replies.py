"""A response of any transport becomes a plain reply, whatever its body is."""

from __future__ import annotations

import gzip
import zlib

import httpx
import pytest

from backfill.core.model import Reply
from backfill.deliver.http.response_reader import MOST_BODY, read_reply

pytestmark = pytest.mark.anyio

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
        (gzip.compress(b"x" * 10_000_000, mtime=0), "gzip", b"x" * MOST_BODY),
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
    assert len(reply.body) == MOST_BODY
    assert stream.closed
    assert stream.given < 100


async def test_header_names_are_lower_case_and_odd_bytes_are_read():
    response = httpx.Response(200, headers=[(b"Retry-After", b"7"), (b"X-Odd", b"\xe9\xff")])
    assert await read_reply(response) == Reply(200, {"retry-after": "7", "x-odd": "éÿ"}, b"")


async def test_a_header_that_comes_twice_is_one_list():
    response = httpx.Response(429, headers=[(b"Retry-After", b"4"), (b"retry-after", b"0")])
    assert (await read_reply(response)).headers == {"retry-after": "4, 0"}


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    *(f"utf-{n}{end}" for n in (16, 32) for end in ("", "-le", "-be")),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['{"a": "\u00e9\u6f22\U0001f600"}', "[]", '"'])
async def test_a_text_becomes_utf_8(text, encoding):
    reply = await read_reply(httpx.Response(200, content=text.encode(encoding)))
    if len(text.encode(encoding)) >= 4:
        assert reply.body.decode("utf-8-sig") == text


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_text_that_is_cut_becomes_utf_8_as_far_as_it_goes(encoding):
    text = '{"a": "' + "x" * 2 * MOST_BODY
    reply = await read_reply(httpx.Response(400, content=text.encode(encoding)))
    assert text.startswith(reply.body.decode("utf-8-sig"))
    assert len(reply.body) > MOST_BODY // 5


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"{\x00", b"\x00\x00\x00\x00", b"\xff\xfe\x00\xd8\x00\x00", b"\x01\x00\x02\x03"],
)
async def test_what_is_no_text_stays_as_it_is(body):
    assert (await read_reply(httpx.Response(400, content=body))).body == body


class Breaking(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b'{"code"'
        raise httpx.ReadError("gone")


@pytest.mark.parametrize("status", [302, 400, 401, 413, 429, 503])
async def test_half_a_refusal_is_a_refusal_still(status):
    reply = await read_reply(httpx.Response(status, stream=Breaking()))
    assert reply == Reply(status, {}, b'{"code"')


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_half_a_success_is_none(status):
    with pytest.raises(httpx.ReadError):
        await read_reply(httpx.Response(status, stream=Breaking()))
