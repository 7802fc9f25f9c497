"""Why a plan could not be written, and whether a job is still what was planned."""

from __future__ import annotations

import errno
import os
import resource

import polars as pl
import pytest

from backfill.config import load_config
from backfill.errors import JobError
from backfill.jobs import plan_job
from backfill.planning import _system_words, difference
from tests.acceptance.sources import pristo_job

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
    assert _system_words(error, tmp_path) == words


def test_where_polars_does_not_say_why_a_write_failed_it_is_tried_again(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        words = _system_words(pl.exceptions.ComputeError(WITHOUT), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert words == os.strerror(errno.EFBIG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "shape", [{}, {"events": None}, {"events": {"files": 7}}, {"events": {"separator": "ab"}}]
)
def test_a_manifest_that_does_not_say_where_its_source_lies_is_damaged(tmp_path, shape):
    job = plan_job(load_config(pristo_job(tmp_path, 3)), tmp_path / "a.job")
    manifest = job.manifest.model_copy(update={"shape": shape})
    with pytest.raises(JobError, match="the manifest is damaged"):
        difference(tmp_path / "a.job", manifest, None)
