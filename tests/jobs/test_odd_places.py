"""A path is a path, whatever a glob would make of the signs in it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

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
