"""The PostgreSQL of a campaign: one server, for as long as lives go on, and no longer."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ledger.postgres.server import PostgresServer, why_none

__all__ = ["in_child", "running_database"]


def in_child(work: Callable[[], int]) -> int:
    """Call a function in a process of its own; returns the exit code that it returns.

    However this process is asked to end, it ends that one and its children, and goes on to remove
    what it holds: nothing that a life stands in for is replaced in this one.
    """
    child = os.fork()
    with suppress(OSError):  # each does it, for who comes first is not known
        os.setpgid(child, child)
    if not child:
        code = 1
        try:
            code = work()
        except BaseException:  # noqa: BLE001 - the process ends right here
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        signal.signal(signal.SIGTERM, before)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGTERM)


@contextmanager
def running_database(place: Path | None) -> Iterator[str | None]:
    """The address of a server whose files lie in `place`; None where none can be started."""
    if (reason := why_none()) is not None:
        print(f"no life of several deliverers: {reason}", flush=True)
        yield None
        return
    before = tempfile.tempdir
    tempfile.tempdir = None if place is None else str(place)
    try:
        server = PostgresServer()
    finally:
        tempfile.tempdir = before
    try:
        yield server.address
    finally:
        server.remove()
