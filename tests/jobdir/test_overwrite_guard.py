"""What a job lives on is never written over, whatever name leads to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backfill.api import Job, open_job, plan
from backfill.core.errors import ConfigError
from backfill.jobdir.overwrite_guard import refuse_own_files
from tests.acceptance.sources import pristo_job, watch_job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of two sources in `project/`, beside which lies `elsewhere/`."""
    place = tmp_path / "project"
    place.mkdir()
    (tmp_path / "elsewhere").mkdir()
    return plan(pristo_job(place, 20))


def refuse(job: Job, target: Path) -> str:
    """Try to write a page and, where the ending allows it, records; return what was said."""
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(ConfigError) as report:
        job.report(target, "html")
    if target.suffix in (".csv", ".parquet"):
        with pytest.raises(ConfigError) as records:
            job.write_records(target)
        assert str(records.value) == str(report.value)
    assert (target.read_bytes() if target.is_file() else None) == before
    assert (report.value.exit_code, report.value.where) == (2, str(target))
    return report.value.message


def test_sources_and_the_configuration_are_never_written_over(job: Job, tmp_path: Path) -> None:
    place = tmp_path / "project"
    for name in ("events.parquet", "contacts.csv"):
        assert refuse(job, place / name).startswith("is a source of the job,")
    assert refuse(job, place / "pristo.toml").startswith("is the configuration of the job,")
    job.status()
    assert open_job(place / "pristo.toml").records().height == 20


def test_whatever_name_leads_to_a_source_it_is_known(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (elsewhere / "link.csv").symlink_to(place / "contacts.csv")
    os.link(place / "contacts.csv", elsewhere / "hard.csv")
    (elsewhere / "way").symlink_to(place)
    monkeypatch.chdir(elsewhere)
    for name in ("link.csv", "hard.csv", "way/contacts.csv", "../project/./contacts.csv"):
        assert "source" in refuse(job, Path(name))
    assert "place where a job keeps" in refuse(job, Path("way/pristo.job/rejected.parquet"))


def test_a_source_is_known_wherever_its_path_is_counted_from(job: Job, tmp_path: Path) -> None:
    place = tmp_path / "project"
    (entry,) = job.manifest.events
    for path in ("events.parquet", str(place / "events.parquet")):
        events = (entry.model_copy(update={"path": path}),)
        manifest = job.manifest.model_copy(update={"events": events})
        for config in (job.config, None):
            with pytest.raises(ConfigError, match="is a source"):
                refuse_own_files(place / "events.parquet", job.directory, manifest, config)


def test_a_job_that_was_moved_with_its_sources_keeps_them(job: Job, tmp_path: Path) -> None:
    moved = (tmp_path / "project").rename(tmp_path / "moved")
    again = open_job(moved / "pristo.job")
    assert "is a source" in refuse(again, moved / "events.parquet")
    (moved / "pristo.toml").write_text("broken")
    again = open_job(moved / "pristo.job")
    assert again.config is None
    assert "is a source" in refuse(again, moved / "contacts.csv")
    assert "is the configuration" in refuse(again, moved / "pristo.toml")


def test_nothing_that_a_job_keeps_is_written_over(job: Job, tmp_path: Path) -> None:
    status = job.status()
    kept = [path for path in job.directory.rglob("*") if path != job.directory / "report.html"]
    assert {"manifest.json", "ledger.sqlite", "ready"} <= {path.name for path in kept}
    for path in kept:
        if not path.is_dir():
            assert "where a job keeps" in refuse(job, path)
    names = ".lock", "ready/new.csv", "sources/new.parquet", "ledger.sqlite-wal", "Rejected.parquet"
    for name in names:
        with pytest.raises(ConfigError, match="where a job keeps"):
            refuse_own_files(job.directory / name, job.directory, job.manifest, job.config)
    assert job.status() == status


def test_another_jobs_files_are_as_safe(job: Job, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    other = plan(watch_job(place, 5), job=place / "other.job")
    assert "where a job keeps" in refuse(job, other.directory / "duplicates.parquet")


def test_any_other_file_is_written_as_ever(job: Job, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    (place / "old.csv").write_text("old")
    job.write_records(place / "old.csv")
    assert "old" not in (place / "old.csv").read_text("utf-8").split("\n")[0]
    # These names mean something in a job's directory alone.
    job.write_records(place / "rejected.parquet", "rejected")
    job.write_records(place / "rejected.parquet", "rejected")
    assert job.report() == (job.directory / "report.html",)
    assert job.report() == (job.directory / "report.html",)
    job.write_records(job.directory / "mine.csv")
