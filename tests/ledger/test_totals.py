"""Double entry: whatever changes a span, an intent or a total behind the ledger's back shows."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Cause, Outcome, Settlement, State
from backfill.ledger import Ledger
from backfill.ledger.statements import FOUND
from backfill.ledger.totals import first_difference


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with spans of every state and cause, and an intent, as a crash leaves it."""
    home = tmp_path_factory.mktemp("sound")
    path, copy = home / "ledger.sqlite", home / "copy.sqlite"
    with Ledger.open(path, create=True) as ledger:
        ledger.commit([], [Batch(2, 5, ((5000, 5003),))])
    with Ledger.open(path) as ledger:
        sent = [Batch(bucket, 0, ((0, 1000),)) for bucket in (0, 2)]
        ledger.commit([], sent)
        outcomes = (
            Outcome(((0, 5), (9, 900)), State.DELIVERED, "", 201),
            Outcome(((5, 7),), State.FAILED, "too long", 400),
            Outcome(((7, 9),), State.UNKNOWN, "timed out"),
        )
        settled = [Settlement(sent[0], outcomes), Settlement(sent[1])]
        ledger.commit(settled, [Batch(0, 0, ((900, 950),)), Batch(2, 7, ((2000, 2064),))])
        for suffix in ("", "-wal", "-mark"):
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    for suffix in ("", "-wal", "-mark"):
        shutil.copyfile(f"{sound}{suffix}", f"{path}{suffix}")
    return path


def refused(path: Path) -> str:
    """What opening and looking say; whatever the tampering, both must refuse."""
    with pytest.raises(LedgerError, match="THE BOOKS DO NOT BALANCE") as looked:
        Ledger.open_readonly(path)
    with pytest.raises(LedgerError) as opened:
        Ledger.open(path)
    assert str(opened.value) == str(looked.value)
    return looked.value.message


def test_nothing_is_wrong_with_it_before(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.recovered == 114
        assert {each.cause for _, each, _ in ledger.outcomes()} == {Cause.REPLY, Cause.LOST}
    Ledger.open_readonly(path).close()


COLUMNS = {"span": ("bucket", "start", "stop"), "flight": ("bucket", "start", "stop")}


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, columns in COLUMNS.items() for column in columns],
)
def test_every_flipped_bit_of_a_range_shows(path: Path, table: str, column: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        change = f"UPDATE {table} SET {column}"  # noqa: S608
        keys = raw.execute(f"SELECT bucket, start FROM {table}").fetchall()  # noqa: S608
        for key in keys:
            for bit in range(24):
                raw.execute("BEGIN")
                flip = f"(({column} | {1 << bit}) - ({column} & {1 << bit}))"
                try:
                    raw.execute(f"{change} = {flip} WHERE (bucket, start) = (?, ?)", key)
                except sqlite3.IntegrityError:  # what no ledger could hold
                    raw.execute("ROLLBACK")
                    continue
                found = raw.execute(FOUND).fetchall()
                noted = raw.execute("SELECT * FROM total").fetchall()
                assert first_difference(found, noted) is not None, (key, bit)
                raw.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("DELETE FROM span WHERE state = 'failed'", "bucket 0 has 3 ranges, where 4"),
        ("DELETE FROM flight WHERE bucket = 2", "bucket 2 has 0 in flight, where 64"),
        ("DELETE FROM span", "bucket 0 has 0 ranges, where 4"),
        ("UPDATE span SET state = 'delivered' WHERE state = 'unknown'", "records delivered"),
        ("UPDATE span SET cause = 'reply' WHERE cause = 'lost'", "not those that were written"),
        ("UPDATE span SET stop = stop - 1 WHERE start = 9", "has 895 records delivered, where 896"),
        ("UPDATE flight SET start = start + 4, stop = stop + 4", "not those that were written"),
        ("UPDATE total SET delivered = delivered + 1", "where"),
        ("DELETE FROM total", "where 0 were written down"),
        ("INSERT INTO total VALUES (7, 1, 1, 0, 0, 0, 9)", "bucket 7 has 0 ranges, where 1"),
    ],
)
def test_what_was_changed_is_named(path: Path, tampering: str, words: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(tampering)
    assert words in refused(path)


def test_a_small_fact_that_was_changed_is_not_believed(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.set_meta("learned_rate", "12.5")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE fact SET value = '92.5' WHERE name = 'learned_rate'")
    with (
        Ledger.open(path) as ledger,
        pytest.raises(LedgerError, match="what it remembers as 'learned_rate' was changed"),
    ):
        ledger.get_meta("learned_rate")


def test_decisions_by_hand_keep_both_entries(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.retry()
        ledger.resend_lost()
        ledger.resolve(State.DELIVERED)
        assert [each.cause for _, each, _ in ledger.outcomes()].count(Cause.BY_HAND) == 1
    Ledger.open(path).close()
