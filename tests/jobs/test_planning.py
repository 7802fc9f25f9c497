"""Whether a job is still what was planned."""

from __future__ import annotations

import pytest

from backfill.config import load_config
from backfill.core.errors import JobError
from backfill.jobs.changes import difference
from backfill.jobs.opening import plan_job
from tests.acceptance.sources import pristo_job


@pytest.mark.parametrize(
    "shape", [{}, {"events": None}, {"events": {"files": 7}}, {"events": {"separator": "ab"}}]
)
def test_a_manifest_that_does_not_say_where_its_source_lies_is_damaged(tmp_path, shape):
    job = plan_job(load_config(pristo_job(tmp_path, 3)), tmp_path / "a.job")
    manifest = job.manifest.model_copy(update={"shape": shape})
    with pytest.raises(JobError, match="the manifest is damaged"):
        difference(tmp_path / "a.job", manifest, None)
