"""How a run ends is noted for those who look at the job afterwards, an error among the reasons."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backfill.config import load_config
from backfill.core.errors import ConfigError, JobError
from backfill.core.model import StopKind
from backfill.core.secret import Secret
from backfill.jobs import opening
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from tests.acceptance.sources import pristo_job
from tests.jobs.access.test_shared_ledger import Server


@pytest.fixture
def planned(tmp_path: Path) -> Job:
    delivery = 'base_url = "http://127.0.0.1:1"\ntimeout = "1s"'
    config = pristo_job(tmp_path, 60, contacts=12, delivery=delivery)
    job = opening.plan_job(load_config(config), config.with_suffix(".job"))
    job.surroundings = Surroundings(transport=Server(), shared=False)
    return job


def test_a_run_that_an_error_ended_is_told_with_its_code_and_its_words(planned: Job) -> None:
    planned.run(credential=Secret("invented"), limit=3)
    file = max((planned.directory / "ready").iterdir())
    sound, before = file.read_bytes(), file.stat()
    file.write_bytes(sound[:-1] + b"?")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(JobError, match="the file was changed"):
        planned.run(credential=Secret("invented"))
    file.write_bytes(sound)
    seen = opening.open_job(planned.directory).status()
    assert seen.stop is not None
    assert (seen.stop.kind, seen.exit_code) == (StopKind.FAULT, 2)
    assert str(file) in seen.stop.message
    assert seen.ended_at is not None
    assert seen.as_dict()["stop"]["kind"] == "fault"
    finished = planned.run(credential=Secret("invented"))
    assert (finished.stop, finished.exit_code) == (None, 0)


def test_a_choice_that_means_no_record_is_what_that_run_came_to(planned: Job) -> None:
    planned.run(credential=Secret("invented"), limit=3)
    with pytest.raises(ConfigError):
        planned.run(credential=Secret("invented"), only={"type": "no such"})
    assert opening.open_job(planned.directory).status().exit_code == 2
