"""A port for a server that is told where to listen, and may be started there again."""

from __future__ import annotations

import secrets
import socket

__all__ = ["free_port"]

# Below those that systems give to whoever asks for any: no connection of another test is given one
# of these before the server listens there, or while it is away.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    while True:
        port = secrets.choice(_PORTS)  # and no chance that is seeded alike in each worker
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
