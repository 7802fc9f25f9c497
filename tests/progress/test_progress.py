"""How fast it goes, how long it takes, and who is told."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.progress.progress import Pace, PlanBar


@given(
    pace=st.floats(0.5, 5_000),
    start=st.integers(0, 10**6),
    seconds=st.integers(10, 300),
    left=st.integers(1, 10**6),
)
def test_the_time_left_is_told_by_this_run_alone(pace, start, seconds, left):
    seen = Pace()
    for second in range(seconds):
        seen.add(1_000.0 + second, start + round(pace * second), idle=False)
    found = seen.time_for(left)
    if round(pace * min(seconds - 1, 60)) < 10:
        return  # too little to be exact about
    assert found == pytest.approx(left / pace, rel=0.15)


def test_quiet_does_not_count_as_slowness():
    seen = Pace()
    for second in range(20):
        seen.add(second, second * 50, idle=False)
    for second in range(20, 600):
        seen.add(second, 19 * 50, idle=True)
    assert seen.time_for(500) == pytest.approx(10)


def test_a_change_of_pace_shows_within_a_minute():
    seen = Pace()
    for second in range(1_000):
        seen.add(second, second * 10, idle=False)
    for second in range(1_000, 1_070):
        seen.add(second, 10_000 + (second - 1_000) * 100, idle=False)
    assert seen.time_for(1_000) == pytest.approx(10, rel=0.05)


def test_nothing_is_guessed_from_nothing():
    seen = Pace()
    assert seen.time_for(10) is None
    seen.add(0, 5, idle=False)
    seen.add(1, 6, idle=False)
    assert seen.time_for(10) is None
    for second in range(2, 60):
        seen.add(second, 6, idle=True)
    assert seen.time_for(10) is None


def test_where_nobody_looks_on_a_line_is_written_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("backfill.progress.progress._FIRST", 0.1)
    monkeypatch.setattr("backfill.progress.progress._PATIENCE", 0.0)
    monkeypatch.setattr("backfill.progress.progress._REFRESH", 0.01)
    with PlanBar(lines=True) as bar:
        bar("splitting", 5, 10)
        deadline = time.monotonic() + 20
        shown = ""
        while not shown and time.monotonic() < deadline:
            shown += capsys.readouterr().err
            time.sleep(0.01)
    assert shown.startswith("splitting: 5 of 10 rows\n")


def test_a_library_says_nothing_by_itself_where_nobody_looks_on(capsys, monkeypatch):
    monkeypatch.setattr("backfill.progress.progress._FIRST", 0.0)
    monkeypatch.setattr("backfill.progress.progress._PATIENCE", 0.0)
    monkeypatch.setattr("backfill.progress.progress._REFRESH", 0.01)
    with PlanBar() as bar:
        bar("splitting", 5, 10)
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_what_is_over_at_once_says_nothing(capsys):
    with PlanBar(lines=True) as bar:
        bar("splitting", 5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_went_away_ends_nothing(monkeypatch):
    class Gone:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr("backfill.progress.progress._FIRST", 0.0)
    monkeypatch.setattr("backfill.progress.progress._PATIENCE", 0.0)
    monkeypatch.setattr("backfill.progress.progress._REFRESH", 0.01)
    monkeypatch.setattr("sys.stderr", Gone())
    with PlanBar(lines=True) as bar:
        bar("splitting", 5, 10)
        time.sleep(0.1)
        bar("splitting", 6, 10)


def test_a_phase_without_a_count_tells_its_size_and_how_long_it_takes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("backfill.progress.progress.time.monotonic", lambda: now[0])
    bar = PlanBar(quiet=True)
    bar("splitting", 0, 101_000_000)
    now[0] += 185
    moment = bar._now()
    assert moment is not None
    assert moment.amount == "101,000,000 rows, for 3 min 5 s"
    bar("splitting", 50_000_000, 101_000_000)
    moment = bar._now()
    assert moment is not None
    assert moment.amount == "50,000,000 of 101,000,000 rows"
