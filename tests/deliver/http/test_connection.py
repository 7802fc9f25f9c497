"""Keep-alive of HTTP/1.1 over real sockets: whose reply is it, and is the connection still good?"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import ssl
import struct
from collections.abc import Callable

import httpx
import pytest

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault
from backfill.deliver.http.response_reader import MOST_BODY
from backfill.deliver.http.transport import Transport
from tests.deliver.servers import SELF_SIGNED, Behaviour, Exchange, response, serving

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(
            ("asyncio", {"use_uvloop": True}),
            id="uvloop",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("uvloop") is None, reason="uvloop is an extra"
            ),
        ),
    ]
)
def anyio_backend(request):
    return request.param


@pytest.fixture
async def transport():
    transport = Transport(timeout=5, verify=ssl.create_default_context(cafile=SELF_SIGNED))
    yield transport
    await transport.aclose()


async def ask(transport: Transport, url: str, content: bytes = b"{}") -> tuple[int, bytes]:
    request = httpx.Request("POST", url, content=content)
    reply = await transport.handle_async_request(request)
    return reply.status_code, await reply.aread()


def first(*texts: bytes, piece: int = 0, end: str = "") -> Callable[[], Behaviour]:
    """Servers that answer their first request with these texts, and the others with `later`.

    After each text one rests a moment, with `piece` after so many bytes. At the `end` it may
    "close", "reset", or "half-close": say no more and go on listening.
    """

    def make() -> Behaviour:
        begun: list[Exchange] = []

        async def behave(exchange: Exchange) -> None:
            begun.append(exchange)
            if len(begun) > 1:
                await exchange.answer(200, b"later")
                return
            for text in texts:
                step = piece or len(text)
                for start in range(0, len(text), step):
                    exchange.writer.write(text[start : start + step])
                    await exchange.writer.drain()
                    await asyncio.sleep(0 if piece else 0.02)
            match end:
                case "half-close" if exchange.writer.can_write_eof():
                    exchange.writer.write_eof()
                case "close" | "half-close":
                    exchange.writer.close()
                case "reset":
                    sock = exchange.writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    exchange.writer.transport.abort()

        return behave

    return make


KEPT = [
    pytest.param(first(HELLO), id="a length"),
    pytest.param(first(HELLO, piece=1), id="byte by byte"),
    pytest.param(first(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"), id="one chunk"),
    pytest.param(first(CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", piece=1), id="chunks"),
    pytest.param(
        first(CHUNKED + b"5\r\nhello\r\n0\r\nRetry-After: 9\r\nX: y\r\n\r\n"), id="trailers"
    ),
    pytest.param(
        first(OK + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), id="loud chunks"
    ),
    pytest.param(
        first(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
        id="HTTP/1.0 that is kept",
    ),
    pytest.param(first(b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO), id="100 at once"),
    pytest.param(first(b"HTTP/1.1 100 Continue\r\n\r\n", HELLO), id="100 before"),
    pytest.param(
        first(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" * 3, HELLO), id="three hints"
    ),
    pytest.param(first(b"HTTP/1.1 102 Processing\r\n\r\n" + HELLO, piece=1), id="102 in pieces"),
]


@pytest.mark.parametrize("server_of", KEPT)
async def test_a_whole_reply_leaves_its_connection_to_the_next(transport, server_of):
    async with serving(server_of()) as server:
        reply = await transport.handle_async_request(httpx.Request("POST", server.url, content=b""))
        assert (reply.status_code, await reply.aread()) == (200, b"hello")
        assert "retry-after" not in reply.headers, "of another reply, or of a trailer"
        assert await ask(transport, server.url) == (200, b"later")
    assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_none_whatever_it_says(transport, status):
    text = b"HTTP/1.1 %d Words\r\nContent-Length: 99\r\n\r\n" % status
    async with serving(first(text)()) as server:
        assert await ask(transport, server.url) == (status, b"")
        assert await ask(transport, server.url) == (200, b"later")
    assert server.connections == 1


NOT_KEPT = [
    pytest.param(first(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"), id="close"),
    pytest.param(
        first(OK + b"Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello"), id="close in a list"
    ),
    pytest.param(first(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), id="HTTP/1.0"),
    pytest.param(first(b"HTTP/1.0 200 OK\r\n\r\nhello", end="close"), id="HTTP/1.0 to its end"),
    pytest.param(first(OK + b"\r\nhel", b"lo", end="close"), id="until the end"),
    pytest.param(first(OK + b"\r\nhello", end="half-close"), id="until half the end"),
    pytest.param(first(HELLO + b"x"), id="a byte more at once"),
    pytest.param(first(HELLO, b"x"), id="a byte more"),
    pytest.param(first(HELLO + HELLO), id="two replies at once"),
    pytest.param(first(HELLO + b"HTTP/1.1 40"), id="one and a half"),
    pytest.param(first(HELLO, response(408, b"idle")), id="a stray 408"),
    pytest.param(first(HELLO, response(408, b"idle"), end="close"), id="a stray 408 and the end"),
    pytest.param(first(HELLO, end="close"), id="closed"),
    pytest.param(first(HELLO, end="half-close"), id="half-closed"),
    pytest.param(first(HELLO, end="reset"), id="reset"),
]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("server_of", NOT_KEPT)
async def test_after_this_reply_a_new_connection_is_made(transport, server_of, tls):
    async with serving(server_of(), tls=tls) as server:
        url = f"https://localhost:{server.port}/" if tls else server.url
        assert await ask(transport, url) == (200, b"hello")
        await asyncio.sleep(0.1)  # for what comes after the reply
        assert await ask(transport, url) == (200, b"later")
    assert server.connections == 2
    assert len(server.exchanges) == 2, "nothing was sent twice"


BROKEN = [
    pytest.param(first(end="close"), Fault.DISCONNECTED, id="closed"),
    pytest.param(first(end="half-close"), Fault.DISCONNECTED, id="half-closed"),
    pytest.param(first(end="reset"), Fault.DISCONNECTED, id="reset"),
    pytest.param(first(OK + b"X: ", end="reset"), Fault.DISCONNECTED, id="reset in the head"),
    pytest.param(
        first(b"HTTP/1.1 100 Continue\r\n\r\n", end="close"), Fault.DISCONNECTED, id="100 alone"
    ),
    pytest.param(first(HELLO[:-1], end="close"), Fault.BROKEN_REPLY, id="too short"),
    pytest.param(first(HELLO[:-1], end="half-close"), Fault.BROKEN_REPLY, id="too short, half"),
    pytest.param(first(HELLO[:-1], end="reset"), Fault.BROKEN_REPLY, id="too short, reset"),
    pytest.param(
        first(CHUNKED + b"5\r\nhello\r\n", end="close"), Fault.BROKEN_REPLY, id="no last chunk"
    ),
    pytest.param(
        first(CHUNKED + b"5\r\nhello\r\n0\r\n", end="close"), Fault.BROKEN_REPLY, id="no last line"
    ),
    pytest.param(first(CHUNKED + b"5\r\nhello!\r\n"), Fault.BROKEN_REPLY, id="a chunk too long"),
    pytest.param(
        first(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        Fault.BROKEN_REPLY,
        id="two lengths",
    ),
    pytest.param(
        first(
            OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
        Fault.BROKEN_REPLY,
        id="a length and chunks",
    ),
    pytest.param(first(OK + b"Content-Length: -5\r\n\r\n"), Fault.BROKEN_REPLY, id="below nothing"),
    pytest.param(
        first(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        Fault.BROKEN_REPLY,
        id="another protocol",
    ),
    pytest.param(first(b"HTTP/7.3 200 OK\r\n\r\n", end="close"), Fault.BROKEN_REPLY, id="HTTP/7.3"),
    pytest.param(
        first((b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 600 + b"\r\n\r\n") * 500),
        Fault.BROKEN_REPLY,
        id="endless hints",
    ),
    pytest.param(
        first(CHUNKED + b"1;" + b"x" * 2_000_000), Fault.BROKEN_REPLY, id="an endless chunk's name"
    ),
    pytest.param(
        first(CHUNKED + b"0\r\n" + b"X: y\r\n" * 300_000), Fault.BROKEN_REPLY, id="endless trailers"
    ),
]


@pytest.mark.parametrize(("server_of", "fault"), BROKEN)
async def test_a_broken_reply_is_a_fault_and_its_connection_is_gone(transport, server_of, fault):
    async with serving(server_of()) as server:
        with pytest.raises(TransportFault) as raised:
            await ask(transport, server.url)
        assert raised.value.fault is fault
        assert await ask(transport, server.url) == (200, b"later")
    assert server.connections == 2


# --- where the status alone decides --------------------------------------------------------


@pytest.mark.parametrize("status", [302, 400, 429, 503])
@pytest.mark.parametrize("how", ["drips", "breaks off", "is too large", "is no body"])
async def test_a_refusal_stands_whatever_becomes_of_its_body(status, how):
    """A 429 is a 429, and its Retry-After counts, whether or not its body ever ends."""
    head = b"HTTP/1.1 %d Words\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n" % status

    async def behave(exchange: Exchange) -> None:
        if exchange.connection:
            await exchange.answer(200, b"later")
            return
        exchange.writer.write(head)
        match how:
            case "drips":
                while not exchange.writer.is_closing():
                    exchange.writer.write(b"1\r\nx\r\n")
                    await exchange.writer.drain()
                    await asyncio.sleep(0.05)
            case "breaks off":
                exchange.writer.write(b"5\r\nhe")
                exchange.writer.close()
            case "is too large":
                exchange.writer.write(b"100000\r\n" + b"x" * 0x100000)
            case "is no body":
                exchange.writer.write(b"zz\r\n")

    async with serving(behave) as server:
        transport = Transport(timeout=0.7)
        reply = await transport.handle_async_request(httpx.Request("POST", server.url))
        assert reply.status_code == status
        assert reply.headers["retry-after"] == "7"
        assert len(await reply.aread()) <= MOST_BODY
        assert await ask(transport, server.url) == (200, b"later")
        await transport.aclose()
    assert server.connections == 2


async def test_a_success_that_drips_is_a_timeout():
    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(CHUNKED)
        while not exchange.writer.is_closing():
            exchange.writer.write(b"1\r\n{\r\n")
            await exchange.writer.drain()
            await asyncio.sleep(0.05)

    async with serving(behave) as server:
        transport = Transport(timeout=0.7)
        with pytest.raises(TransportFault) as raised:
            await ask(transport, server.url)
        await transport.aclose()
    assert raised.value.fault is Fault.TIMEOUT


# --- replies that come early ---------------------------------------------------------------


@pytest.mark.parametrize("then", ["stay", "close", "read"])
async def test_a_reply_before_the_body_was_read_ends_the_connection(transport, then):
    large = b"x" * 20_000_000

    async def behave(exchange: Exchange) -> None:
        if exchange.connection:
            await exchange.answer(200, b"later")
            return
        await exchange.answer(413, b"large")
        if then == "read":
            while await exchange.reader.read(1 << 16):
                pass
        elif then == "close":
            exchange.writer.close()
        else:
            await exchange.reader.read(1)
            await asyncio.sleep(0.2)

    async with serving(behave) as server:
        assert await ask(transport, server.url, large) == (413, b"large")
        assert await ask(transport, server.url) == (200, b"later")
    assert server.connections == 2


async def test_replies_go_to_those_who_asked(transport):
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(len(exchange.body) % 7 / 500)
        await exchange.answer(200, exchange.body)

    async def work(number: int) -> None:
        for turn in range(20):
            body = f"{number}/{turn}".encode() * (1 + number * turn % 50)
            assert await ask(transport, server.url, body) == (200, body)

    async with serving(behave) as server:
        await asyncio.gather(*map(work, range(20)))
    assert server.connections <= 20


async def test_idle_connections_are_let_go_though_nobody_asks_again(transport):
    ended: list[int] = []
    all_ended = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await exchange.answer()
        assert not await exchange.reader.read(1)
        ended.append(exchange.connection)
        if len(ended) == 3:
            all_ended.set()

    async with serving(behave) as server:
        await asyncio.gather(*[ask(transport, server.url) for _ in range(3)])
        await asyncio.wait_for(all_ended.wait(), 5)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_a_host_by_its_name_and_its_numbers(transport, host):
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    listener = await asyncio.start_server(_hello, "::1" if host == "[::1]" else "127.0.0.1", 0)
    assert listener.sockets[0].family == family
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        assert await ask(transport, f"http://{host}:{port}/") == (200, b"hello")


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"{}")
    writer.write(HELLO)
    writer.close()


async def test_a_loop_that_ends_leaves_no_socket_behind(transport):
    """Warnings are errors, so an open socket would be one."""
    async with serving(first(HELLO)()) as server:
        await ask(transport, server.url)
