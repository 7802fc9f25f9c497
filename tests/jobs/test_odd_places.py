"""A path is a path, whatever a glob would make of the signs in it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import backfill as package
from backfill.cli import _group
from backfill.config import load_config
from backfill.jobs.opening import open_job, plan_job
from backfill.report.gather import gather
from tests.acceptance.sources import pristo_job, watch_job


@pytest.mark.parametrize("name", ["[2024]", "a*b", "who?", "[!x]{a,b}", "year=2024", "50% off"])
def test_a_job_works_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    config = pristo_job(place, 30)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"events.parquet"', '"events*.parquet"'), encoding="utf-8")
    job = plan_job(load_config(config), place / "pristo.job")
    assert job.status().books.pending == 30
    assert job.records("pending").height == job.sample(30).height == 30
    assert job.rejected.height == job.duplicates.height == 0
    assert gather(job).status.books.balanced
    job.write_records(place / "all.parquet")
    assert pl.read_parquet(place / "all.parquet", glob=False).height == 30
    moved = place.rename(tmp_path / f"{name}[moved]")
    again = open_job(moved / "pristo.toml")
    again.refuse_change()
    assert again.status().books.balanced
    assert again.records().height == 30


def test_an_absolute_glob_reaches_into_a_folder_of_any_name(tmp_path: Path) -> None:
    place = tmp_path / "[2024]"
    place.mkdir()
    config = watch_job(place, 10)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"watch.csv"', f'"{place}/w*.csv"'), encoding="utf-8")
    assert plan_job(load_config(config), place / "a.job").status().books.pending == 10


def called(*arguments: str) -> str:
    """What a command says that must succeed."""
    result = CliRunner().invoke(_group, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def files_of(place: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in place.rglob("*") if each.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another directory than the one where a command is typed."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_folder_called_like_the_home_directory_is_not_taken_for_it(home: Path) -> None:
    there = home.parent / "here" / "~"
    there.mkdir()
    watch_job(there, 10)
    watch_job(home, 20)  # of the same name, and with a job that is being prepared
    drafts = home / "watch.job" / ".preparing"
    drafts.mkdir(parents=True)
    (drafts / "excluded.parquet").write_text("somebody else's", encoding="utf-8")
    (home / "all.parquet").write_text("somebody else's", encoding="utf-8")
    theirs = files_of(home)
    called("plan", "./~/watch.toml", "-q")
    called("records", "./~/watch.job", "-o", "./~/all.parquet")
    assert pl.read_parquet(there / "all.parquet", glob=False).height == 10
    called("show", "~/watch.job", "1")
    (there / "next.toml").write_text(
        (there / "watch.toml").read_text(encoding="utf-8")
        + '\n[dedupe]\ndelivered_by = ["watch.job"]\n',
        encoding="utf-8",
    )
    called("plan", "./~/next.toml", "--job", "./~x.job", "-q")
    assert package.open_job("~/watch.job").records("pending").height == 10
    assert package.open_job("~x.job").sample(3).height == 3
    again = package.plan("~/watch.toml", rest_of="./~x.job", job="~y.job")
    assert again.records("pending").height == 10
    assert files_of(home) == theirs


def test_what_the_shell_left_as_it_stands_is_in_the_home_directory(home: Path) -> None:
    watch_job(home, 10)
    called("init", "~/watch.csv", "--destination", "watch-events", "-o", "~/drafted.toml")
    called("plan", "~/watch.toml", "--job=~/x.job", "-q")
    called("records", "~/x.job", "--output=~/all.parquet")
    assert pl.read_parquet(home / "all.parquet", glob=False).height == 10
    assert package.plan("~/watch.toml").records("pending").height == 10
    assert {each.name for each in home.iterdir()} >= {"drafted.toml", "x.job", "watch.job"}
    assert not list((home.parent / "here").iterdir())
