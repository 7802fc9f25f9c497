"""A job whose destination was brought by a package that is gone."""

from __future__ import annotations

import pytest

import backfill as library
from backfill.core.errors import JobError
from tests.acceptance.sources import pristo_job


def test_it_says_what_is_missing_and_that_the_job_is_safe(tmp_path, monkeypatch):
    job = library.plan(pristo_job(tmp_path, 5))
    monkeypatch.setattr("backfill.jobs.view.known_names", frozenset)
    with pytest.raises(JobError, match="'pristo-events' is not installed any more") as raised:
        library.open_job(job.directory).status()
    assert "Install the package" in str(raised.value.hint)
