"""A thread that does something now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Repeating"]


class Repeating:
    """Calls a function every so many seconds, in a thread of its own, from `start` to `stop`."""

    def __init__(self, function: Callable[[], None], every: float, *, name: str) -> None:
        self._function = function
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first call comes after the first wait."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the call at hand. Does nothing where it never began."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _repeat(self) -> None:
        while not self._over.wait(self._every):
            self._function()
