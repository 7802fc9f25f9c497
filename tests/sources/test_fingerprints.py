"""A file is the same when its bytes are, and what is surely untouched is not read again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from backfill.core.errors import SourceError
from backfill.sources.entries import SourceEntry
from backfill.sources.fingerprints import check_unchanged, hash_file


def entry(path: Path) -> SourceEntry:
    status = path.stat()
    return SourceEntry(
        name=path.name,
        path=str(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        rows=1,
    )


@pytest.fixture
def entries(tmp_path) -> list[SourceEntry]:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"x\n{name}\n")
    return [entry(tmp_path / "a.csv"), entry(tmp_path / "b.csv")]


def test_untouched_and_merely_touched_files_are_unchanged(tmp_path, entries):
    assert check_unchanged(entries, tmp_path) is None
    os.utime(tmp_path / "b.csv", ns=(1, 1))
    assert check_unchanged(entries, tmp_path) is None


@pytest.mark.parametrize("content", ["x\nc.csv\n", "x\n", None])
def test_a_changed_or_missing_file_is_named(tmp_path, entries, content):
    path = tmp_path / "b.csv"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
        os.utime(path, ns=(1, 1))
    assert check_unchanged(entries, tmp_path) == entries[1]


def test_a_relative_path_belongs_to_the_directory(tmp_path, entries):
    relative = entries[0].model_copy(update={"path": "a.csv"})
    assert check_unchanged([relative], tmp_path) is None
    assert check_unchanged([relative], tmp_path / "elsewhere") == relative


def test_the_hash_is_that_of_the_bytes_and_tells_how_far_it_is(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(os.urandom(5 << 20))
    steps: list[int] = []
    assert (
        hash_file(path, name="big", advance=steps.append)
        == hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert steps == sorted(steps)
    assert steps[-1] == 5 << 20
    with pytest.raises(SourceError, match="cannot be read"):
        hash_file(tmp_path / "none", name="none")
