"""A server that has files, over http and as an object store, and that can be silent about them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Server", "running_file_server"]

_WHEN = "Mon, 06 May 2024 07:08:09 GMT"


@dataclass
class Server:
    """What the server has, and what it was asked.

    `says` are headers that it adds to every answer, such as an ETag of no use; an empty one takes
    away what it would say. Where it does not know `heads`, it refuses to be asked for them.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)
    status: int = 200
    failing: int = 0  # so many requests are answered by 500 first
    heads: bool = True
    sent: int = 0  # bytes of files

    def listing(self) -> bytes:
        """What S3 answers when asked for the objects of a bucket."""
        objects = "".join(
            f"<Contents><Key>{name.removeprefix('/bucket/')}</Key><Size>{len(body)}</Size>"
            '<LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>"1"</ETag></Contents>'
            for name, body in self.files.items()
        )
        return f"<ListBucketResult><Name>bucket</Name>{objects}</ListBucketResult>".encode()


@contextmanager
def running_file_server() -> Iterator[Server]:
    """A server on this machine that has no file yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            state.seen.append({name.lower(): value for name, value in self.headers.items()})
            state.asked.append(f"{self.command} {self.path}")
            if "list-type=2" in self.path:
                body: bytes | None = state.listing()
            else:
                body = state.files.get(self.path)
            status = 404 if body is None else state.status
            if self.command == "HEAD" and not state.heads:
                status = 403
            if state.failing:
                state.failing -= 1
                status = 500
            body = body if status == 200 and body is not None else b""
            headers = {
                "Content-Length": str(len(body)),
                "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
                "Last-Modified": _WHEN,
                **state.says,
            }
            if status == 200 and (wanted := self.headers.get("Range")):
                first, last = map(int, wanted.removeprefix("bytes=").split("-"))
                headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                body = body[first : last + 1]
                headers["Content-Length"] = str(len(body))
                status = 206
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                state.sent += len(body)
                with suppress(OSError):  # who asked may have heard enough
                    self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()
