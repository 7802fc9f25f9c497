"""`backfill report` as a person types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backfill.core.model import State
from tests.report.jobs import deliver, make_job, ticks


def backfill(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backfill", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the job `pristo.job`, some of which is delivered."""
    job = make_job(tmp_path / "pristo.job")
    deliver(job, [(0, 9, State.DELIVERED, "")], ticks(4))
    return tmp_path


def test_it_writes_the_page_and_prints_where(place: Path) -> None:
    done = backfill("report", "pristo.job", directory=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "pristo.job/report.html\n"
    assert "Pristo events" in (place / "pristo.job" / "report.html").read_text("utf-8")


def test_it_writes_the_pictures_beside_the_named_file(place: Path) -> None:
    done = backfill("report", "pristo.job", "-o", "r.html", "--format", "svg", directory=place)
    assert done.returncode == 0
    printed = done.stdout.splitlines()
    assert printed[0] == "r-books.svg"
    assert {*printed} == {path.name for path in place.glob("r*")}


def test_a_job_that_is_not_there_is_a_plain_message(place: Path) -> None:
    done = backfill("report", "other.job", directory=place)
    assert done.returncode == 2
    assert "there is no job here" in done.stderr
    assert "Traceback" not in done.stderr
