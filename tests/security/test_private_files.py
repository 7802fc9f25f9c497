"""A job is its owner's alone, whatever the umask; links in its directory lead nowhere."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backfill.api import open_job, plan
from backfill.config import load_config
from backfill.core.errors import BackfillError, JobError
from backfill.core.secret import Secret
from backfill.jobs.opening import plan_job
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job


@contextmanager
def umask(mask: int):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    paths = [directory, *directory.rglob("*")]
    return {
        str(path.relative_to(directory.parent)): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
    }


def assert_private(directory: Path) -> None:
    found = modes(directory)
    assert len(found) > 5
    for name, mode in found.items():
        is_directory = (directory.parent / name).is_dir()
        assert mode == (0o700 if is_directory else 0o600), (name, oct(mode))


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_directories_are_0700_and_files_0600_under_any_umask(tmp_path, mask):
    config = pristo_job(tmp_path, 30)
    directory = tmp_path / "pristo.job"
    with umask(mask), running_sandbox() as server:
        job = plan(config, job=directory)
        assert_private(directory)

        def look(_: object) -> None:
            assert_private(directory)  # the ledger's log is there now

        run: dict[str, Any] = {"credential": Secret("invented-key"), "base_url": server.url}
        job.run(observe=look, limit=10, **run)
        assert_private(directory)
        job.report()
        job.status()
        job.run(observe=look, **run)
        assert_private(directory)
        assert job.status().books.delivered == 30


def test_a_process_under_a_loose_umask_leaves_nothing_open(tmp_path):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server, umask(0):
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
    assert_private(tmp_path / "pristo.job")


def test_a_directory_that_was_open_before_is_closed(tmp_path):
    config = pristo_job(tmp_path, 5)
    directory = tmp_path / "pristo.job"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    plan(config, job=directory)
    assert_private(directory)


NAMES = ["manifest.json", "manifest.draft", "ledger.sqlite", "ready", "excluded.parquet",
         "rejected.parquet",
         "duplicates.parquet", "report.html", ".preparing", ".lock"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("to", ["file", "directory"])
def test_a_link_in_a_jobs_place_does_not_lead_a_plan_elsewhere(tmp_path, name, to):
    """Whoever may write there could have us overwrite any file of ours."""
    config = pristo_job(tmp_path, 5)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept", encoding="utf-8")
    (elsewhere / "kept").chmod(0o644)
    elsewhere.chmod(0o755)
    before = modes(elsewhere)
    directory = tmp_path / "pristo.job"
    directory.mkdir()
    (directory / name).symlink_to(elsewhere / "kept" if to == "file" else elsewhere)
    refused = "no job: report.html" if name == "report.html" else f"{name} is a link"
    with pytest.raises(JobError, match=refused):
        plan(config, job=directory)
    assert (elsewhere / "kept").read_text(encoding="utf-8") == "kept"
    assert modes(elsewhere) == before
    assert sorted(path.name for path in elsewhere.iterdir()) == ["kept"]


def test_a_link_that_comes_later_stops_a_run_and_shows_the_status_nothing(tmp_path):
    job = plan_job(load_config(pristo_job(tmp_path, 5)), tmp_path / "pristo.job")
    ledger = job.directory / "ledger.sqlite"
    ledger.rename(tmp_path / "ledger.sqlite")
    ledger.symlink_to(tmp_path / "ledger.sqlite")
    with pytest.raises(JobError, match="is a link"):
        job.run(credential=Secret("invented-key"), base_url="http://127.0.0.1:9")
    with pytest.raises(JobError, match="is a link"):
        job.status()


def test_a_lock_that_is_no_file_is_named(tmp_path):
    directory = tmp_path / "pristo.job"
    (directory / ".lock").mkdir(parents=True)
    with pytest.raises(BackfillError, match="cannot be locked"):
        plan_job(load_config(pristo_job(tmp_path, 5)), directory)


def test_a_job_may_be_reached_through_a_link(tmp_path):
    config = pristo_job(tmp_path, 5)
    plan_job(load_config(config), tmp_path / "big-disk" / "pristo.job")
    (tmp_path / "pristo.job").symlink_to(tmp_path / "big-disk" / "pristo.job")
    assert open_job(config).status().books.pending == 5


def test_records_of_a_private_job_go_only_where_they_are_told(tmp_path):
    config = pristo_job(tmp_path, 5)
    job = plan_job(load_config(config), tmp_path / "pristo.job")
    job.write_records(tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "contacts.csv",
        "events.parquet",
        "out.csv",
        "pristo.job",
        "pristo.toml",
    ]
