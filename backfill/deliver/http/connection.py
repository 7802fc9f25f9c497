"""One connection: a request is written, its reply is parsed, and nothing else is taken for one.

The only module that knows httptools, whose parser is llhttp, Node.js' own.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault
from backfill.deliver.http.response_reader import MOST_BODY, RawReply

__all__ = ["Connection"]

_MOST_HEAD = 64 * 1024  # bytes of a reply before its body, interim replies with it
_TICK = 0.001  # seconds; a timer may ring so much too early
_FROZEN = 0.5  # seconds; a timer that rings later than that rings in a process that stood still
_TO_READ = 0.1  # seconds in which it reads what came meanwhile
_MOST_IN_ALL = 16 * MOST_BODY  # bytes of a reply, with the sizes of its chunks and its trailers


class Connection(asyncio.Protocol):
    """The protocol of one connection, and the callbacks of its parser.

    `idle_since` is for whoever keeps it: seconds of any clock.
    """

    def __init__(self) -> None:
        self._sound = False  # until it stands
        self.idle_since = 0.0
        self._transport: asyncio.Transport
        self._loop: asyncio.AbstractEventLoop
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[RawReply] | None = None
        self._status = 0
        self._told = 0
        self._due = 0.0  # when the present request is given up, on the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    @property
    def sound(self) -> bool:
        """Whether it may be used again: no more once its end was seen, bytes came that no request
        asked for, or an exchange ended in any other way than whole.
        """
        return self._sound and not self._transport.is_closing()

    def begin(self, data: bytes, timeout: float) -> asyncio.Future[RawReply]:
        """Send a request. Its reply is there within `timeout` seconds, the body in memory.

        Call `end` once it was awaited, whatever came of it.

        A body that breaks off, is too long or does not end leaves a status of 300 and above
        standing, because the status alone decides then; below that it is a fault, because the
        body would have decided. A body that is too long is cut in either case. The future raises
        TransportFault; after that and after a cancellation the connection is closed.
        """
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._received = 0
        self._status = 0  # until the head of the reply was read
        self._told = 0  # until its first line was
        reply: asyncio.Future[RawReply] = self._loop.create_future()
        self._reply = reply
        self._watch(self._loop.time() + timeout)
        self._transport.write(data)
        return reply

    def end(self) -> None:
        """The exchange is over: be ready for the next one, or close."""
        reply, self._reply = self._reply, None
        whole = reply is not None and reply.done() and not reply.cancelled()
        if not self._sound or not whole or self._transport.get_write_buffer_size():
            self.close()

    def close(self) -> None:
        """Close it at once; what was not sent yet is dropped."""
        self._sound = False
        self._stop_watching()
        self._transport.abort()

    # --- the deadline: one timer for many requests, most of which end long before it --------

    def _watch(self, due: float) -> None:
        self._due = due
        if self._timer is not None and self._timer.when() > due:
            self._stop_watching()
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._reply is None:
            return
        now = self._loop.time()
        if now > self._due + _FROZEN:
            # The loop may ring before it has read: the reply may be there since long.
            self._due = now + _TO_READ
        if now >= self._due - _TICK:
            self._break_off(Fault.TIMEOUT)
        else:
            self._timer = self._loop.call_at(self._due, self._look_at_clock)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what asyncio calls ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._sound = True

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            self.close()  # unasked, such as a 408 for idling
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._status = self._status or self._told  # a header may be wrong behind a plain no
            self._break_off(Fault.BROKEN_REPLY)
            return
        if self._received > (_MOST_IN_ALL if self._status else _MOST_HEAD):
            self._break_off(Fault.BROKEN_REPLY)

    def eof_received(self) -> None:
        self._sound = False
        # A body without a length ends with its connection (RFC 9112, 6.3).
        if self._status and not any(
            name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._headers
        ):
            self._finish()
        self._lost()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._stop_watching()
        self._lost()

    # --- what the parser calls -------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.done():
            self._sound = False  # one more reply than requests

    def on_status(self, reason: bytes) -> None:  # noqa: ARG002 - the parser's signature
        self._told = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._received > _MOST_HEAD and _size(self._headers) > _MOST_HEAD:  # all in one piece
            self._break_off(Fault.BROKEN_REPLY)

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) >= MOST_BODY:
            self._sound = False
            self._finish()

    def on_message_complete(self) -> None:
        if 100 <= self._status < 200:  # interim, such as 103 Early Hints
            self._status = 0
            self._headers = []
            return
        if not self._parser.should_keep_alive():
            self._sound = False
        self._finish()

    # --- ends ------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(RawReply(self._status, self._headers, self._body[:MOST_BODY]))

    def _lost(self) -> None:
        self._break_off(Fault.BROKEN_REPLY if self._status else Fault.DISCONNECTED)

    def _break_off(self, fault: Fault) -> None:
        self._sound = False
        if self._reply is None or self._reply.done():
            return
        if self._status >= 300:
            self._finish()
        else:
            self._reply.set_exception(TransportFault(fault))


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    """Bytes of a reply's headers."""
    return sum(len(name) + len(text) for name, text in headers)
