"""Why a file could not be written, as the operating system has it."""

from __future__ import annotations

import errno
import os
import resource

import polars as pl
import pytest

from backfill.core.atomic_files import os_error_message

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
