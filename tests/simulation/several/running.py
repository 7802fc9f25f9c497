"""The PostgreSQL of a campaign: one server, for as long as lives go on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ledger.postgres.server import PostgresServer, why_none

__all__ = ["running_database"]


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
