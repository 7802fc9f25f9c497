"""Surroundings for the ledger's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.places import Place, PostgresPlace, SqlitePlace
from tests.ledger.postgres.server import PostgresServer, why_none


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this process's own."""
    reason = why_none()
    if reason is not None:
        pytest.skip(reason)
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger lies, in either database."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "ledger.sqlite")
    return PostgresPlace(request.getfixturevalue("postgres").address)
