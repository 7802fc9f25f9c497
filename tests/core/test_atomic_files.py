"""Why a file could not be written, as the operating system has it."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import polars as pl
import pytest

from backfill.core.atomic_files import os_error_message, put_new

WITH_NUMBER = "parquet: underlying IO error: No space left on device (os error 28)"
WITHOUT = "parquet: File out of specification: Invalid thrift: transport error"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), os.strerror(errno.EROFS)),
        (pl.exceptions.ComputeError(WITH_NUMBER), os.strerror(errno.ENOSPC)),
        (pl.exceptions.ComputeError(WITHOUT), None),
        (ValueError("os error 28 is none of ours"), None),
    ],
)
def test_only_what_the_system_complained_about_is_a_matter_of_room(tmp_path, error, words):
    assert os_error_message(error, tmp_path) == words


def test_where_polars_does_not_say_why_a_write_failed_it_is_tried_again(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        words = os_error_message(pl.exceptions.ComputeError(WITHOUT), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert words == os.strerror(errno.EFBIG)
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_new_never_takes_the_place_of_another(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    put_new(tmp_path / "first", tmp_path / "name")
    with pytest.raises(FileExistsError):
        put_new(tmp_path / "second", tmp_path / "name")
    assert (tmp_path / "name").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["name", "second"]


def test_without_links_it_is_put_there_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    put_new(tmp_path / "first", tmp_path / "name")
    with pytest.raises(FileExistsError):
        put_new(tmp_path / "second", tmp_path / "name")
    assert (tmp_path / "name").read_text() == "first"
