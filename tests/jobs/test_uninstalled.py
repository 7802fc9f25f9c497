"""A job whose destination was brought by a package that is gone."""

from __future__ import annotations

import pytest

import backfill as library
from backfill.core.errors import JobError
from tests.acceptance.sources import pristo_job


def test_it_says_what_is_missing_and_that_the_job_is_safe(tmp_path):
    job = library.plan(pristo_job(tmp_path, 5))
    job.manifest = job.manifest.model_copy(update={"destination": "letters"})
    with pytest.raises(JobError, match="'letters' is not installed any more") as raised:
        job.status()
    assert "Install the package" in str(raised.value.hint)


def test_a_destination_that_is_known_is_not_looked_for_again(tmp_path, monkeypatch):
    """Reading what every installed package says of itself takes longer than all else of a look."""
    job = library.plan(pristo_job(tmp_path, 5))
    job.status()

    def look(**_):
        raise AssertionError("looked for")

    monkeypatch.setattr("backfill.destinations.registry.entry_points", look)
    assert job.status().books.pending == 5
