"""Files that are damaged inside, or change while they are read, are named; nothing is planned."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from backfill.config import config_from_mapping
from backfill.core.errors import SourceError
from backfill.destinations import destination
from backfill.jobs.planning import Planning, plan_into
from backfill.prepare import pipeline
from backfill.sources.formats.parquet_errors import decoding, read_through, try_apart
from backfill.sources.locations import locate
from backfill.sources.scan import open_source

ADDRESS = "https://api.example.com"
ROWS = {
    "id": ["0f3b2a52-6f0e-4f5e-8a8b-0a4a3c1f7e01"] * 60,
    "email": ["noa@example.com"] * 60,
    "at": [datetime(2025, 1, 1, tzinfo=UTC)] * 60,
    "number": [str(number) for number in range(60)],
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def damaged(path: Path) -> Path:
    """A Parquet file with sound ends and a page that cannot be unpacked."""
    pl.DataFrame(ROWS).write_parquet(path, compression="zstd")
    data = bytearray(path.read_bytes())
    page = data.index(b"\x28\xb5\x2f\xfd")
    data[page : page + 20] = bytes(20)
    path.write_bytes(data)
    return path


def config_for(directory: Path, files: str = "events.parquet"):
    return config_from_mapping(
        {
            "destination": "pristo-events",
            "population": "00000000-0000-4000-8000-000000000000",
            "events": {"files": files, "time": "at"},
            "fields": {
                "contact.id": "id",
                "contact.email": "email",
                "type": {"value": "signup"},
                "customFields.number": "number",
            },
        },
        directory=directory,
    )


def prepare(directory: Path, files: str = "events.parquet"):
    into = directory / "into"
    into.mkdir()
    config = config_for(directory, files)
    return pipeline.prepare(config, destination(config.destination), into, now=NOW)


def test_damage_behind_a_sound_footer_names_the_file(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    damaged(tmp_path / "b.parquet")
    with pytest.raises(SourceError, match="is damaged") as raised:
        prepare(tmp_path, "*.parquet")
    assert raised.value.where == "b.parquet"
    assert raised.value.exit_code == 2


def test_reading_through_tells_a_sound_file_from_a_damaged_one(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    read_through(str(tmp_path / "a.parquet"), name="a")
    with pytest.raises(SourceError, match="is damaged"):
        read_through(str(damaged(tmp_path / "b.parquet")), name="b")


def test_a_panic_is_a_damaged_file_too():
    with pytest.raises(SourceError, match="is damaged") as raised, decoding("x.parquet"):
        raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")
    assert "unwrap" not in str(raised.value)


@pytest.fixture
def dying_reader(tmp_path, monkeypatch) -> None:
    """Whatever another process reads ends it, as an allocation of exabytes does."""
    program = tmp_path / "dying"
    program.write_text("#!/bin/sh\nkill -ABRT $$\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_file_that_ends_its_reader_is_named(tmp_path, dying_reader):
    with pytest.raises(SourceError, match="signal 6") as raised:
        try_apart(str(tmp_path / "a.parquet"), name="a.parquet")
    assert raised.value.where == "a.parquet"


def test_a_file_that_can_be_read_or_is_refused_in_words_is_left_to_the_survey(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    try_apart(str(tmp_path / "a.parquet"), name="a")
    try_apart(str(damaged(tmp_path / "b.parquet")), name="b")


def test_a_plan_after_one_that_died_lets_another_process_try_the_files(tmp_path, dying_reader):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "events.parquet")
    job = tmp_path / "some.job"
    job.mkdir()
    assert plan_into(Planning(job, config_for(tmp_path), ADDRESS), anew=True).ready == 60
    again = tmp_path / "again.job"
    (again / ".preparing").mkdir(parents=True)
    with pytest.raises(SourceError, match="ends the process"):
        plan_into(Planning(again, config_for(tmp_path), ADDRESS), anew=True)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".ndjson"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, ending):
    """Also where its length and its rows stay the same, so that only the content tells."""
    frame = pl.DataFrame(ROWS).with_columns(pl.col("at").dt.to_string("iso:strict"))
    path = tmp_path / f"events{ending}"
    write = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson"}[ending]
    getattr(frame, write)(path)
    survey = open_source

    def survey_and_change(*arguments, **options):
        source = survey(*arguments, **options)
        changed = frame.with_columns(pl.col("number").str.replace("1", "2"))
        getattr(changed, write)(path)
        return source

    monkeypatch.setattr("backfill.prepare.pipeline.open_source", survey_and_change)
    with pytest.raises(SourceError, match="changed while it was read") as raised:
        prepare(tmp_path, path.name)
    assert raised.value.where == path.name


@pytest.mark.parametrize("text", ["x" * 300 + ".csv", "http://[::1/x.csv", "a\0b.csv"])
def test_what_can_be_no_name_of_a_file_is_refused_in_words(tmp_path, text):
    with pytest.raises(SourceError):
        locate(config_for(tmp_path, text).events, tmp_path)


def test_a_link_that_leads_round_in_circles_is_followed_once(tmp_path):
    deep = tmp_path / "in" / "deep"
    deep.mkdir(parents=True)
    (deep / "a.csv").write_text("id\n1\n", encoding="utf-8")
    (deep / "up").symlink_to(tmp_path / "in")
    (deep / "side").symlink_to(tmp_path)
    found = locate(config_for(tmp_path, "in").events, tmp_path)
    assert [each.name for each in found] == ["in/deep/a.csv"]
