"""The connections, against real sockets: each way in which a request can go wrong."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
import time

import anyio
import httpx
import pytest

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault, Withheld
from backfill.deliver.http.response_reader import MOST_BODY
from backfill.deliver.http.transport import Transport, header_lines
from tests.deliver.servers import SELF_SIGNED, Exchange, response, serving

pytestmark = pytest.mark.anyio

SECRET = "hunter2-credential"  # noqa: S105 - an invented one


@pytest.fixture
def anyio_backend():
    return "asyncio"


def request(url: str, content: bytes = b"{}") -> httpx.Request:
    return httpx.Request("POST", url, headers={"X-API-Key": SECRET}, content=content)


async def fault_of(url: str, *, timeout: float = 5.0, content: bytes = b"{}") -> TransportFault:
    transport = Transport(timeout=timeout)
    try:
        with pytest.raises(TransportFault) as raised:
            await transport.handle_async_request(request(url, content))
    finally:
        await transport.aclose()
    shown = [raised.value, raised.value.__cause__, raised.value.__context__]
    assert SECRET not in " ".join(repr(each) + str(each) for each in shown)
    return raised.value


# --- withheld ------------------------------------------------------------------------------


async def test_what_may_not_be_sent_any_more_once_the_connection_stands_is_withheld():
    """The last look is after connecting, which may take long, and right before the bytes."""
    asked: list[int] = []

    async def answer(exchange: Exchange) -> None:
        await exchange.answer()

    async with serving(answer) as server:
        transport = Transport(timeout=5)

        def may_send() -> bool:
            asked.append(len(server.exchanges))
            return len(asked) > 1

        sent = request(server.url)
        sent.extensions = {"may_send": may_send}
        with pytest.raises(Withheld):
            await transport.handle_async_request(sent)
        assert server.exchanges == []
        assert (await transport.handle_async_request(sent)).status_code == 200
        assert (len(server.exchanges), server.connections) == (1, 1)
        await transport.aclose()


# --- faults before the request -------------------------------------------------------------


async def test_a_refused_connection():
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        fault = await fault_of(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert fault.fault is Fault.REFUSED


async def test_an_unknown_host():
    fault = await fault_of("http://no-such-host.invalid/")
    assert fault.fault is Fault.UNRESOLVED
    assert fault.message


async def answer_ok(exchange: Exchange) -> None:
    await exchange.answer()


async def test_a_certificate_that_nobody_trusts():
    async with serving(answer_ok, tls=True) as server:
        fault = await fault_of(f"https://localhost:{server.port}/")
    assert fault.fault is Fault.TLS
    assert "self-signed certificate" in fault.message
    assert not server.exchanges


async def test_a_certificate_for_another_name():
    async with serving(answer_ok, tls=True) as server:
        transport = Transport(timeout=5, verify=ssl.create_default_context(cafile=SELF_SIGNED))
        with pytest.raises(TransportFault) as raised:
            await transport.handle_async_request(request(f"https://127.0.0.1:{server.port}/"))
        await transport.aclose()
    assert raised.value.fault is Fault.TLS
    assert "127.0.0.1" in raised.value.message
    assert not server.exchanges


async def test_a_trusted_certificate():
    async with serving(answer_ok, tls=True) as server:
        transport = Transport(timeout=5, verify=ssl.create_default_context(cafile=SELF_SIGNED))
        reply = await transport.handle_async_request(request(f"https://localhost:{server.port}/"))
        await transport.aclose()
    assert reply.status_code == 200


async def test_a_companys_own_authority_is_trusted_where_the_environment_names_it(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    async with serving(answer_ok, tls=True) as server:
        transport = Transport(timeout=5)
        reply = await transport.handle_async_request(request(f"https://localhost:{server.port}/"))
        await transport.aclose()
    assert reply.status_code == 200


async def test_a_server_that_speaks_no_tls():
    async def greeting(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await writer.drain()

    async with serving(answer_ok, greeting=greeting) as server:
        fault = await fault_of(f"https://localhost:{server.port}/")
    assert fault.fault is Fault.TLS


async def test_a_handshake_that_is_cut_off_reached_nobody():
    async def greeting(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(answer_ok, greeting=greeting) as server:
        fault = await fault_of(f"https://localhost:{server.port}/")
    assert fault.fault in (Fault.TLS, Fault.UNREACHABLE)


async def test_a_server_that_ends_the_handshake_is_told_as_one_that_does():
    async def greeting(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(answer_ok, greeting=greeting) as server:
        fault = await fault_of(f"https://localhost:{server.port}/")
    assert fault.fault is Fault.TLS


async def test_a_handshake_that_never_ends_is_a_connect_timeout():
    async def greeting(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with serving(answer_ok, greeting=greeting) as server:
        fault = await fault_of(f"https://localhost:{server.port}/", timeout=0.3)
    assert fault.fault is Fault.CONNECT_TIMEOUT


# --- faults after the request --------------------------------------------------------------


async def test_no_reply_in_time():
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async with serving(behave) as server:
        fault = await fault_of(server.url, timeout=0.3)
    assert fault.fault is Fault.TIMEOUT, "a wait to the end would be a lost connection"


_FROZEN_CLIENT = """
import asyncio, sys
import httpx
from backfill.deliver.http.transport import Transport, header_lines

