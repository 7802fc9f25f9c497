"""A ledger's file is its owner's alone, and every commit is on the disk before it returns."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch
from backfill.ledger import Ledger
from backfill.ledger.sqlite import opening


def test_files_are_for_their_owner_only_under_a_loose_umask(
    tmp_path: Path, loose_umask: None
) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite", create=True) as ledger:
        ledger.commit([], [Batch(0, 0, ((0, 1),))])
        files = sorted(each.name for each in tmp_path.iterdir())
        companions = [f"ledger.sqlite-{suffix}" for suffix in ("mark", "shm", "wal")]
        assert files == ["ledger.sqlite", *companions]
        for each in tmp_path.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_every_commit_is_synced_before_it_returns(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite", create=True) as ledger:
        connection = ledger._file._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_ledger_that_is_written_to_all_the_time_is_not_copied_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever began to look before a run came finds out then that it is to look beside it."""
    path, aside = tmp_path / "ledger.sqlite", tmp_path / "aside"
    aside.mkdir()
    Ledger.open(path, create=True).close()
    copied, plainly = 0, shutil.copyfile

    def copy_while_it_is_written(source: Path, target: Path) -> None:
        nonlocal copied
        copied += 1
        assert copied < 100
        plainly(source, target)
        os.utime(path, ns=(copied, copied))

    monkeypatch.setattr(shutil, "copyfile", copy_while_it_is_written)
    monkeypatch.setattr(opening, "_PATIENCE", 0.0)
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    with pytest.raises(LedgerError, match="faster than it can be copied"):
        Ledger.open_copy(path)
    assert list(aside.iterdir()) == []
