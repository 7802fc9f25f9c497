"""httpx's transport interface over connections of our own, the last used one first.

httpcore's pool costs time in proportion to its connections for every request, and a POST of ready
bytes needs little of what clients do. So asyncio brings the sockets and TLS, httptools the parser,
and the rest is a stack of connections.

That also draws the line that matters most: whatever goes wrong before `exchange` never reached the
server, and whatever goes wrong inside it may have.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Collection

import httpx
from aiohappyeyeballs import start_connection

from backfill.deliver.http.connection import Connection
from backfill.deliver.http.errors import Withheld, connecting_fault
from backfill.deliver.http.response_reader import RawReply

__all__ = ["IDLE_SECONDS", "LONGEST_CONNECT", "Transport", "header_lines", "request_head"]

IDLE_SECONDS = 1.0
"""How long an idle connection may still be used. Servers close theirs after 2 seconds or more,
and a request that meets such a closing is lost without a word."""

LONGEST_CONNECT = 10.0
"""Seconds for which a connection is waited for, however long the timeout of a request is."""

_NEXT_ADDRESS = 0.25  # seconds after which another address of a name is tried as well (RFC 8305)


class Transport(httpx.AsyncBaseTransport):
    """Sends a request and returns its reply with the body, which is in memory and bounded.

    `timeout` is in seconds: for connecting, at most 10 of them, and then again from the first
    byte of the request to the last of the reply. Redirects are answers like any other, TLS is
    verified, and nothing is taken from the environment but what OpenSSL itself reads, such as
    SSL_CERT_FILE. Raises TransportFault whenever no reply came; what counts as one
    `Connection.begin` says. The extension `may_send` of a request is asked once the connection
    stands, right before the bytes are written; where it says no, Withheld is raised.

    For asyncio and loops of its kind, one at a time.
    """

    def __init__(self, *, timeout: float, verify: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._verify = verify
        self._stacks: dict[tuple[str, str, int], list[Connection]] = {}
        self._last: tuple[httpx.URL, list[Connection]] | None = None
        self._clocks = 0.0
        self._sweep: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = request.stream
        body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
        headers = [
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in request.headers.raw
        ]
        head = request_head(request.method, request.url, headers)
        may_send = request.extensions.get("may_send")
        raw = await self.exchange(request.url, head + b"\r\n" + body, may_send)
        return httpx.Response(raw.status, headers=[*raw.headers], stream=httpx.ByteStream(raw.body))

    async def exchange(
        self, url: httpx.URL, data: bytes, may_send: Callable[[], bool] | None = None
    ) -> RawReply:
        """Send a request that is in bytes already, and return its reply as it came.

        Raises Withheld where `may_send` says no once the connection stands.
        """
        stack = self._stack(url)
        connection = self._take(stack) or await self._connect(url)
        if may_send is not None and not may_send():
            self._keep(connection, stack)
            raise Withheld
        try:
            return await connection.begin(data, self._timeout)
        finally:
            connection.end()
            self._keep(connection, stack)

    async def aclose(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._drop_idle()
        await asyncio.sleep(0)  # the loop lets go of the sockets

    # --- idle connections ------------------------------------------------------------------

    def _stack(self, url: httpx.URL) -> list[Connection]:
        # A run has one address, and httpx hands the same object along.
        if self._last is None or self._last[0] is not url:
            address = (url.scheme, url.host, _port(url))
            self._last = (url, self._stacks.setdefault(address, []))
        return self._last[1]

    def _take(self, stack: list[Connection]) -> Connection | None:
        now = time.monotonic()
        # The monotonic clock stands still while a laptop sleeps, and what is idle then seems
        # fresh. Where the two clocks drift apart, idle connections are not trusted.
        clocks = time.time() - now
        if abs(clocks - self._clocks) > IDLE_SECONDS / 2:
            self._clocks = clocks
            self._drop_idle()
        while stack:
            connection = stack.pop()
            if connection.sound and now - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection, stack: list[Connection]) -> None:
        """Have the next request use a connection, if it is still good for one."""
        if connection.sound:
            connection.idle_since = time.monotonic()
            stack.append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go)

    def _let_go(self) -> None:
        """Close what was idle for too long, and look again while anything is idle."""
        oldest = time.monotonic() - IDLE_SECONDS
        self._sweep = None
        for stack in self._stacks.values():
            for connection in stack:
                if connection.idle_since <= oldest:
                    connection.close()
            stack[:] = [connection for connection in stack if connection.sound]
            if stack and self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go)

    def _drop_idle(self) -> None:
        for stack in self._stacks.values():
            for connection in stack:
                connection.close()
            stack.clear()

    # --- new connections -------------------------------------------------------------------

    async def _connect(self, url: httpx.URL) -> Connection:
        """Open a connection, or raise the TransportFault that says why there is none."""
        try:
            async with asyncio.timeout(min(self._timeout, LONGEST_CONNECT)):
                return await self._open(url)
        except (OSError, UnicodeError, RuntimeError) as error:
            fault = connecting_fault(error)
        # Out here it has no cause, which could hold more of the request than anybody should see.
        raise fault

    async def _open(self, url: httpx.URL) -> Connection:
        loop = asyncio.get_running_loop()
        host = url.raw_host.decode("ascii")
        addresses = await loop.getaddrinfo(host, _port(url), type=socket.SOCK_STREAM)
        # Not the loop's own way, since uvloop's tries one address after the other.
        sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        context = self._context() if url.scheme == "https" else None
        try:
            _, connection = await loop.create_connection(
                Connection, sock=sock, ssl=context, server_hostname=host if context else None
            )
        except BaseException as error:
            sock.close()
            if context is not None and isinstance(error, ConnectionError):
                reason = error.strerror or "the server closed the connection"
                raise ssl.SSLError(error.errno or 0, reason) from None
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._verify is None:
            self._verify = ssl.create_default_context()
        return self._verify


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def request_head(method: str, url: httpx.URL, headers: Collection[tuple[str, str]]) -> bytes:
    """The request line and headers, without the empty line after them."""
    return b"%b %b HTTP/1.1\r\n%b" % (method.encode("ascii"), url.raw_path, header_lines(headers))


def header_lines(headers: Collection[tuple[str, str]]) -> bytes:
    """Headers as they are sent. Raises LocalProtocolError where one would become two, and
    UnicodeEncodeError for a name that is not ASCII.
    """
    lines = "".join([f"{name}: {text}\r\n" for name, text in headers])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise httpx.LocalProtocolError("a header holds a line break")
    if not lines.isascii():
        for name, _ in headers:
            name.encode("ascii")
    return lines.encode("latin-1")
