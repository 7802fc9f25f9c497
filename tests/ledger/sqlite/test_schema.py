"""A ledger of the first version is opened, looked at and brought up to date as what it was."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Cause, Outcome, Settlement, State
from backfill.ledger import Ledger
from backfill.ledger.sqlite import schema

# As it was, word for word.
FIRST = """
CREATE TABLE span (
    bucket INTEGER NOT NULL, start INTEGER NOT NULL CHECK (start >= 0),
    stop INTEGER NOT NULL CHECK (stop > start),
    state TEXT NOT NULL CHECK (state IN ('delivered', 'failed', 'unknown')),
    http_status INTEGER, reason TEXT NOT NULL, request_id TEXT, at REAL NOT NULL,
    PRIMARY KEY (bucket, start)
) WITHOUT ROWID;
CREATE TABLE flight (
    bucket INTEGER NOT NULL, start INTEGER NOT NULL CHECK (start >= 0),
    stop INTEGER NOT NULL CHECK (stop > start), lane INTEGER NOT NULL,
    PRIMARY KEY (bucket, start)
) WITHOUT ROWID;
CREATE TABLE tick (
    at INTEGER PRIMARY KEY, sent INTEGER NOT NULL, throttled INTEGER NOT NULL,
    retried INTEGER NOT NULL, delivered INTEGER NOT NULL, failed INTEGER NOT NULL,
    unknown INTEGER NOT NULL
);
CREATE TABLE latency (
    at INTEGER NOT NULL, slot INTEGER NOT NULL, replies INTEGER NOT NULL, PRIMARY KEY (at, slot)
) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO span VALUES (0, 0, 10, 'delivered', 201, '', 'r-1', 1000.5);
INSERT INTO span VALUES (0, 10, 12, 'unknown', NULL,
                         'the program ended before the reply was written down', NULL, 1001.5);
INSERT INTO span VALUES (0, 12, 15, 'unknown', NULL, 'timed out', NULL, 1002.5);
INSERT INTO span VALUES (1, 0, 4, 'failed', 400,
                         'settled by hand as failed (before: timed out)', NULL, 1003.5);
INSERT INTO flight VALUES (1, 4, 9, 0);
INSERT INTO tick VALUES (990, 4, 0, 0, 10, 0, 5);
INSERT INTO fact VALUES ('learned_rate', '12.5');
PRAGMA application_id = 1650878828;
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.executescript(FIRST)
    return path


def test_it_is_brought_up_to_date(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.recovered == 5
        causes = [(each.ranges[0], each.cause) for _, each, _ in ledger.outcomes()]
        assert causes == [
            ((0, 10), Cause.REPLY),
            ((10, 12), Cause.LOST),
            ((12, 15), Cause.REPLY),
            ((0, 4), Cause.BY_HAND),
            ((4, 9), Cause.LOST),
        ]
        assert ledger.get_meta("learned_rate") == "12.5"
        assert ledger.requests().sent == 4 + 1, "and the one that was in flight"
        assert ledger.resend_lost() == 7
        again = Batch(0, 0, ((10, 12),))
        ledger.commit([], [again])
        ledger.commit([Settlement(again, (Outcome(again.ranges, State.DELIVERED),))], [])
    with Ledger.open(path) as ledger:
        assert ledger.counts() == {State.DELIVERED: 12, State.FAILED: 4, State.UNKNOWN: 3}


def test_looking_at_it_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with Ledger.open_readonly(path) as look:
        assert look.in_flight() == 5
        assert look.counts() == {State.DELIVERED: 10, State.FAILED: 4, State.UNKNOWN: 5}
    assert path.read_bytes() == before
    assert not path.with_name("ledger.sqlite-mark").exists()


def test_a_crash_between_the_mark_and_the_new_tables_does_no_harm(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {1: schema.MIGRATIONS[1] + "; CREATE NONSENSE"}
    with monkeypatch.context() as broken:
        broken.setattr(schema, "MIGRATIONS", steps)
        with pytest.raises(LedgerError, match="as it was"):
            Ledger.open(path)
    assert path.with_name("ledger.sqlite-mark").exists()
    Ledger.open_readonly(path).close()
    with Ledger.open(path) as ledger:
        assert ledger.recovered == 5
    with Ledger.open(path) as ledger:
        assert ledger.recovered == 0


def test_its_tables_are_those_of_a_new_one(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.sqlite"
    Ledger.open(new, create=True).close()
    Ledger.open(path).close()

    def columns(of: Path) -> set[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(of)) as raw:
            return set(
                raw.execute(
                    "SELECT m.name, c.name, c.type, c.[notnull], c.pk FROM sqlite_master AS m,"
                    " pragma_table_info(m.name) AS c"
                )
            )

    assert columns(path) == columns(new)
