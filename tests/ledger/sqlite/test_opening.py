"""A ledger's file is its owner's alone, and every commit is on the disk before it returns."""

from __future__ import annotations

import stat
from pathlib import Path

from backfill.core.model import Batch
from backfill.ledger import Ledger


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
