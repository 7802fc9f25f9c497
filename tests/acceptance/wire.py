"""A server that takes down the very bytes it is sent, and answers as the vendors do."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Wire", "Written", "wire"]


@dataclass(frozen=True)
class Written:
    """One request: its first line, its headers as they came, and its body."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(found) < 2, f"{name} came twice"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    def __init__(self) -> None:
        self.requests: list[Written] = []
        self.url = ""
        self.answers: Iterator[tuple[int, bytes, bytes]] | None = None
        """Status, header lines and body of each reply to come, in place of a success."""

    def reply(self, path: str) -> tuple[int, bytes, bytes]:
        if self.answers is not None:
            return next(self.answers)
        if path.startswith("/v1/"):
            body = b'{"ok":true,"status":201,"statusText":"Created","body":null,"raw":""}'
            return 201, b"", body
        body = b'{"status":"success","request_id":"3d19215e-0000-4a05-a41a-527314e6ff6a"}'
        return 200, b"", body


@contextmanager
def wire() -> Iterator[Wire]:
    state = Wire()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                headers = []
                while (header := self.rfile.readline().rstrip(b"\r\n")) != b"":
                    name, _, value = header.decode("latin-1").partition(":")
                    headers.append((name, value.strip()))
                lengths = [value for name, value in headers if name.lower() == "content-length"]
                length = int(lengths[0]) if lengths else 0
                written = Written(
                    line.decode("latin-1").rstrip("\r\n"), tuple(headers), self.rfile.read(length)
                )
                state.requests.append(written)
                status, lines, body = state.reply(written.line.split(" ")[1])
                head = b"HTTP/1.1 %d Words\r\nContent-Type: application/json\r\n" % status
                head += lines + b"Content-Length: %d\r\n\r\n" % len(body)
                self.wfile.write(head + body)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that leaves is no fault."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
