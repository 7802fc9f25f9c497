"""What a store is opened with, and when anew."""

from __future__ import annotations

import pytest

from backfill.sources.object_stores import open_store


def test_a_store_is_opened_anew_where_something_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And only then: a client reads all certificates of the machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "invented")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "invented")
    first = open_store("s3://bucket/a", time="1m")
    assert open_store("s3://bucket/a", time="1m") is first
    assert open_store("s3://bucket/b", time="1m") is not first
    assert open_store("s3://bucket/a", time="2m") is not first
    assert open_store("s3://bucket/a", time="1m", patient=False) is not first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert open_store("s3://bucket/a", time="1m") is not first
