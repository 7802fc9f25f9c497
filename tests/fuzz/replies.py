"""A server that answers with whatever chance makes of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from tests.conversations import conversing
from tests.fuzz.mutations import spoilt_bytes
from tests.promises import canonical

__all__ = ["Liar", "lying"]

_SUCCESS = {
    "pristo-events": (201, {"ok": True, "status": 201, "statusText": "Created", "raw": ""}),
    "watch-feedbacks": (200, {"status": "success", "request_id": "a-request"}),
}
_HEADERS = (
    b"Retry-After: 0.05",
    b"Retry-After: -1",
    b"Retry-After: 99999999999999999999",
    b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",
    b"Retry-After: Mon, 99 Foo 99999 99:99:99 GMT",
    b"retry-after-ms: 1e308",
    b"retry-after-ms: nan",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br, gzip, zstd",
    b"Content-Length: 5",
    b"Content-Length: -5",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Connection: close",
    b"Location: http://127.0.0.1:9/",
    b"Set-Cookie: a=b",
    b"X: " + b"y" * 70_000,
    b"no colon here",
    b": no name",
    b"\xff\xfe: \x80",
    b" folded: line",
    b"a\x00b: c",
)
_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"success"',
    b"<html>\x1b[2J</html>",
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b'{"ok": true}',
    b'{"ok": "true"}',
    b'{"ok": false, "status": 1e999}',
    b'{"status": {"success": 1}}',
    b'{"error": {"code": [], "message": {"a": null}}}',
    b'{"details": [{"path": "feedbacks.99999.x", "message": "m"}, {"path": 3}, 7, null]}',
    b'{"details": {"path": "feedbacks.0"}, "code": 1, "message": true}',
    b'{"details": [{"path": "feedbacks.0.target", "message": "\\ud800\\u001b[31m"}]}',
    b'{"request_id": "\\u0000", "status": "success"}',
    b"\xff" * 300,
    gzip.compress(b" " * 5_000_000),
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"-1\r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * 3_000,
)
_LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 201 Created",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 400 Bad Request",
    b"HTTP/1.1 413 Too Large",
    b"HTTP/1.1 422 No",
    b"HTTP/1.1 429 Slow",
    b"HTTP/1.1 500 Oops",
    b"HTTP/1.1 503 Later",
    b"HTTP/1.1 600 What",
    b"HTTP/1.1 999 What",
    b"HTTP/1.1 000 What",
    b"HTTP/1.1 -20 What",
    b"HTTP/1.1 2000 What",
    b"HTTP/1.1 200",
    b"HTTP/9.9 200 OK",
    b"HTTP/1.0 201 Created",
    b"ICY 200 OK",
    b"200 OK",
    b"\x16\x03\x01\x02\x00",
    b"PRI * HTTP/2.0",
    b"HTTP/1.1 200 " + b"x" * 20_000,
    b"HTTP/1.1 " + "٢٠٠".encode() + b" OK",
    b"\r\n\r\nHTTP/1.1 201 Created",
)


class Liar:
    """What the server took in: how often each item came, and which it honestly accepted.

    Items that were also answered with a lie may have been sent again, or be called whatever
    the client could read in the lie.
    """

    def __init__(self, chance: random.Random, destination: str) -> None:
        self.received: Counter[str] = Counter()
        self.honest: list[str] = []
        self.url = ""
        self._chance = chance
        self._destination = destination

    def items(self, body: bytes) -> Sequence[str]:
        content = json.loads(body)
        found = content.get("feedbacks", [content])
        return [canonical(item) for item in found]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            items = self.items(await reader.readexactly(length))
            self.received.update(items)
            if self._chance.random() < 0.5:
                self.honest.extend(items)
                writer.write(self.success())
            elif not await self._lie(writer):
                return
            await writer.drain()

    def success(self) -> bytes:
        status, content = _SUCCESS[self._destination]
        body = json.dumps(content).encode()
        return b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body

    async def _lie(self, writer: asyncio.StreamWriter) -> bool:
        """Answer somehow. Returns whether the conversation goes on."""
        chance = self._chance
        match chance.randrange(9):
            case 0:
                writer.write(spoilt_bytes(chance, self.success()))
            case 1:
                writer.write(chance.randbytes(chance.randrange(1, 400)))
                return False
            case 2:  # a body without an end
                writer.write(b"HTTP/1.1 201 Created\r\n\r\n")
                while not writer.is_closing():
                    writer.write(b"x" * 65_536)
                    await writer.drain()
                return False
            case 3:  # a drip
                for byte in self.success():
                    if writer.is_closing():
                        return False
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0.01)
            case 4:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * chance.randrange(1, 2_000))
                writer.write(self.success() if chance.random() < 0.5 else b"")
            case 5:
                writer.transport.abort()
                return False
            case 6:
                writer.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000)
                return False
            case _:
                writer.write(self._assembled())
                return chance.random() < 0.5
        return True

    def _assembled(self) -> bytes:
        chance = self._chance
        headers = [chance.choice(_HEADERS) for _ in range(chance.randrange(4))]
        body = chance.choice(_BODIES)
        if chance.random() < 0.6:
            headers.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([chance.choice(_LINES), *headers, b"", body])


@contextlib.asynccontextmanager
async def lying(chance: random.Random, destination: str) -> AsyncIterator[Liar]:
    """Serve on this machine until the block ends."""
    liar = Liar(chance, destination)
    async with conversing(liar.converse) as port:
        liar.url = f"http://127.0.0.1:{port}"
        yield liar
