from pathlib import Path

import pytest

from backfill.jobdir.manifest import Seal
from backfill.jobs.sealing import seals
from backfill.prepare.engines.engine import Threads


class ManyRanges(Threads):
    ranges = 7


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    (tmp_path / "ready").mkdir()
    for number in range(5):
        (tmp_path / "ready" / f"{number:03d}.parquet").write_bytes(b"x" * number)
    (tmp_path / "rejected.parquet").write_bytes(b"rejected")
    return tmp_path


@pytest.mark.parametrize("engine", [Threads(), ManyRanges()])
def test_each_file_of_a_draft_has_its_own_seal(draft: Path, engine: Threads) -> None:
    found = seals(draft, engine)
    assert sorted(found) == [*(f"ready/{n:03d}.parquet" for n in range(5)), "rejected.parquet"]
    assert all(found[name] == Seal.of(draft / name) for name in found)


def test_the_seals_of_a_relative_path_have_the_same_names(draft, monkeypatch):
    monkeypatch.chdir(draft.parent)
    assert seals(Path(draft.name), Threads()) == seals(draft, Threads())


def test_a_draft_without_files_has_no_seals(tmp_path):
    assert seals(tmp_path, Threads()) == {}


def test_progress_is_told_by_files(draft):
    told = []
    seals(draft, Threads(), lambda *step: told.append(step))
    assert told[-1] == ("sealing", 6, 6)
