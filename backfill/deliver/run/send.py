"""One request: from encoded records to a plain reply or the kind of fault, and how long it took.

A request is made before its intent is written down: what a destination of another package does
wrong meanwhile concerns no record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import NamedTuple

import httpx

from backfill.core.errors import DestinationError
from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.core.secret import Secret
from backfill.core.terminal import printable
from backfill.core.version import VERSION
from backfill.deliver.http.errors import TransportFault, Withheld, fault_of
from backfill.deliver.http.redaction import Redaction
from backfill.deliver.http.response_reader import plain_reply, read_reply
from backfill.deliver.http.transport import Transport, header_lines, request_head
from backfill.destination import Destination

__all__ = ["Answer", "Request", "Sender"]


Request = bytes | httpx.Request
"""A request as its bytes, for a transport of our own; for any other one as httpx has it."""


class Answer(NamedTuple):
    """What came back after `seconds`, and what it means.

    `error` is there where the destination could not tell; the records are unknown then.
    """

    reply: Reply | Fault
    verdict: Verdict
    seconds: float
    error: DestinationError | None = None


class _Call:
    """A call of a method of a destination: what it raises becomes a DestinationError, without the
    credential. May be entered again and again.
    """

    __slots__ = ("_destination", "_method", "_redaction")

    def __init__(self, destination: Destination, method: str, *, redaction: Redaction) -> None:
        self._destination = destination
        self._method = method
        self._redaction = redaction

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception | SystemExit):
            return
        words = f"{type(error).__name__}: {error}"
        told = self._redaction.hide(words)
        raise DestinationError(
            f"the destination {self._destination.name!r} failed in its method {self._method!r}:"
            f" {printable(told)}",
            where=type(self._destination).__module__,
            hint="That is a fault of the package that brings it. Tell its authors, or mend it, and"
            " run the same command again.",
        ) from (error if told == words else None)


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
        calls = partial(_Call, destination, redaction=self._redaction)
        with calls("path"):
            self.url = httpx.URL(base_url.rstrip("/") + destination.path(population))
        with calls("headers"):
            headers = {
                "Host": self.url.netloc.decode("ascii"),
                "User-Agent": f"backfill/{VERSION}",
                # A reply is a line of JSON: nothing is gained by compressing it.
                "Accept-Encoding": "identity",
                **destination.headers(credential),
            }
            self._headers = list(headers.items())
            self._head = request_head("POST", self.url, self._headers)
        self._for_body, self._for_headers = calls("body"), calls("request_headers")
        self._for_verdict = calls("verdict")
        self._direct = transport if isinstance(transport, Transport) else None
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict()}

    def request(self, key: str, items: Sequence[bytes]) -> Request:
        """The request for these records, of which the first has the record key `key`. Raises
        DestinationError where the destination makes none.
        """
        with self._for_headers:
            own = self._destination.request_headers(key).items()
            lines = header_lines(own)
        with self._for_body:
            body = self._destination.body(items)
            if self._direct is not None:
                return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, lines, len(body), body)
            stream = httpx.ByteStream(b"%b" % body)
        # With a stream of its own a request takes its headers as they are, and costs a quarter.
        headers = _encoded([*self._headers, *own, ("Content-Length", str(len(body)))])
        return httpx.Request("POST", self.url, headers=headers, stream=stream)

    async def send(
        self, request: Request, size: int, may_send: Callable[[], bool] | None = None
    ) -> Answer:
        """Send a request that `request` has made of `size` records.

        Raises Withheld where `may_send`, asked right before the bytes are written, says no.
        """
        began = time.perf_counter()
        message = ""
        reply: Reply | Fault
        try:
            if isinstance(request, httpx.Request):
                reply = await self._exchange(request, may_send)
            else:
                assert self._direct is not None  # noqa: S101 - bytes are made for it alone
                reply = plain_reply(await self._direct.exchange(self.url, request, may_send))
            reply = self._redaction.redact(reply)
        except Withheld:
            raise
        except httpx.TransportError as error:
            reply = fault_of(error)
            message = error.message if isinstance(error, TransportFault) else ""
        seconds = time.perf_counter() - began
        try:
            verdict = self._verdict(reply, size)
        except DestinationError as error:
            status = reply.status if isinstance(reply, Reply) else None
            return Answer(reply, Verdict(Flow.UNKNOWN, error.message, status), seconds, error)
        if verdict.flow is Flow.AGAIN and message:
            verdict = replace(verdict, reason=f"{verdict.reason}: {message}")
        return Answer(reply, verdict, seconds)

    def _verdict(self, reply: Reply | Fault, size: int) -> Verdict:
        with self._for_verdict:
            verdict = self._destination.verdict(reply, size)
            if not isinstance(verdict, Verdict):
                raise TypeError(f"{verdict!r} is no Verdict")
            bad, indices = verdict.bad, range(size)
            if bad and not (isinstance(bad, Mapping) and all(each in indices for each in bad)):
                raise ValueError(f"bad = {bad!r} maps no indices of {size} records to words")
        return verdict

    async def _exchange(self, request: httpx.Request, may_send: Callable[[], bool] | None) -> Reply:
        request.extensions = (
            self._extensions if may_send is None else {**self._extensions, "may_send": may_send}
        )
        return await read_reply(await self._transport.handle_async_request(request))


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), text.encode("latin-1")) for name, text in headers]
