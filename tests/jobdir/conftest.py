"""An object store for tests of jobs that lie in one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.object_store import SURROUNDINGS, new_bucket, running_object_store


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    with running_object_store() as server:
        yield server


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> str:
    """A new bucket's address, which the environment leads to; this machine has no copy yet."""
    for name, value in {**SURROUNDINGS, "AWS_ENDPOINT_URL": object_store}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return new_bucket(object_store)
