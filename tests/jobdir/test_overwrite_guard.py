"""What a job lives on is never written over, whatever name leads to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backfill.api import Job, open_job, plan
from backfill.core.atomic_files import free_name
from backfill.core.errors import ConfigError
from backfill.jobdir.overwrite_guard import (
    refuse_job_place,
    refuse_other_content,
    refuse_own_files,
)
from tests.acceptance.program import backfill
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
            job.write_records(target, force=True)
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
    with pytest.raises(ConfigError, match="exists already"):
        job.write_records(place / "old.csv")
    job.write_records(place / "old.csv", force=True)
    assert "old" not in (place / "old.csv").read_text("utf-8").split("\n")[0]
    # These names mean something in a job's directory alone.
    job.write_records(place / "rejected.parquet", "rejected")
    job.write_records(place / "rejected.parquet", "rejected", force=True)
    assert job.report() == (job.directory / "report.html",)
    assert job.report() == (job.directory / "report.html",)


def test_a_job_takes_no_file_of_anybody_else(job: Job) -> None:
    for name in ("mine.csv", "report-data.parquet", "ready/report.html", "sub/x.csv"):
        with pytest.raises(ConfigError, match="where a job keeps"):
            refuse_own_files(
                job.directory / name, job.directory, job.manifest, job.config, report=True
            )
    with pytest.raises(ConfigError, match="where a job keeps"):
        refuse_own_files(job.directory / "report.html", job.directory, job.manifest, job.config)
    with pytest.raises(ConfigError, match="where a job keeps"):
        refuse_job_place(job.directory / "report.html")


LOG = b'{"time": "'


def test_a_log_is_written_only_where_there_is_none_of_something_else(
    job: Job, tmp_path: Path
) -> None:
    place, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    os.link(place / "contacts.csv", elsewhere / "hard.log")
    (elsewhere / "link.log").symlink_to(place / "events.parquet")
    others = [place / name for name in ("contacts.csv", "events.parquet", "pristo.toml")]
    for path in (*others, elsewhere / "hard.log", elsewhere / "link.log"):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="holds something else"):
            refuse_other_content(path, LOG)
        assert path.read_bytes() == before
    for name in ("run.log", "manifest.json"):
        with pytest.raises(ConfigError, match="where a job keeps"):
            refuse_other_content(job.directory / name, LOG)
    (elsewhere / "empty.log").touch()
    (elsewhere / "old.log").write_text('{"time": "2025-01-01T00:00:00.000+00:00"}\n')
    for name in ("empty.log", "old.log", "new.log"):
        refuse_other_content(elsewhere / name, LOG)
    refuse_other_content(Path(os.devnull), LOG)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "pristo.toml", "--base-url", "http://127.0.0.1:9", "--log-file", "contacts.csv"],
        ["status", "pristo.job", "--log-file", "pristo.job/manifest.json"],
        ["plan", "pristo.toml", "--log-file", "pristo.toml"],
        ["sandbox", "--log", "contacts.csv"],
        ["records", "pristo.job", "--force", "-o", "contacts.csv"],
        ["records", "pristo.job", "-o", "pristo.job/ledger.csv"],
        ["records", "pristo.job", "-o", "mine.csv"],
        ["report", "pristo.job", "-o", "pristo.job/ready/x.html"],
        ["init", "contacts.csv", "--destination", "pristo-events", "-o", "pristo.job/new.toml"],
        ["init", "contacts.csv", "--destination", "pristo-events", "-o", "pristo.toml"],
    ],
    ids=" ".join,
)
def test_no_option_writes_where_it_must_not(job: Job, tmp_path: Path, command: list[str]) -> None:
    place = tmp_path / "project"
    (place / "mine.csv").write_text("edited by hand")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    backfill(*command, cwd=place, expect=[2])
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_name_that_is_suggested_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_name("failed.csv") == "failed.csv"
    (tmp_path / "failed.csv").touch()
    (tmp_path / "failed-2.csv").symlink_to(tmp_path / "nowhere")
    assert free_name("failed.csv") == "failed-3.csv"
