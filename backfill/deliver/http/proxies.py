"""Companies' proxies: which one the environment names for an address, and how it is spoken to.

Slower than connections of our own, and httpx's work. What it takes care of here is the line between
a request that may have arrived and one that never left, because all that a proxy says for itself
is said before: it opens a tunnel, or refuses to.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio
import httpx

from backfill.core.errors import ConfigError
from backfill.core.model import Fault
from backfill.core.urls import is_here
from backfill.deliver.http.errors import TransportFault, Withheld, fault_of, unsent_fault
from backfill.deliver.http.response_reader import MOST_BODY
from backfill.deliver.http.transport import IDLE_SECONDS, LONGEST_CONNECT, Transport

__all__ = ["ProxiedTransport", "proxy_for", "transport_for"]

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def transport_for(base_url: str, *, timeout: float) -> httpx.AsyncBaseTransport:
    """What carries requests to an address: a proxy where the environment names one for it.

    `timeout` is in seconds, as for `Transport`. Raises ConfigError for a proxy of an unknown kind.
    """
    proxy = proxy_for(base_url)
    if proxy is None:
        return Transport(timeout=timeout)
    try:
        asked = httpx.Proxy(proxy)
        if not asked.url.host or urlsplit(proxy).port == 0:  # which itself raises for one too high
            raise ValueError
        return ProxiedTransport(asked, timeout=timeout)
    except (ImportError, ValueError, httpx.InvalidURL):
        # Not quoted: it may hold a password.
        raise ConfigError(
            "the proxy that the environment names is not one that backfill understands",
            where="HTTPS_PROXY",
            hint="It looks like http://proxy.example.com:3128. NO_PROXY lists hosts without one.",
        ) from None


def proxy_for(base_url: str) -> str | None:
    """The proxy of an address by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read as httpx
    does; None for none. This machine is never spoken to through one.
    """
    url = httpx.URL(base_url)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_here(base_url):
        return None
    exceptions = (each.strip() for each in proxies.get("no", "").split(","))
    if any(_excepted(url, each) for each in exceptions if each):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excepted(url: httpx.URL, exception: str) -> bool:
    """Whether an entry of NO_PROXY is about this address.

    `*` is all of them, `example.com` the name and those below it, `.example.com` only those below;
    `https://example.com:8443` is this scheme, name and port alone.
    """
    if exception == "*":
        return True
    scheme, separator, rest = exception.lower().rpartition("://")
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):
        host, port = rest, ""  # no port, or an IPv6 address without brackets
    host = host.strip("[]").removeprefix("*")
    if scheme and scheme not in ("all", url.scheme):
        return False
    if port and int(port) != (url.port or (443 if url.scheme == "https" else 80)):
        return False
    if separator:
        return url.host == host
    return url.host == host or url.host.endswith(host if host.startswith(".") else f".{host}")


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Sends requests over TLS through tunnels that an HTTP proxy opens.

    As `Transport` does it: the last used connection first, an idle one for a second, a bounded
    body, `timeout` seconds for connecting, at most 10 of them, and then again until the last byte
    of the reply. Raises TransportFault; whatever happens before the tunnel stands and the request
    itself is written, never reached the server.
    """

    def __init__(
        self, proxy: httpx.Proxy, *, timeout: float, verify: ssl.SSLContext | None = None
    ) -> None:
        self._proxy = proxy
        self._timeout = timeout
        self._verify = verify or ssl.create_default_context()
        # Each holds one connection: httpcore's pool costs time in proportion to its connections.
        self._idle: list[tuple[float, httpx.AsyncHTTPTransport]] = []
        self._spare = self._make()  # raises at once for a proxy of an unknown kind

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        carrier = await self._take()
        exchange = _Exchange(request, self._timeout)
        try:
            with anyio.move_on_after(min(self._timeout, LONGEST_CONNECT) + self._timeout):
                await exchange.run(carrier)
        finally:
            if exchange.whole:
                self._idle.append((time.monotonic(), carrier))
            else:
                with anyio.CancelScope(shield=True):
                    await carrier.aclose()
        # Out here it has no cause, which could hold more of the request than anybody should see.
        return exchange.result()

    async def aclose(self) -> None:
        idle, self._idle = self._idle, []
        for carrier in (self._spare, *(each for _, each in idle)):
            await carrier.aclose()

    async def _take(self) -> httpx.AsyncHTTPTransport:
        oldest = time.monotonic() - IDLE_SECONDS
        fresh = [each for each in self._idle if each[0] > oldest]
        stale = [carrier for since, carrier in self._idle if since <= oldest]
        self._idle = fresh
        taken = fresh.pop()[1] if fresh else None
        for carrier in stale:
            await carrier.aclose()
        return taken or self._make()

    def _make(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            proxy=self._proxy,
            verify=self._verify,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS),
        )


class _Exchange:
    """One request through a tunnel: how far it came, and what it ended in."""

    def __init__(self, request: httpx.Request, timeout: float) -> None:
        self.whole = False
        self._request = request
        self._tunnelling = self._sent = False
        self._status = 0
        self._headers = httpx.Headers()
        self._body = b""
        self._fault: TransportFault | None = None
        self._withheld = False
        self._may_send: Callable[[], bool] = request.extensions.get("may_send", lambda: True)
        request.extensions = {
            **request.extensions,
            "timeout": httpx.Timeout(timeout, connect=min(timeout, LONGEST_CONNECT)).as_dict(),
            "trace": self._trace,
        }

    async def run(self, carrier: httpx.AsyncHTTPTransport) -> None:
        try:
            response = await carrier.handle_async_request(self._request)
            self._status, self._headers = response.status_code, response.headers
            try:
                async for chunk in response.aiter_raw():
                    self._body += chunk
                    if len(self._body) >= MOST_BODY:
                        return
                self.whole = True
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            self._fault = self._read(error)

    def result(self) -> httpx.Response:
        """The reply, or the fault, raised; neither means that the time was over."""
        if self.whole or len(self._body) >= MOST_BODY or self._status >= 300:
            body = httpx.ByteStream(self._body[:MOST_BODY])
            return httpx.Response(self._status, headers=self._headers, stream=body)
        if self._withheld:
            raise Withheld
        if self._fault is not None:
            raise self._fault
        unsent = self._tunnelling and not self._sent
        raise TransportFault(Fault.CONNECT_TIMEOUT if unsent else Fault.TIMEOUT)

    def _read(self, error: httpx.TransportError) -> TransportFault:
        if isinstance(error, _NEVER_SENT) or (self._tunnelling and not self._sent):
            return unsent_fault(error)
        if self._status and isinstance(error, httpx.NetworkError):
            return TransportFault(Fault.BROKEN_REPLY)
        return TransportFault(fault_of(error))

    async def _trace(self, event: str, info: dict[str, object]) -> None:
        """Note what is sent, as httpcore tells it: first a CONNECT to the proxy, then the request.

        Were these events ever named otherwise, nothing would be noted, and what fails would count
        as sent: the safe side.
        """
        if event.endswith(".send_request_headers.started"):
            if getattr(info.get("request"), "method", b"") == b"CONNECT":
                self._tunnelling = True
            elif not self._may_send():
                self._withheld = True
                raise Withheld
            else:
                self._sent = True
