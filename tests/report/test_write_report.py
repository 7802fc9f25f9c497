"""Where the report goes, who may read it, and what is said when it cannot be written."""

from __future__ import annotations

import functools
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
import resvg_py

from backfill.core.errors import BackfillError, ConfigError
from backfill.core.model import State
from backfill.jobs.job import Job
from backfill.report import write_report
from tests.report.documents import parse
from tests.report.jobs import deliver, make_job, ticks


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 9, State.DELIVERED, "")], ticks(4))
    return job


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_lies_in_the_jobs_directory_for_the_owner_alone(job: Job) -> None:
    before = os.umask(0)
    try:
        (path,) = write_report(job)
    finally:
        os.umask(before)
    assert path == job.directory / "report.html"
    assert mode(path) == 0o600
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert not list(job.directory.glob(".draft-*"))


def test_an_older_report_is_replaced(job: Job, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    write_report(job, target)
    older = target.read_bytes()
    target.write_bytes(older + b"<!-- older -->")
    target.chmod(0o644)
    assert write_report(job, target) == (target,)
    assert b"<!-- older -->" not in target.read_bytes()
    assert mode(target) == 0o600


@pytest.mark.parametrize(("name", "own"), [("r.html", "<p>mine"), ("r-books.svg", "<svg>")])
def test_a_page_of_the_users_is_never_written_over(
    job: Job, tmp_path: Path, name: str, own: str
) -> None:
    (tmp_path / name).write_text(own)
    with pytest.raises(ConfigError, match="no report of this program"):
        write_report(job, tmp_path / f"r{Path(name).suffix}")
    assert (tmp_path / name).read_text() == own


@pytest.mark.parametrize("given", [("r.svg", None), ("r.html", "svg"), ("r", "svg")])
def test_pictures_are_called_after_the_file_that_was_named(
    job: Job, tmp_path: Path, given: tuple[str, None]
) -> None:
    paths = write_report(job, tmp_path / given[0], given[1])
    names = ["books", "outcomes", "requests", "replies", "times"]
    assert [path.name for path in paths] == [f"r-{name}.svg" for name in names]
    for path in paths:
        assert mode(path) == 0o600
        assert path.read_text("utf-8").startswith("<svg ")
    assert not (tmp_path / given[0]).exists()


def test_pictures_can_be_had_as_png(job: Job, tmp_path: Path) -> None:
    paths = write_report(job, tmp_path / "r.png")
    assert len(paths) == 5
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_without_the_extra_png_is_refused_and_the_rest_is_written(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        write_report(job, tmp_path / "r.png")
    assert (caught.value.hint or "").startswith("pip install 'backfill[report]'")
    assert caught.value.exit_code == 2
    assert not list(tmp_path.glob("r*"))
    assert write_report(job)
    assert write_report(job, tmp_path / "r.svg")


def test_a_png_without_its_text_is_not_written(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that has no font."""
    without = functools.partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
    monkeypatch.setattr(resvg_py, "svg_to_bytes", without)
    with pytest.raises(ConfigError, match="no font is installed"):
        write_report(job, tmp_path / "r.png")
    assert not list(tmp_path.glob("r*"))


def test_a_png_is_as_large_as_its_drawing_twice(job: Job, tmp_path: Path) -> None:
    drawings, pngs = (write_report(job, tmp_path / f"r.{kind}") for kind in ("svg", "png"))
    for drawing, png in zip(drawings, pngs, strict=True):
        content = png.read_bytes()
        size = [int.from_bytes(content[each : each + 4], "big") for each in (16, 20)]
        root = parse(drawing.read_text("utf-8"))
        assert size == [2 * int(root.attrib[name]) for name in ("width", "height")]


def test_a_directory_that_is_not_there_is_said(job: Job, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        write_report(job, tmp_path / "no" / "r.html")
    with pytest.raises(ConfigError, match="is a directory"):
        write_report(job, tmp_path)


def test_a_full_disk_leaves_the_older_report(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "r.html"
    write_report(job, target)
    older = target.read_bytes()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BackfillError, match="No space left on device"):
        write_report(job, target)
    assert target.read_bytes() == older
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".report")] == []


def test_a_pipe_is_written_to_and_not_replaced(job: Job, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_report(job, pipe)
    reader.join(30)
    assert received[0].startswith(b"<!DOCTYPE html>")
    assert pipe.is_fifo()
