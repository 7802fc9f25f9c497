"""The connections: httpx's transport interface carried by aiohttp. No other file knows aiohttp.

httpcore's pool costs time in proportion to its connections for every request; aiohttp's does
not. Faults are read from aiohttp's own exceptions, since only they tell whether a request can
have reached the server.
"""

from __future__ import annotations

import errno
import io
import ssl
import time
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

from backfill.deliver.faults import TransportFault
from backfill.model import Fault

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
_LARGE = 2**20  # bytes of a body that aiohttp would rather send piece by piece


class Transport(httpx.AsyncBaseTransport):
    """Sends a request and returns its reply, the body read and cut at `MOST_BODY` bytes.

    `timeout` is in seconds. It bounds the silence while a reply is awaited; connecting has its
    own bound inside it, which always ends first, so that a timeout there is known to have done
    nothing. Redirects are not followed, TLS is verified, and nothing is taken from the
    environment but what OpenSSL itself reads. Raises TransportFault whenever no reply came.

    A broken body leaves a reply of 300 and above standing, because its status alone decides; a
    broken success is a fault, because its body decides.
    """

    def __init__(self, *, timeout: float, verify: ssl.SSLContext | None = None) -> None:
        connect = min(timeout, _LONGEST_CONNECT)
        self._timeout = aiohttp.ClientTimeout(
            total=connect + 2 * timeout, connect=connect, sock_read=timeout
        )
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None
        self._address: tuple[httpx.URL, URL] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session or self._open()
        stream = request.stream
        body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
        # `raw`, because httpx works out a text encoding anew for every reading of a header.
        headers = [
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in request.headers.raw
        ]
        try:
            reply = await session.request(
                request.method,
                self._translated(request.url),
                data=body if len(body) <= _LARGE else io.BytesIO(body),
                headers=headers,
                allow_redirects=False,
            )
            content = await _read(reply)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            fault = _fault(error)
        else:
            return httpx.Response(
                reply.status, headers=list(reply.raw_headers), stream=httpx.ByteStream(content)
            )
        # Raised out here and without its cause: aiohttp's exceptions hold the request's
        # headers, and with them the credential.
        raise fault

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Made late, because aiohttp ties it to the running event loop.
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0,  # the number of lanes bounds it
                keepalive_timeout=IDLE_SECONDS,
                ssl=self._verify or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
        )
        return self._session

    def _translated(self, url: httpx.URL) -> URL:
        # A run has one address, and httpx hands the same object along.
        if self._address is None or self._address[0] is not url:
            self._address = (url, URL(str(url), encoded=True))
        return self._address[1]


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    """Read the body up to `MOST_BODY` bytes and leave the connection sound or closed."""
    content = reply.content
    body = b""
    try:
        while len(body) < MOST_BODY and (chunk := await content.readany()):
            body = body + chunk if body else chunk
    except (aiohttp.ClientError, OSError, TimeoutError):
        if reply.status < 300:
            raise
    finally:
        if content.at_eof():
            reply.release()
        else:
            reply.close()
    return body[:MOST_BODY]


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

# From the special to the general; the first that fits counts. What comes before
# ClientConnectorError happened before a connection stood, so nothing was sent. Whatever is in no
# row may have reached the server.
_FAULTS: tuple[tuple[type[BaseException], Fault], ...] = (
    (aiohttp.ConnectionTimeoutError, Fault.CONNECT_TIMEOUT),
    (aiohttp.InvalidURL, Fault.UNRESOLVED),
    (aiohttp.ClientConnectorDNSError, Fault.UNRESOLVED),
    (aiohttp.ClientConnectorCertificateError, Fault.TLS),
    (aiohttp.ClientConnectorSSLError, Fault.TLS),
    (aiohttp.ServerFingerprintMismatch, Fault.TLS),
    (aiohttp.ClientConnectorError, Fault.UNREACHABLE),
    (TimeoutError, Fault.TIMEOUT),
    (aiohttp.ClientResponseError, Fault.BROKEN_REPLY),
    (aiohttp.ClientPayloadError, Fault.BROKEN_REPLY),
    (aiohttp.ClientConnectionError, Fault.DISCONNECTED),
    (OSError, Fault.DISCONNECTED),
)

_CONNECTING: dict[int | None, Fault] = {
    errno.ECONNREFUSED: Fault.REFUSED,
    errno.ETIMEDOUT: Fault.CONNECT_TIMEOUT,
}


def _fault(error: BaseException) -> TransportFault:
    fault = next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.BROKEN_REPLY)
    words = ""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        fault = _CONNECTING.get(cause.errno, fault)
        words = cause.strerror or str(cause)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        words = getattr(error.certificate_error, "verify_message", "") or words
    return TransportFault(fault, words)
