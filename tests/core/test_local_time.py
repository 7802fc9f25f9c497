"""Moments as messages tell them."""

from __future__ import annotations

import time

import pytest

from backfill.core.local_time import local_time


def test_a_moment_is_told_by_the_clock_on_the_wall_with_its_offset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "EST+5")
        time.tzset()
        assert local_time(1_700_000_000.9) == "2023-11-14 17:13:20-05:00"
    time.tzset()
