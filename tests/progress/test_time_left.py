"""How long the rest will take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.progress.time_left import TimeLeft


@given(
    pace=st.floats(0.5, 5_000),
    start=st.integers(0, 10**6),
    seconds=st.integers(10, 300),
    left=st.integers(1, 10**6),
)
def test_the_time_left_is_told_by_this_run_alone(pace, start, seconds, left):
    seen = TimeLeft()
    for second in range(seconds):
        seen.add(1_000.0 + second, start + round(pace * second), idle=False)
    found = seen.time_for(left)
    if round(pace * min(seconds - 1, 60)) < 10:
        return  # too little to be exact about
    assert found == pytest.approx(left / pace, rel=0.15)


def test_quiet_does_not_count_as_slowness():
    seen = TimeLeft()
    for second in range(20):
        seen.add(second, second * 50, idle=False)
    for second in range(20, 600):
        seen.add(second, 19 * 50, idle=True)
    assert seen.time_for(500) == pytest.approx(10)


def test_a_pause_of_days_needs_no_more_memory_than_one_of_a_second():
    seen = TimeLeft()
    for second in range(20):
        seen.add(second, second * 50, idle=False)
    held = len(seen._points)
    for step in range(10_000):
        seen.add(20 + step, 19 * 50, idle=True)
    assert len(seen._points) <= held + 1
    seen.add(10_020, 20 * 50, idle=False)
    assert seen.time_for(500) == pytest.approx(10)


def test_a_change_of_pace_shows_within_a_minute():
    seen = TimeLeft()
    for second in range(1_000):
        seen.add(second, second * 10, idle=False)
    for second in range(1_000, 1_070):
        seen.add(second, 10_000 + (second - 1_000) * 100, idle=False)
    assert seen.time_for(1_000) == pytest.approx(10, rel=0.05)


def test_nothing_is_guessed_from_nothing():
    seen = TimeLeft()
    assert seen.time_for(10) is None
    seen.add(0, 5, idle=False)
    seen.add(1, 6, idle=False)
    assert seen.time_for(10) is None
    for second in range(2, 60):
        seen.add(second, 6, idle=True)
    assert seen.time_for(10) is None
