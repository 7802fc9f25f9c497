"""How a run ends is noted for those who look at the job afterwards, an error among the reasons."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from backfill.config import load_config
from backfill.core.errors import ConfigError, JobError, LedgerError, StorageError
from backfill.core.model import StopKind
from backfill.core.secret import Secret
from backfill.jobdir import storage_wait
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


@pytest.mark.parametrize("records", [60, 300], ids=["read as they go", "in memory"])
def test_a_job_that_is_moved_away_sends_no_more_and_goes_on_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    """Whether the next record's intent finds no ledger in its place, or its body no ready file."""
    monkeypatch.setattr(storage_wait, "_PATIENCE", 0.0)
    contacts = 12 if records == 60 else 1  # lanes
    config = pristo_job(tmp_path, records, contacts=contacts)
    job = opening.plan_job(load_config(config), config.with_suffix(".job"))
    server, away = Server(), tmp_path / "away"
    asked: list[None] = []

    def move() -> None:
        asked.append(None)
        if len(asked) == 5:
            job.directory.rename(away)

    server.asked = move
    job.surroundings = Surroundings(transport=server, shared=False)
    send = partial(job.run, credential=Secret("invented"), base_url="http://127.0.0.1:1")
    error = StorageError if contacts > 1 else LedgerError
    with pytest.raises(error, match=r"not there any more|was moved or removed"):
        send(concurrency=1)
    assert len(server.stored) == 5
    away.rename(job.directory)
    status = send()
    assert status.exit_code == 0
    assert status.books.delivered == len(server.stored) == len(set(server.stored))
