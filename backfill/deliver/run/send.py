"""One request: from encoded records to a plain reply or the kind of fault, and how long it took."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

import httpx

from backfill.core.model import Fault, Reply, Secret
from backfill.core.version import VERSION
from backfill.deliver.http.errors import TransportFault, fault_of
from backfill.deliver.http.redaction import Redaction
from backfill.destinations import Destination

__all__ = ["Answer", "Sender", "read_reply"]

_MOST_BODY = 64 * 1024  # bytes of a body that anybody looks at

# What zlib calls them; "deflate" comes with zlib's header and, wrongly, without it.
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOWS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back after `seconds`; `words` say more about a fault than its kind does."""

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
        self._headers = _encoded(headers)
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict()}

    async def send(self, key: str, items: Sequence[bytes]) -> Answer:
        """Send records in one request; `key` is the first one's record key."""
        body = self._destination.body(items)
        # With a stream of its own a request takes its headers as they are, and costs a quarter.
        request = httpx.Request(
            "POST",
            self.url,
            headers=[
                *self._headers,
                *_encoded(self._destination.request_headers(key)),
                (b"Content-Length", b"%d" % len(body)),
            ],
            stream=httpx.ByteStream(body),
            extensions=self._extensions,
        )
        began = time.perf_counter()
        message = ""
        reply: Reply | Fault
        try:
            reply = self._redaction.redact(
                await read_reply(await self._transport.handle_async_request(request))
            )
        except httpx.TransportError as error:
            reply = fault_of(error)
            message = error.message if isinstance(error, TransportFault) else ""
        return Answer(reply, time.perf_counter() - began, message)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), text.encode("latin-1")) for name, text in headers.items()]


async def read_reply(response: httpx.Response) -> Reply:
    """Read a response of any transport as plain data, its body bounded also when unpacked."""
    stream = response.stream
    if isinstance(stream, httpx.ByteStream):
        body = b"".join(stream)
    else:
        body = b""
        chunks = aiter(stream)  # type: ignore[arg-type] # an async transport's
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) >= _MOST_BODY:
                    break
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
            await response.aclose()
    # `raw`, because httpx works out a text encoding anew for every reading of a header.
    headers: dict[str, str] = {}
    for raw_name, raw_text in response.headers.raw:
        name, text = raw_name.lower().decode("latin-1"), raw_text.decode("latin-1")
        # A header that comes twice is one list (RFC 9110, 5.3).
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    encoding = headers.get("content-encoding")
    return Reply(
        response.status_code, headers, _unpacked(body, encoding) if encoding else body[:_MOST_BODY]
    )


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Undo a Content-Encoding that we did not ask for; what cannot be undone stays as it is."""
    windows = _WINDOWS.get(encoding.strip().lower(), ())
    for window in windows:
        try:
            return zlib.decompressobj(window).decompress(body, _MOST_BODY)
        except zlib.error:
            continue
    return body[:_MOST_BODY]
