"""The connections: httpx's transport interface carried by aiohttp. No other file knows aiohttp.

httpcore's pool costs time in proportion to its connections for every request, and half of what
aiohttp's own client spends goes into features that a POST of ready bytes has no use for. So
aiohttp brings its connector (names, TLS, the pool) and its parser, and the bytes are ours.

That also draws the line that matters most: whatever goes wrong before `_exchange` never reached
the server, and whatever goes wrong inside it may have.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from typing import TYPE_CHECKING, cast

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["IDLE_SECONDS", "MOST_BODY", "Transport"]

IDLE_SECONDS = 1.0
"""How long an idle connection may still be used. Servers close theirs after 2 seconds or more,
and a request that meets such a closing is lost without a word."""

MOST_BODY = 64 * 1024
"""Bytes of a reply's body that are kept. A longer one is cut off and its connection closed."""

_LONGEST_CONNECT = 10.0  # seconds


class Transport(httpx.AsyncBaseTransport):
    """Sends a request and returns its reply, the body read and cut at `MOST_BODY` bytes.

    `timeout` is in seconds: for connecting, at most 10 of them, and then again from the first
    byte of the request to the last of the reply. Redirects are answers like any other, TLS is
    verified, and nothing is taken from the environment but what OpenSSL itself reads. Raises
    TransportFault whenever no reply came.

    A broken body leaves a reply of 300 and above standing, because its status alone decides; a
    broken success is a fault, because its body decides.
    """

    def __init__(self, *, timeout: float, verify: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._connecting = aiohttp.ClientTimeout(connect=min(timeout, _LONGEST_CONNECT))
        self._verify = verify
        self._connector: _Connector | None = None
        self._to: tuple[httpx.URL, aiohttp.ClientRequest] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = request.stream
        body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
        data = _head(request) + body
        connector = self._connector or self._open()
        try:
            connection = await connector.connect(
                self._addressee(request.url), traces=[], timeout=self._connecting
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            fault = _connecting_fault(error)
        else:
            try:
                async with asyncio.timeout(self._timeout):
                    return await _exchange(connection, data)
            except (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError) as error:
                fault = _fault(error)
            finally:
                connection.close()  # unless it was released
        # Out here it has no cause, which could hold more of the request than anybody should see.
        raise fault

    async def aclose(self) -> None:
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()

    def _open(self) -> _Connector:
        # Made late, because aiohttp ties it to the running event loop.
        self._connector = _Connector(
            limit=0,  # the number of lanes bounds it
            keepalive_timeout=IDLE_SECONDS,
            ssl=self._verify or True,
        )
        return self._connector

    def _addressee(self, url: httpx.URL) -> aiohttp.ClientRequest:
        """What the connector needs to know of a request: where to."""
        # A run has one address, and httpx hands the same object along.
        if self._to is None or self._to[0] is not url:
            self._to = (url, aiohttp.ClientRequest("POST", URL(str(url), encoded=True)))
        return self._to[1]


def _head(request: httpx.Request) -> bytes:
    """The request line and headers. Raises LocalProtocolError where one would become two."""
    headers = request.headers.raw
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
        request.method.encode("ascii"),
        request.url.raw_path,
        b"".join([b"%b: %b\r\n" % header for header in headers]),
    )
    if head.count(b"\n") != len(headers) + 2 or head.count(b"\r") != len(headers) + 2:
        raise httpx.LocalProtocolError("a header holds a line break")
    return head


async def _exchange(connection: Connection, data: bytes) -> httpx.Response:
    """Write a request and read its reply, and leave the connection to the pool if it is sound."""
    protocol = cast("ResponseHandler", connection.protocol)
    transport = protocol.transport
    if transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    transport.write(data)
    message, content = await protocol.read()
    while 100 <= message.code < 200:  # interim answers, such as 103 Early Hints
        message, content = await protocol.read()
    body = b""
    try:
        while len(body) < MOST_BODY and (chunk := await content.readany()):
            body = body + chunk if body else chunk
    except (aiohttp.ClientError, OSError):
        if message.code < 300:
            raise
    if content.at_eof() and not transport.get_write_buffer_size():
        connection.release()
    return httpx.Response(
        message.code,
        headers=list(message.raw_headers),
        stream=httpx.ByteStream(body[:MOST_BODY]),
    )


class _Connector(aiohttp.TCPConnector):
    """A pool that reuses the most recently used connection first and distrusts idle ones.

    aiohttp's own takes the one that has been idle longest, so that at a low rate over many
    lanes every request would meet a connection that the server is about to close. It takes
    from the front of a queue, and we put there what comes back.
    """

    _clocks = 0.0

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        # The monotonic clock stands still while a laptop sleeps, and what is idle then seems
        # fresh. Where the two clocks drift apart, idle connections are not trusted.
        clocks = time.time() - time.monotonic()
        if abs(clocks - self._clocks) > IDLE_SECONDS / 2:
            self._clocks = clocks
            self._drop_idle()
        return await super().connect(req, traces, timeout)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            # Bytes that came in unasked (such as a 408 for idling) would be taken for the
            # answer to the next request.
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        idle = self._conns.get(key)
        if idle and idle[-1][0] is protocol:
            idle.rotate(1)

    def _drop_idle(self) -> None:
        for idle in self._conns.values():
            for protocol, _ in idle:
                protocol.close()
        self._conns.clear()


# --- faults --------------------------------------------------------------------------------

# From the special to the general; the first that fits counts. No connection stood yet.
_WHILE_CONNECTING: tuple[tuple[type[BaseException], Fault], ...] = (
    (aiohttp.ClientConnectorDNSError, Fault.UNRESOLVED),
    (aiohttp.InvalidURL, Fault.UNRESOLVED),
    (aiohttp.ClientConnectorCertificateError, Fault.TLS),
    (aiohttp.ClientConnectorSSLError, Fault.TLS),
    (TimeoutError, Fault.CONNECT_TIMEOUT),
)
_BY_NUMBER = {errno.ECONNREFUSED: Fault.REFUSED, errno.ETIMEDOUT: Fault.CONNECT_TIMEOUT}

# Once the connection stood; the rest is a disconnect.
_AFTERWARDS: tuple[tuple[type[BaseException], Fault], ...] = (
    (TimeoutError, Fault.TIMEOUT),
    (HttpProcessingError, Fault.BROKEN_REPLY),
    (aiohttp.ClientPayloadError, Fault.BROKEN_REPLY),
)


def _connecting_fault(error: BaseException) -> TransportFault:
    fault = _first(_WHILE_CONNECTING, error, Fault.UNREACHABLE)
    message = ""
    if isinstance(error, aiohttp.ClientConnectorError):
        fault = _BY_NUMBER.get(error.os_error.errno or 0, fault)
        message = error.os_error.strerror or str(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        message = getattr(error.certificate_error, "verify_message", "") or message
    return TransportFault(fault, message)


def _fault(error: BaseException) -> TransportFault:
    return TransportFault(_first(_AFTERWARDS, error, Fault.DISCONNECTED))


def _first(
    table: tuple[tuple[type[BaseException], Fault], ...], error: BaseException, otherwise: Fault
) -> Fault:
    return next((fault for kind, fault in table if isinstance(error, kind)), otherwise)
