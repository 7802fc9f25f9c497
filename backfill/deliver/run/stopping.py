"""Why a run ends early: requests from outside, and the run's own reasons, by precedence."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from backfill.core.errors import BackfillError, StorageError
from backfill.core.model import Stop, StopKind

__all__ = ["StopRequest", "StopState"]

_PRECEDENCE = {kind: place for place, kind in enumerate(StopKind)}


class StopRequest:
    """Asks a run to end well, from a signal handler, another thread or the same one.

    The first request counts. One that comes before the run begins is honoured, too.

    `elsewhere` says that other processes make the requests: whoever asks twice is `impatient`, and
    may leave once these were told.
    """

    def __init__(self) -> None:
        self.elsewhere = False
        self.impatient = False
        self._lock = threading.RLock()  # a signal may interrupt `request` itself
        self._kind: StopKind | None = None
        self._wakers: list[Callable[[], None]] = []

    @property
    def kind(self) -> StopKind | None:
        return self._kind

    def request(self, kind: StopKind) -> None:
        """Start nothing new, finish and record what is in flight. Returns at once."""
        with self._lock:
            if self._kind is None:
                self._kind = kind
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    @contextlib.contextmanager
    def attached(self, called: Callable[[StopKind], None]) -> Iterator[None]:
        """Have `called` called in the running event loop once a halt is requested."""

        def tell() -> None:
            if self._kind is not None:
                called(self._kind)

        waker = _waker(tell)
        with self._lock:
            self._wakers.append(waker)
        tell()
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(waker)


def _waker(function: Callable[[], None]) -> Callable[[], None]:
    """A function that may be called from anywhere and runs `function` in this event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio  # noqa: PLC0415 - the only other loop, and there when a test brought it

        token = trio.lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(function)

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the run
            loop.call_soon_threadsafe(function)

    return wake


class StopState:
    """Remembers why the run ends; `pulled` is called each time. Once pulled it stays pulled."""

    def __init__(self, pulled: Callable[[], None]) -> None:
        self.stop: Stop | None = None
        self.error: BackfillError | None = None
        self._pulled = pulled

    @property
    def pulled(self) -> bool:
        return self.stop is not None or self.error is not None

    def pull(self, stop: Stop) -> None:
        """Start nothing new. Of several reasons the first by precedence is told."""
        if self.stop is None or _PRECEDENCE[stop.kind] < _PRECEDENCE[self.stop.kind]:
            self.stop = stop
        self._pulled()

    def fail(self, error: BackfillError) -> None:
        """Start nothing new: the run cannot go on, and raises the first such error.

        One that is to end needs nothing more of a storage that is away.
        """
        if self.pulled and isinstance(error, StorageError):
            return
        self.error = self.error or error
        self._pulled()
