"""The log goes on whatever becomes of its file."""

from __future__ import annotations

import logging
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backfill.cli.log_file import LogFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "run.log"


@pytest.fixture
def handler(path: Path) -> Iterator[LogFile]:
    handler = LogFile(path)
    yield handler
    handler.close()


def tell(handler: LogFile, words: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": words}))


def test_a_file_that_was_moved_away_is_begun_anew_for_its_owner_alone(handler, path):
    tell(handler, "before")
    old = path.rename(path.with_suffix(".1"))
    tell(handler, "after")
    assert old.read_text() == "before\n"
    assert path.read_text() == "after\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_copied_and_emptied_goes_on_from_its_beginning(handler, path):
    tell(handler, "before")
    path.write_text("")
    tell(handler, "after")
    assert path.read_text() == "after\n"


def test_a_directory_that_is_gone_is_warned_of_once_and_the_log_goes_on_when_it_is_back(
    handler, path, caplog
):
    tell(handler, "before")
    shutil.rmtree(path.parent)
    for _ in range(3):
        tell(handler, "lost")
    assert [each.getMessage() for each in caplog.records] == [
        f"--log-file {path}: No such file or directory"
    ]
    path.parent.mkdir()
    tell(handler, "after")
    assert path.read_text() == "after\n"
