"""Rows that stay behind in files of a directory are told of, before and after planning."""

from __future__ import annotations

import pytest

from backfill.api import plan
from backfill.discover import draft_config

LINES = "phone,event\n+12025550143,signup\n"


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.csv", "in/b/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(LINES, encoding="utf-8")
    return tmp_path / "in"


def noted(directory) -> list[str]:
    number = sum(1 for _ in directory.iterdir())
    job = plan(
        destination="watch-events",
        events={"files": "in"},
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
        job=directory.parent / f"{number}.job",
    )
    return [each for each in job.manifest.facts.warnings if "not read" in each]


def drafted(directory) -> str:
    target = directory.parent / "a.toml"
    text = draft_config("in", destination_name="watch-events", target=target).text
    return " ".join(text.replace("\n#", "").split())


def test_files_that_are_not_read_are_named(directory):
    assert noted(directory) == []
    assert "not read" not in drafted(directory)
    (directory / "d.csv.1").write_text(LINES, encoding="utf-8")
    for side in (*noted(directory), drafted(directory)):
        assert "1 file lies in a directory of the source and is not read (" in side
        assert "in/d.csv.1)" in side
    for number in range(2, 7):
        (directory / f"d.csv.{number}").write_text(LINES, encoding="utf-8")
    (note,) = noted(directory)
    for side in (note, drafted(directory)):
        assert "6 files lie" in side
        assert "in/d.csv.4, …)" in side
