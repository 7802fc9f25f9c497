"""An endpoint on this machine that limits requests, over real sockets, and counts what came.

python -m benchmarks.limited_endpoint --limit 150 --burst 15 --seconds 0.02
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.endpoint import PRISTO, Requests
from tests.deliver.pacing.limiters import Bucket, Limiter

__all__ = ["Seen", "limited_endpoint"]

_IN_FLIGHT = 0.01  # seconds in which a request may have crossed the refusal


@dataclass
class Seen:
    """Requests that the endpoint took and refused, those that came before a `Retry-After` had
    passed, and the seconds from the first request to the last one that it took.
    """

    accepted: int = 0
    refused: int = 0
    early: int = 0
    seconds: float = 0.0


class _Limited(Requests):
    """Answers each request after `seconds`, be it taken or refused."""

    def __init__(self, limiter: Limiter, seen: Seen, seconds: float) -> None:
        self._limiter = limiter
        self._seen = seen
        self._seconds = seconds

    began: float | None = None
    shut: tuple[float, float] = (0.0, 0.0)  # from when on, and until when

    def answer(self, head: bytes) -> None:
        if head.startswith(b"get "):
            self.write(200, json.dumps(asdict(self._seen)))
        else:
            self._count()

    def _count(self) -> None:
        now = time.monotonic()
        kind = type(self)
        if kind.began is None:
            kind.began = now
        self._seen.early += kind.shut[0] < now < kind.shut[1]
        wait = self._limiter.take(now - kind.began)
        later = asyncio.get_running_loop().call_later
        if wait:
            self._seen.refused += 1
            later(self._seconds, self._refuse, math.ceil(wait))
        else:
            self._seen.accepted += 1
            self._seen.seconds = now - kind.began
            later(self._seconds, self.write, 201, PRISTO)

    def _refuse(self, seconds: int) -> None:
        now = time.monotonic()
        kind = type(self)
        kind.shut = (now + _IN_FLIGHT, max(kind.shut[1], now + seconds))
        self.write(429, "{}", f"Retry-After: {seconds}\r\n")


@contextlib.contextmanager
def limited_endpoint(limit: float, burst: float, seconds: float) -> Iterator[str]:
    """Serve in a process of its own until the block ends. Yields the base URL.

    `limit` is requests a second of a token bucket that holds `burst`; every answer takes so many
    seconds, and a refusal says `Retry-After` in whole ones.
    """
    command = [sys.executable, "-m", "benchmarks.limited_endpoint", "--limit", str(limit)]
    command += ["--burst", str(burst), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def seen_by(url: str) -> Seen:
    """What the endpoint has counted until now."""
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - a URL of our own
        return Seen(**json.load(reply))


async def _serve(limiter: Limiter, seconds: float) -> None:
    seen = Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Limited(limiter, seen, seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=float, required=True, help="requests a second")
    parser.add_argument("--burst", type=float, required=True, help="requests at once")
    parser.add_argument("--seconds", type=float, required=True, help="from request to answer")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Bucket(given.limit, given.burst), given.seconds))


if __name__ == "__main__":
    main()
