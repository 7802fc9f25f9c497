"""Through a proxy, over real sockets: its own words are never taken for the server's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import httpx
import pytest

from backfill.core.errors import ConfigError
from backfill.core.model import Fault, State, StopKind
from backfill.deliver.http.errors import TransportFault, Withheld
from backfill.deliver.http.proxies import ProxiedTransport, proxy_for, transport_for
from backfill.deliver.http.response_reader import MOST_BODY
from backfill.deliver.http.transport import Transport
from tests.conversations import conversing
from tests.deliver.servers import SELF_SIGNED, Exchange, Server, serving

SECRET = "hunter2-credential"  # noqa: S105 - an invented one
PASSWORD = "swordfish"  # noqa: S105 - an invented one


@pytest.fixture
def anyio_backend():
    return "asyncio"


# --- a proxy -------------------------------------------------------------------------------


@dataclass
class Proxy:
    """Opens tunnels to whatever is asked for, or says `instead`; keeps what it was told."""

    instead: bytes | None = None
    then: str = "tunnel"  # or "close", or "hang"
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)

    @property
    def url(self) -> str:
        return f"http://me:{PASSWORD}@127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.instead is not None:
            writer.write(self.instead)
            await writer.drain()
        if self.then == "close":
            return
        if self.then == "hang":
            await asyncio.sleep(30)
        host, _, port = head.split()[1].decode().rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer))
        finally:
            there_writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            self.passed += data
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxying(proxy: Proxy) -> AsyncIterator[Proxy]:
    async with conversing(proxy.serve) as proxy.port:
        yield proxy


@contextlib.asynccontextmanager
async def through(proxy: Proxy, *, timeout: float = 5.0) -> AsyncIterator[ProxiedTransport]:
    context = ssl.create_default_context(cafile=SELF_SIGNED)
    transport = ProxiedTransport(httpx.Proxy(proxy.url), timeout=timeout, verify=context)
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(transport: httpx.AsyncBaseTransport, server: Server) -> tuple[int, bytes]:
    request = httpx.Request(
        "POST", f"https://localhost:{server.port}/", headers={"X-API-Key": SECRET}, content=b"{}"
    )
    reply = await transport.handle_async_request(request)
    return reply.status_code, await reply.aread()


async def fault_through(proxy: Proxy, server: Server, *, timeout: float = 5.0) -> TransportFault:
    async with through(proxy, timeout=timeout) as transport:
        with pytest.raises(TransportFault) as raised:
            await ask(transport, server)
    shown = [raised.value, raised.value.__cause__, raised.value.__context__]
    text = " ".join(repr(each) + str(each) for each in shown)
    assert SECRET not in text
    assert PASSWORD not in text
    return raised.value


async def answer_ok(exchange: Exchange) -> None:
    await exchange.answer()


# --- requests through it -------------------------------------------------------------------


@pytest.mark.anyio
async def test_requests_go_through_one_tunnel_that_nobody_sees_into():
    async with (
        serving(answer_ok, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        for _ in range(3):
            assert await ask(transport, server) == (200, b"{}")
    assert len(proxy.heads) == server.connections == 1
    assert proxy.heads[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % server.port)
    assert base64.b64encode(f"me:{PASSWORD}".encode()) in proxy.heads[0]
    assert SECRET.encode() not in bytes(proxy.passed) + proxy.heads[0]
    assert SECRET.encode() in server.exchanges[2].head
    assert b"proxy-authorization" not in server.exchanges[0].head.lower()


@pytest.mark.anyio
async def test_each_request_in_flight_has_a_tunnel_and_the_last_used_goes_first():
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(0.05)
        await exchange.answer()

    async with (
        serving(behave, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        await asyncio.gather(*[ask(transport, server) for _ in range(4)])
        for _ in range(2):
            await ask(transport, server)
    assert len(proxy.heads) == 4
    assert len({each.connection for each in server.exchanges[4:]}) == 1


@pytest.mark.anyio
async def test_a_companys_own_authority_is_trusted_where_the_environment_names_it(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    async with serving(answer_ok, tls=True) as server, proxying(Proxy()) as proxy:
        transport = ProxiedTransport(httpx.Proxy(proxy.url), timeout=5)
        assert await ask(transport, server) == (200, b"{}")
        await transport.aclose()


@pytest.mark.anyio
async def test_a_tunnel_that_was_idle_too_long_is_not_used_again():
    async with (
        serving(answer_ok, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        await ask(transport, server)
        await asyncio.sleep(1.1)
        await ask(transport, server)
    assert server.connections == 2


@pytest.mark.anyio
@pytest.mark.parametrize("status", [302, 429, 503])
async def test_a_refusal_of_the_server_stands_whatever_becomes_of_its_body(status):
    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(
            b"HTTP/1.1 %d Words\r\nRetry-After: 7\r\nContent-Length: 99\r\n\r\nhalf" % status
        )
        exchange.writer.close()

    async with (
        serving(behave, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        assert await ask(transport, server) == (status, b"half")


@pytest.mark.anyio
async def test_a_429_that_drips_is_a_429():
    async def behave(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 429 Words\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not exchange.writer.is_closing():
            exchange.writer.write(b"1\r\nx\r\n")
            await exchange.writer.drain()
            await asyncio.sleep(0.05)

    async with (
        serving(behave, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy, timeout=0.7) as transport,
    ):
        status, body = await ask(transport, server)
    assert status == 429
    assert set(body) == {ord("x")}


@pytest.mark.anyio
async def test_a_huge_body_is_cut():
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(502, b"x" * 5_000_000)

    async with (
        serving(behave, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        for _ in range(2):
            assert len((await ask(transport, server))[1]) == MOST_BODY
    assert server.connections == 2


# --- what never left -----------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("instead", "then", "fault", "message"),
    [
        (b"HTTP/1.1 407 swordfish\r\nContent-Length: 0\r\n\r\n", "close", Fault.PROXY, "407"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad", "close", Fault.PROXY, "502"),
        (b"HTTP/1.1 503 Bad\r\nRetry-After: 9\r\n\r\n", "close", Fault.PROXY, "503"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "close", Fault.PROXY, "401"),
        (
            b"HTTP/1.1 302 No\r\nLocation: https://x.example.com/\r\n\r\n",
            "close",
            Fault.PROXY,
            "302",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "close", Fault.PROXY, ""),
        (b"HTTP/1.1 2", "close", Fault.PROXY, ""),
        (b"", "close", Fault.PROXY, ""),
        (b"", "hang", Fault.CONNECT_TIMEOUT, ""),
        (b"HTTP/1.1 200 OK\r\n\r\n", "hang", Fault.CONNECT_TIMEOUT, ""),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_leaves_the_request_unsent(
    instead, then, fault, message
):
    async with serving(answer_ok, tls=True) as server, proxying(Proxy(instead, then)) as proxy:
        found = await fault_through(proxy, server, timeout=0.7)
    assert found.fault is fault
    assert not found.fault.reached
    assert message in found.message
    assert not server.exchanges
    assert SECRET.encode() not in b"".join(proxy.heads)


@pytest.mark.anyio
async def test_a_tunnel_that_ends_in_the_handshake_leaves_the_request_unsent():
    async with (
        serving(answer_ok, tls=True) as server,
        proxying(Proxy(b"HTTP/1.1 200 OK\r\n\r\n", "close")) as proxy,
    ):
        found = await fault_through(proxy, server)
    assert not found.fault.reached
    assert not server.exchanges


@pytest.mark.anyio
async def test_what_may_not_be_sent_any_more_once_the_tunnel_stands_is_withheld():
    async with (
        serving(answer_ok, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy) as transport,
    ):
        sent = httpx.Request("POST", f"https://localhost:{server.port}/", content=b"{}")
        sent.extensions = {"may_send": lambda: False}
        with pytest.raises(Withheld):
            await transport.handle_async_request(sent)
        assert len(proxy.heads) == 1, "the tunnel stood"
        assert not server.exchanges


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there_leaves_the_request_unsent():
    async with serving(answer_ok, tls=True) as server:
        with socket.socket() as taken:  # bound, and not listening
            taken.bind(("127.0.0.1", 0))
            found = await fault_through(Proxy(port=taken.getsockname()[1]), server)
    assert found.fault is Fault.REFUSED
    assert not server.exchanges


@pytest.mark.anyio
async def test_the_servers_certificate_is_verified_through_a_tunnel():
    async with serving(answer_ok, tls=True) as server, proxying(Proxy()) as proxy:
        transport = ProxiedTransport(httpx.Proxy(proxy.url), timeout=5)
        with pytest.raises(TransportFault) as raised:
            await ask(transport, server)
        await transport.aclose()
    assert raised.value.fault is Fault.TLS
    assert "self-signed certificate" in raised.value.message
    assert not server.exchanges


# --- what may have arrived -----------------------------------------------------------------


async def hang(exchange: Exchange) -> None:
    await asyncio.sleep(30)


async def close(exchange: Exchange) -> None:
    exchange.writer.close()


async def half(exchange: Exchange) -> None:
    exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    exchange.writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("behave", [hang, close, half])
@pytest.mark.parametrize("before", [0, 1])
async def test_what_goes_wrong_once_it_was_sent_is_ambiguous(behave, before):
    """Also in a tunnel that stood before."""

    async def later(exchange: Exchange) -> None:
        await (behave if len(server.exchanges) > before else answer_ok)(exchange)

    async with (
        serving(later, tls=True) as server,
        proxying(Proxy()) as proxy,
        through(proxy, timeout=0.7) as transport,
    ):
        for _ in range(before):
            await ask(transport, server)
        with pytest.raises(TransportFault) as raised:
            await ask(transport, server)
    assert raised.value.fault.reached
    assert len(server.exchanges) == before + 1


# --- which proxy ---------------------------------------------------------------------------

PROXY = "http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "https://api.example.com", None),
        ({"HTTPS_PROXY": PROXY}, "https://api.example.com", PROXY),
        ({"https_proxy": PROXY}, "https://api.example.com/path", PROXY),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, "https://api.example.com", PROXY),
        ({"ALL_PROXY": PROXY}, "https://api.example.com", PROXY),
        ({"HTTP_PROXY": PROXY}, "https://api.example.com", None),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other"}, "https://api.example.com", PROXY),
        ({"ALL_PROXY": PROXY}, "http://127.0.0.1:8080", None),
        ({"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}, "http://localhost:8080", None),
        ({"HTTPS_PROXY": PROXY}, "https://[::1]:8080", None),
    ],
)
def test_the_environment_names_the_proxy_and_never_one_for_this_machine(
    monkeypatch, environment, url, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == expected


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [
        ("*", "https://api.example.com", True),
        ("api.example.com", "https://api.example.com", True),
        ("example.com", "https://api.example.com", True),
        (".example.com", "https://api.example.com", True),
        (".example.com", "https://example.com", False),
        ("*.example.com", "https://api.example.com", True),
        ("ample.com", "https://example.com", False),
        ("x.org, Example.COM ,", "https://api.example.com", True),
        ("example.org", "https://api.example.com", False),
        ("api.example.com:443", "https://api.example.com", True),
        ("api.example.com:8443", "https://api.example.com", False),
        ("api.example.com:8443", "https://api.example.com:8443", True),
        ("https://api.example.com", "https://api.example.com", True),
        ("http://api.example.com", "https://api.example.com", False),
        ("https://example.com", "https://api.example.com", False),
        ("192.0.2.7", "https://192.0.2.7", True),
        ("192.0.2.7", "https://192.0.2.77", False),
        ("2001:db8::7", "https://[2001:db8::7]", True),
        ("[2001:db8::7]", "https://[2001:db8::7]", True),
        ("[2001:db8::7]:443", "https://[2001:db8::7]", True),
        (",", "https://api.example.com", False),
    ],
)
def test_no_proxy_lists_those_without_one(monkeypatch, exceptions, url, direct):
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (proxy_for(url) is None) is direct


@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://proxy.example.com",
        "http://:3128",
        f"http://a:{PASSWORD}@b:99999",
        "http://b:0",
        "http://b:-1",
        f"gopher://a:{PASSWORD}@b",
    ],
)
def test_a_proxy_of_an_unknown_kind_is_refused_without_quoting_it(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError) as raised:
        transport_for("https://api.example.com", timeout=5)
    assert raised.value.where == "HTTPS_PROXY"
    assert PASSWORD not in str(raised.value) + str(raised.value.hint)


def test_without_a_proxy_connections_are_our_own(monkeypatch):
    assert isinstance(transport_for("https://api.example.com", timeout=5), Transport)
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert isinstance(transport_for("http://127.0.0.1:80", timeout=5), Transport)
    assert isinstance(transport_for("https://api.example.com", timeout=5), ProxiedTransport)


def test_a_run_behind_a_proxy_that_refuses_leaves_all_pending(job, monkeypatch):
    each = job(lanes=[[10] * 4])

    async def go():
        refusing = Proxy(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n", "close")
        async with proxying(refusing) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            return await each.run(None, base_url="https://api.example.com", patience=0.2)

    stop = anyio.run(go)
    assert stop.kind is StopKind.UNAVAILABLE
    assert "the proxy opened no tunnel: it answered 407" in stop.message
    assert PASSWORD not in stop.message
    assert not each.outcomes()
    assert not each.numbers(State.UNKNOWN)
