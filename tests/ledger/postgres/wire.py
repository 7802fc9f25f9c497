"""A wire between a client and PostgreSQL that a test can tamper with."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

__all__ = ["Wire", "cutting", "losing", "wire_to"]

Hook = Callable[[bytes], bytes | None]


def cutting(breaks: dict[bytes, int]) -> Hook:
    """A hook that cuts the connection at these words, so many times each; `breaks` counts down."""

    def hook(content: bytes) -> bytes | None:
        for words, left in breaks.items():
            if left and words in content:
                breaks[words] -= 1
                return None
        return content

    return hook


def losing(cuts: list[str], *words: bytes) -> tuple[Hook, Hook]:
    """Hooks to the server and to the client that cut the connection where a call has one of these
    words, or at its answer: `cuts` says "call" or "answer" for each in turn, and is emptied.
    """
    called = threading.Event()

    def to_server(content: bytes) -> bytes | None:
        if any(each in content for each in words):
            if cuts and cuts[0] == "call":
                cuts.pop(0)
                return None
            called.set()
        return content

    def to_client(content: bytes) -> bytes | None:
        if called.is_set() and cuts and cuts[0] == "answer":
            cuts.pop(0)
            called.clear()
            return None
        return content

    return to_server, to_client


class Wire:
    """Carries bytes both ways. A hook may change them, or return None to cut the connection."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.address = f"postgresql://backfill@127.0.0.1:{self.port}/postgres"
        self.to_server: Hook = bytes
        self.to_client: Hook = bytes
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for source, target, name in (
                    (client, server, "to_server"),
                    (server, client, "to_client"),
                ):
                    threading.Thread(
                        target=self._carry, args=(source, target, name), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, target: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65_536):
                changed = getattr(self, name)(content)
                if changed is None:
                    break
                target.sendall(changed)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut everything."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for each in (self._listening, *self._open):
            each.close()


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
