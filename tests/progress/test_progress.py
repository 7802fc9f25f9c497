"""How far it is, and who is told."""

from __future__ import annotations

import time

from backfill.progress.progress import PlanBar


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
