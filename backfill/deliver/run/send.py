"""One request: from encoded records to a plain reply or the kind of fault, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import httpx

from backfill.core.model import Fault, Reply
from backfill.core.secret import Secret
from backfill.core.version import VERSION
from backfill.deliver.http.errors import TransportFault, Withheld, fault_of
from backfill.deliver.http.redaction import Redaction
from backfill.deliver.http.response_reader import plain_reply, read_reply
from backfill.deliver.http.transport import Transport, header_lines, request_head
from backfill.destination import Destination

__all__ = ["Answer", "Sender"]


class Answer(NamedTuple):
    """What came back after `seconds`; `message` says more about a fault than its kind does."""

    reply: Reply | Fault
    seconds: float
    message: str = ""


class Sender:
    """Makes a destination's requests and hands them to the transport.

    `base_url` has been checked. `timeout` is in seconds, for transports that take it from the
    request. The credential lives in the headers alone, and no answer holds it.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        destination: Destination,
        *,
        base_url: str,
        population: str | None,
        credential: Secret,
        timeout: float,
    ) -> None:
        self._transport = transport
        self._destination = destination
        self._redaction = Redaction(credential)
        self.url = httpx.URL(base_url.rstrip("/") + destination.path(population))
        headers = {
            "Host": self.url.netloc.decode("ascii"),
            "User-Agent": f"backfill/{VERSION}",
            # A reply is a line of JSON: nothing is gained by compressing it.
            "Accept-Encoding": "identity",
            **destination.headers(credential),
        }
        self._headers = list(headers.items())
        self._direct = transport if isinstance(transport, Transport) else None
        self._head = request_head("POST", self.url, self._headers)
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict()}

    async def send(
        self, key: str, items: Sequence[bytes], may_send: Callable[[], bool] | None = None
    ) -> Answer:
        """Send records in one request; `key` is the first one's record key.

        Raises Withheld where `may_send`, asked right before the bytes are written, says no.
        """
        body = self._destination.body(items)
        began = time.perf_counter()
        message = ""
        reply: Reply | Fault
        try:
            if self._direct is not None:
                request = self._request(key, body)
                reply = plain_reply(await self._direct.exchange(self.url, request, may_send))
            else:
                reply = await self._exchange(key, body, may_send)
            reply = self._redaction.redact(reply)
        except Withheld:
            raise
        except httpx.TransportError as error:
            reply = fault_of(error)
            message = error.message if isinstance(error, TransportFault) else ""
        return Answer(reply, time.perf_counter() - began, message)

    def _request(self, key: str, body: bytes) -> bytes:
        """A request as its bytes, for a transport of our own."""
        own = header_lines(self._destination.request_headers(key).items())
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, own, len(body), body)

    async def _exchange(self, key: str, body: bytes, may_send: Callable[[], bool] | None) -> Reply:
        own = self._destination.request_headers(key).items()
        # With a stream of its own a request takes its headers as they are, and costs a quarter.
        request = httpx.Request(
            "POST",
            self.url,
            headers=_encoded([*self._headers, *own, ("Content-Length", str(len(body)))]),
            stream=httpx.ByteStream(body),
            extensions=self._extensions
            if may_send is None
            else {**self._extensions, "may_send": may_send},
        )
        return await read_reply(await self._transport.handle_async_request(request))


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), text.encode("latin-1")) for name, text in headers]
