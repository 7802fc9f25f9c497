"""Surroundings for the ledger's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.places import Place, PostgresPlace, SqlitePlace


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger lies, in either database."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "ledger.sqlite")
    return PostgresPlace(request.getfixturevalue("postgres").address)