async def main():
    transport = Transport(timeout=0.5)
    reply = await transport.handle_async_request(httpx.Request("POST", sys.argv[1], content=b"{}"))
    print(reply.status_code)
    await transport.aclose()

asyncio.run(main())
"""


async def test_a_reply_that_came_while_the_process_was_frozen_is_read_before_it_is_given_up():
    """As after Ctrl-Z and fg; the loop rings its timers before it reads then."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        asked.set()
        await answered.wait()
        await exchange.answer(201)

    async with serving(behave) as server:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _FROZEN_CLIENT, server.url, stdout=subprocess.PIPE
        )
        async with asyncio.timeout(30):
            await asked.wait()
            await asyncio.sleep(0.1)  # it waits by now
            client.send_signal(signal.SIGSTOP)
            answered.set()
            await asyncio.sleep(1.3)
            client.send_signal(signal.SIGCONT)
            said, _ = await client.communicate()
    assert said == b"201\n"


async def test_a_reply_that_drips_for_ever_is_a_timeout():
    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            exchange.writer.write(b"X-Drip: drop\r\n")
            await exchange.writer.drain()
            await asyncio.sleep(0.1)

    async with serving(behave) as server:
        fault = await fault_of(server.url, timeout=0.3)
    assert fault.fault is Fault.TIMEOUT


async def close(exchange: Exchange) -> None:
    exchange.writer.close()


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def saying(text: bytes, *, then_reset: bool = False):
    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(text)
        await exchange.writer.drain()
        if then_reset:
            await asyncio.sleep(0.05)
            exchange.reset()
        else:
            exchange.writer.close()

    return behave


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        pytest.param(close, Fault.DISCONNECTED, id="closed before the reply"),
        pytest.param(reset, Fault.DISCONNECTED, id="reset before the reply"),
        pytest.param(saying(b"HTTP/1.1 20"), Fault.DISCONNECTED, id="half a status line"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Le"), Fault.DISCONNECTED, id="half a head"
        ),
        pytest.param(
            saying(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"status":"success"}'),
            Fault.BROKEN_REPLY,
            id="half a body",
        ),
        pytest.param(
            saying(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{", then_reset=True),
            Fault.BROKEN_REPLY,
            id="half a body, then reset",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            Fault.BROKEN_REPLY,
            id="half a chunk",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
            Fault.BROKEN_REPLY,
            id="a chunk of no size",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
            Fault.BROKEN_REPLY,
            id="a length that is no number",
        ),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Fault.BROKEN_REPLY, id="no HTTP"),
        pytest.param(saying(bytes(range(256)) * 8), Fault.BROKEN_REPLY, id="garbage"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
            Fault.BROKEN_REPLY,
            id="an endless header",
        ),
    ],
)
async def test_a_broken_exchange_may_have_reached_the_server(behave, expected):
    async with serving(behave) as server:
        fault = await fault_of(server.url)
    assert fault.fault is expected
    assert fault.fault.reached
    assert len(server.exchanges) == 1  # and nobody sent it again


# --- replies -------------------------------------------------------------------------------


async def reply_of(url: str, content: bytes = b"{}") -> tuple[int, bytes, httpx.Headers]:
    transport = Transport(timeout=5)
    try:
        reply = await transport.handle_async_request(request(url, content))
        return reply.status_code, await reply.aread(), reply.headers
    finally:
        await transport.aclose()


async def test_a_reply_is_complete():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(201, b'{"ok":true}', "X-Odd: \xe9\r\nRetry-After: 7\r\n")

    async with serving(behave) as server:
        status, body, headers = await reply_of(server.url + "/some/path%2Fx", b"content")
    assert (status, body) == (201, b'{"ok":true}')
    assert headers["retry-after"] == "7"
    (exchange,) = server.exchanges
    assert exchange.head.startswith(b"POST /some/path%2Fx HTTP/1.1\r\n")
    assert SECRET.encode() in exchange.head
    assert exchange.body == b"content"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status):
    async with serving(answer_ok) as elsewhere:

        async def behave(exchange: Exchange) -> None:
            await exchange.answer(status, b"", f"Location: {elsewhere.url}/\r\n")

        async with serving(behave) as server:
            found, _, headers = await reply_of(server.url)
        assert found == status
        assert headers["location"] == f"{elsewhere.url}/"
        assert not elsewhere.exchanges


@pytest.mark.parametrize("status", [302, 400, 401, 413, 429, 503])
async def test_half_a_refusal_is_a_refusal_still(status):
    text = f"HTTP/1.1 {status} Words\r\nContent-Length: 99\r\n\r\n".encode() + b'{"code"'
    async with serving(saying(text)) as server:
        found, body, _ = await reply_of(server.url)
    assert (found, body) == (status, b'{"code"')


