"""An endpoint on this machine that says yes as fast as it can: nginx, or else a small one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

WATCH = '{"status":"success","request_id":"3d19215e-2991-4a05-a41a-527314e6ff6a"}'
PRISTO = '{"ok":true,"status":201,"statusText":"Created","body":null,"raw":"{}"}'

_NGINX = """
worker_processes 1; daemon off; pid {room}/nginx.pid; error_log {room}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_buffer_size 256k; client_body_temp_path {room}/body;
  proxy_temp_path {room}/p; fastcgi_temp_path {room}/f; uwsgi_temp_path {room}/u;
  scgi_temp_path {room}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /v2/ {{ return 200 '{watch}'; }}
    location / {{ return 201 '{pristo}'; }}
  }}
}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def endpoint(core: int) -> Iterator[tuple[str, str]]:
    """Serve on one core until the block ends. Yields the base URL and what serves there."""
    port = _free_port()
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    with tempfile.TemporaryDirectory(prefix="backfill-endpoint-") as room:
        if nginx:
            config = Path(room, "nginx.conf")
            config.write_text(_NGINX.format(room=room, port=port, watch=WATCH, pristo=PRISTO))
            command = [nginx, "-c", str(config), "-p", room]
        else:
            command = [sys.executable, "-m", "benchmarks.endpoint", str(port)]
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # a child, and its children, begin where we are
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        os.sched_setaffinity(0, ours)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}", "nginx" if nginx else "a Python endpoint (no nginx)"
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the endpoint did not start")


class Requests(asyncio.Protocol, ABC):
    """Reads whole requests and hands each one's head, in small letters, to `answer`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self.answer(head)

    @abstractmethod
    def answer(self, head: bytes) -> None: ...

    def write(self, status: int, body: str, headers: str = "") -> None:
        self._transport.write(
            f"HTTP/1.1 {status} -\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )


class _Yes(Requests):
    """Says yes to each."""

    def answer(self, head: bytes) -> None:
        self.write(*((200, WATCH) if b" /v2/" in head[:40] else (201, PRISTO)))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Yes, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
