"""Small servers on this machine that answer, or fail, as a test says. Raw sockets, real bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conversations import conversing

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
"""A certificate for localhost that nobody trusts, with its key. It protects nothing."""


@dataclass
class Exchange:
    """One request as it came in, and the connection that it came in on."""

    head: bytes
    body: bytes
    connection: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """Tear the connection down without a word."""
        self.writer.transport.abort()

    async def answer(self, status: int = 200, body: bytes = b"{}", headers: str = "") -> None:
        self.writer.write(response(status, body, headers))
        await self.writer.drain()


def response(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


Behaviour = Callable[[Exchange], Awaitable[None]]


@dataclass
class Server:
    """What a server saw so far, and where it listens."""

    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    behave: Behaviour,
    *,
    tls: bool = False,
    idle: float | None = None,
    greeting: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None,
) -> AsyncIterator[Server]:
    """Serve until the block ends. A connection that is idle for `idle` seconds is closed."""
    server = Server()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = server.connections
        server.connections += 1
        if greeting is not None:
            await greeting(writer)
        while not writer.is_closing():
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), idle)
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            exchange = Exchange(head, b"", number, reader, writer)
            server.exchanges.append(exchange)
            if length < 1_000_000:  # a larger body is left to the behaviour
                exchange.body = await reader.readexactly(length)
            await behave(exchange)

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SELF_SIGNED)
    async with conversing(converse, tls=context) as server.port:
        yield server
