"""Whether the books balance: each file and the ledger against the manifest."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from backfill.core.errors import JobError
from backfill.core.model import State
from backfill.jobdir.manifest import Manifest
from backfill.jobs.audit import audit
from backfill.ledger import Ledger
from tests.report import jobs


def audited(directory: Path, manifest: Manifest) -> None:
    with Ledger.open_readonly(directory / "ledger.sqlite") as ledger:
        audit(directory, manifest, ledger)


@pytest.fixture
def job(tmp_path: Path):
    job = jobs.make_job(tmp_path / "a.job", buckets=(40, 25), rejected=5, duplicate=3)
    jobs.deliver(job, [(0, 40, State.DELIVERED, ""), (1, 25, State.FAILED, "bad")])
    return job


def test_a_job_whose_every_record_is_settled_balances(job):
    audited(job.directory, job.manifest)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("rejected.parquet", 5),
        ("duplicates.parquet", 3),
        ("ready/000.parquet", 40),
        ("ready/001.parquet", 25),
    ],
)
@pytest.mark.parametrize("damage", ["a row less", "a row more", "cut off", "gone"])
def test_a_file_with_another_number_of_rows_is_named(job, name, rows, damage):
    path = job.directory / name
    frame = pl.read_parquet(path)
    found = rows
    if damage == "a row less":
        found = rows - 1
        frame.head(found).write_parquet(path)
    elif damage == "a row more":
        found = rows + 1
        pl.concat([frame, frame.head(1)]).write_parquet(path)
    else:
        path.write_bytes(path.read_bytes()[:-20])
        if damage == "gone":
            path.unlink()
    with pytest.raises(JobError) as error:
        audited(job.directory, job.manifest)
    words = {"cut off": f"{name} cannot be read", "gone": f"{name} is missing"}
    counted = f"{name} has {found} rows where the manifest says {rows}"
    assert words.get(damage, counted) in str(error.value)
    assert "THE BOOKS DO NOT BALANCE" in str(error.value)
    assert error.value.where == str(job.directory)


@pytest.mark.parametrize("error", [-66, -1, 1])
def test_a_manifest_that_counts_other_ready_records_than_its_buckets_is_told(job, error):
    manifest = job.manifest.model_copy(update={"ready": job.manifest.ready + error})
    with pytest.raises(JobError, match=f"{65 + error} records are to be ready"):
        audited(job.directory, manifest)


@pytest.mark.parametrize("error", [-1, 1])
def test_rows_that_came_in_and_went_nowhere_are_missed(job, error):
    manifest = job.manifest.model_copy(update={"input": job.manifest.input + error})
    with pytest.raises(JobError, match=f"{73 + error} rows came in"):
        audited(job.directory, manifest)


def test_a_ledger_that_speaks_of_rows_beyond_a_file_is_another_jobs(tmp_path):
    job = jobs.make_job(tmp_path / "b.job", buckets=(40, 25))
    audited(job.directory, job.manifest)
    jobs.deliver(job, [(1, 3, State.DELIVERED, ""), (1, 21, None, ""), (1, 1, State.FAILED, "bad")])
    audited(job.directory, job.manifest)
    jobs.deliver(job, [(1, 25, None, ""), (1, 1, State.DELIVERED, "")])
    with pytest.raises(JobError, match=r"rows that 001\.parquet does not have"):
        audited(job.directory, job.manifest)
