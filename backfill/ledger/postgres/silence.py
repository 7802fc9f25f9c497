"""A database that takes what is sent and answers nothing: frozen, or behind something that drops.

The kernel on its side acknowledges for it, so no limit of the network is reached. Nor can a limit
of time be: a question over many millions of rows may take its minutes. So what has had no answer
for a while is tried from beside: a database that lets a new connection in and answers it is at
work, and is waited for; of one that does not, the silent connection is broken, which is a case
that whoever asked knows how to go on from.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from backfill.core.errors import ConfigError
from backfill.ledger.postgres.address import password

__all__ = ["SilenceWatch", "answers"]

_UNANSWERED = 10.0  # seconds after which it is tried whether the database answers at all
_TRIED = 10.0  # seconds that a new connection has, and then an answer on it
_EVERY = 1.0  # seconds between two looks
_LEAST = 2  # seconds that libpq gives a connection at least


class SilenceWatch:
    """Breaks connections of one session on which an answer does not come.

    `address` is tried, and `on_silence` called once before a connection is broken. A thread looks
    on while something is asked. `clock` gives seconds.
    """

    def __init__(
        self, address: str, on_silence: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._address = address
        self._on_silence = on_silence
        self._clock = clock
        self._patience = _UNANSWERED
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._asked: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._woken = threading.Event()
        self._looking = False

    @contextlib.contextmanager
    def over(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Watch a connection while something is asked on it."""
        with self._lock:
            number = next(self._numbers)
            self._asked[number] = (self._clock(), connection)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="ledger-silence", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                del self._asked[number]

    def hurry(self, seconds: float) -> None:
        """Wait for answers no longer than this from now on."""
        self._patience = min(self._patience, seconds)
        self._woken.set()

    def close(self) -> None:
        """Look on no more."""
        self.hurry(0.0)

    def _look(self) -> None:
        while self._patience:
            self._woken.wait(_EVERY)
            self._woken.clear()
            with self._lock:
                silent = [
                    number
                    for number, (since, _) in self._asked.items()
                    if self._clock() - since > self._patience
                ]
            if silent and not answers(self._address, within=min(_TRIED, self._patience)):
                self._break(silent)

    def _break(self, silent: list[int]) -> None:
        """End these connections, if they are still waited for: a socket's number is used again."""
        with self._lock:
            left = [self._asked[number][1] for number in silent if number in self._asked]
            if left:
                self._on_silence()
            for each in left:
                _shut(each)


def answers(address: str, *, within: float) -> bool:
    """Whether the database answers anything on a new connection, a refusal, too."""
    seconds = max(_LEAST, round(within))
    known = None
    with contextlib.suppress(ConfigError):  # the file may be gone by now; a refusal says enough
        known = password()
    try:
        connection = psycopg.connect(
            address, autocommit=True, connect_timeout=seconds, password=known
        )
    except psycopg.errors.ConnectionTimeout:
        return False
    except psycopg.Error:
        return True
    with connection:
        late = threading.Timer(seconds, _shut, (connection,))
        late.start()
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        finally:
            late.cancel()
    return True


def _shut(connection: psycopg.Connection[Any]) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
