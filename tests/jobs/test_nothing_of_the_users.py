"""A job's directory is the program's own; what else lies somewhere is the user's, and stays."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import backfill
from backfill.config import load_config
from backfill.core.errors import JobError
from backfill.jobdir.lock import locked
from backfill.jobs.job_directory import make_directory
from backfill.jobs.opening import open_job, plan_job
from tests.acceptance.program import backfill as program
from tests.acceptance.sources import pristo_job


def tree(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "names",
    [
        ["reports/board.pdf", "report-data.xlsx", "ready/mine.csv"],
        ["ready/mine.csv"],
        ["ready/000.parquet"],
        ["rejected.parquet"],
        ["report.html"],
        ["sources/events.parquet"],
        [".lock", "notes.txt"],
        [".lock", "ready/000.parquet"],
        ["ledger.sqlite"],
        ["manifest.json"],
    ],
)
def test_a_directory_that_holds_something_is_refused_and_stays_as_it_is(
    tmp_path: Path, names: list[str]
) -> None:
    config = pristo_job(tmp_path, 5)
    directory = tmp_path / "mine"
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
        (directory / name).chmod(0o644)
    directory.chmod(0o755)
    before = tree(directory)
    for command in (["plan", config], ["run", config, "--base-url", "http://127.0.0.1:9"]):
        ended = program(*command, "--job", directory, cwd=tmp_path, expect=[2])
        assert "holds something that is no job" in ended.err
    assert tree(directory) == before
    assert directory.stat().st_mode & 0o777 == 0o755


def test_a_directory_whose_plan_was_killed_is_known_by_its_lock(tmp_path: Path) -> None:
    directory = tmp_path / "a.job"
    directory.mkdir()
    with locked(directory, "plan"):
        (directory / "rejected.parquet").touch()
        (directory / "ready").mkdir()
        (directory / "ready" / "000.parquet").touch()
    assert plan_job(load_config(pristo_job(tmp_path, 5)), directory).status().books.pending == 5


def test_what_a_user_puts_into_a_job_survives_a_plan_made_anew(tmp_path: Path) -> None:
    config = pristo_job(tmp_path, 5)
    job = plan_job(load_config(config), tmp_path / "pristo.job")
    users = [
        job.directory / name
        for name in ("report-data.xlsx", "ready/mine.csv", "reports/board.pdf", "sources/x.parquet")
    ]
    for path in users:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        path.chmod(0o640)
    (job.directory / "report.html").write_text("of what is no more")
    config.write_text(config.read_text().replace('"type" = "event"', '"type" = { value = "new" }'))
    again = plan_job(load_config(config), job.directory)
    assert again.manifest.created > job.manifest.created
    for path in users:
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("mine", 0o640)
    assert not (job.directory / "report.html").exists()
    assert open_job(config).status().books.pending == 5


def test_a_name_without_a_mark_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(JobError, match="no job: holiday"):
        make_directory(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_two_notebooks_with_one_name_leave_each_other_their_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first has stored its frame and has not planned yet."""
    frames = [
        pl.DataFrame({"phone": ["+12015550100"], "at": ["2025-01-01T00:00:00Z"], "label": [label]})
        for label in ("first", "second")
    ]
    given = {
        "destination": "watch-events",
        "job": tmp_path / "a.job",
        "time": "at",
        "fields": {"target.value": "phone", "label": "label", "confidence": {"value": "neutral"}},
    }
    refused: list[int] = []

    def meanwhile(phase: str, done: int, total: int | None) -> None:
        del phase, done, total
        if not refused:
            with pytest.raises(backfill.BackfillError) as error:
                backfill.plan(events=frames[1], **given)  # type: ignore[arg-type]
            refused.append(error.value.exit_code)

    job = backfill.plan(events=frames[0], progress=meanwhile, **given)  # type: ignore[arg-type]
    assert refused == [11]
    assert job.sample()["body"].str.contains("first").all()
    assert len(list((tmp_path / "a.job" / "sources").iterdir())) == 1
    second = backfill.plan(events=frames[1], **given)  # type: ignore[arg-type]
    assert second.sample()["body"].str.contains("second").all()
    assert len(list((tmp_path / "a.job" / "sources").iterdir())) == 1