async def test_a_body_longer_than_it_says_is_cut_or_a_fault_and_never_believed_whole():
    text = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{"status":"success"}'
    async with serving(saying(text)) as server:
        transport = Transport(timeout=5)
        found: bytes | Fault
        try:
            reply = await transport.handle_async_request(request(server.url))
            found = await reply.aread()
        except TransportFault as error:
            found = error.fault
        await transport.aclose()
    # Which of the two depends on how the bytes come in.
    assert found in (b'{"st', Fault.BROKEN_REPLY)


async def test_a_body_without_a_length_ends_with_its_connection():
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n{}")) as server:
        assert (await reply_of(server.url))[:2] == (200, b"{}")


async def test_a_huge_body_is_cut_and_its_connection_not_used_again():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(502, b"x" * 5_000_000)

    async with serving(behave) as server:
        transport = Transport(timeout=5)
        for _ in range(2):
            reply = await transport.handle_async_request(request(server.url))
            assert len(await reply.aread()) == MOST_BODY
        await transport.aclose()
    assert server.connections == 2


async def test_a_reply_that_comes_while_the_body_is_still_being_sent():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(413, b'{"code":"too_large"}', "Connection: close\r\n")
        while await exchange.reader.read(65536):
            pass

    async with serving(behave) as server:
        status, body, _ = await reply_of(server.url, b"x" * 30_000_000)
    assert (status, body) == (413, b'{"code":"too_large"}')


async def test_cookies_are_not_kept():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(200, b"{}", "Set-Cookie: a=b; Path=/\r\n")

    async with serving(behave) as server:
        transport = Transport(timeout=5)
        for _ in range(2):
            await transport.handle_async_request(request(server.url))
        await transport.aclose()
    assert b"cookie" not in server.exchanges[1].head.lower()


async def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(answer_ok) as server:
        assert (await reply_of(server.url))[0] == 200


# --- idle connections ----------------------------------------------------------------------


async def test_the_most_recently_used_connection_goes_first():
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(0.05)
        await exchange.answer()

    async with serving(behave) as server:
        transport = Transport(timeout=5)

        async def send() -> None:
            await transport.handle_async_request(request(server.url))

        await asyncio.gather(*[send() for _ in range(5)])
        for _ in range(3):
            await send()
        await transport.aclose()
    assert server.connections == 5
    assert len({each.connection for each in server.exchanges[5:]}) == 1


async def test_a_connection_that_was_idle_too_long_is_not_used_again():
    async with serving(answer_ok) as server:
        transport = Transport(timeout=5)
        await transport.handle_async_request(request(server.url))
        await asyncio.sleep(1.1)
        await transport.handle_async_request(request(server.url))
        await transport.aclose()
    assert server.connections == 2


async def test_a_connection_whose_end_was_seen_is_not_used_again():
    async with serving(answer_ok, idle=0.05) as server:
        transport = Transport(timeout=5)
        for _ in range(5):
            await transport.handle_async_request(request(server.url))
            await asyncio.sleep(0.15)
        await transport.aclose()
    assert len(server.exchanges) == server.connections == 5


async def test_a_reply_that_nobody_asked_for_is_not_taken_for_the_next_one():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(200, b"{}")
        await asyncio.sleep(0.05)
        exchange.writer.write(response(408, b"idle"))
        await exchange.writer.drain()

    async with serving(behave) as server:
        transport = Transport(timeout=5)
        statuses = []
        for _ in range(3):
            reply = await transport.handle_async_request(request(server.url))
            statuses.append(reply.status_code)
            await asyncio.sleep(0.15)
        await transport.aclose()
    assert statuses == [200, 200, 200]
    assert server.connections == 3


async def test_connections_from_before_a_sleep_are_not_used_again(monkeypatch):
    async with serving(answer_ok) as server:
        transport = Transport(timeout=5)
        await transport.handle_async_request(request(server.url))
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + 3600)
        await transport.handle_async_request(request(server.url))
        await transport.aclose()
    assert server.connections == 2


async def test_a_header_that_holds_a_line_break_is_not_sent():
    async with serving(answer_ok) as server:
        transport = Transport(timeout=5)
        for value in ("a\r\nX-Other: b", "a\nb", "a\rb"):
            bad = httpx.Request("POST", server.url, headers={"X-API-Key": value}, content=b"")
            with pytest.raises(httpx.LocalProtocolError):
                await transport.handle_async_request(bad)
        await transport.aclose()
    assert not server.connections


async def test_interim_answers_are_passed_over():
    text = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with serving(saying(text + response(201, b'{"ok":true}'))) as server:
        assert (await reply_of(server.url))[:2] == (201, b'{"ok":true}')


async def test_a_request_that_is_given_up_leaves_no_connection_behind():
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        await exchange.answer()

    async with serving(behave) as server:
        transport = Transport(timeout=5)
        with anyio.move_on_after(0.1):
            await transport.handle_async_request(request(server.url))
        await transport.handle_async_request(request(server.url))
        await transport.aclose()
    assert server.connections == 2


def test_a_headers_name_is_ascii_and_its_value_need_not_be():
    assert header_lines([("X-Name", "Zoë")]) == "X-Name: Zoë\r\n".encode("latin-1")
    with pytest.raises(UnicodeEncodeError):
        header_lines([("X-Zoë", "name")])
