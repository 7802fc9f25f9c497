"""The demo, from a checkout and from a wheel: three books that balance, and what to type next."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from backfill import plan
from backfill.cli.commands.demo import _lay_out
from backfill.core.errors import BusyError
from backfill.jobdir.lock import locked
from tests.acceptance.program import backfill, backfill_in_a_process

ROOT = Path(__file__).parents[2]
JOBS = ("pristo", "watch-events", "watch-feedbacks")
EVENTS = 6_000  # of the 20,000: they are sent one by one, and take as long


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """What a wheel of the package holds, as it is installed."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return Path(place, "site")


@pytest.mark.timeout(180)
def test_the_demo_ends_with_three_balanced_books(tmp_path, site):
    surroundings = {"PRISTO_API_KEY": "", "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    events = site / "backfill" / "sample_data" / "events.parquet"
    whole = events.read_bytes()
    pl.read_parquet(events).head(EVENTS).write_parquet(events)
    try:
        ended = backfill_in_a_process("demo", cwd=tmp_path, timeout=150, expect=[0], **surroundings)
    finally:
        events.write_bytes(whole)
    laid_out = tmp_path / "backfill-demo" / "events.parquet"
    assert pl.read_parquet(laid_out).height == EVENTS, "the sample data came with the wheel"
    assert ended.out.count("The books balance.") == 3
    for name in JOBS:
        status = backfill("status", f"backfill-demo/{name}.job", "--json", cwd=tmp_path).json
        records = dict(status["records"])
        assert records.pop("input") == sum(records.values())
        assert records["pending"] == 0
        assert records["delivered"] > 5_000
        assert records["rejected"] > 0
        assert records["duplicate"] > 0
    lines = r"^(?:  |Next: )(\S.* (?:records|status|report) \S+\.(?:job|toml).*)$"
    hints = re.findall(lines, ended.out, re.MULTILINE)
    assert len(hints) == 8
    for command in hints:
        for written in tmp_path.glob("*.csv"):  # each is free as long as no other was typed
            written.unlink()
        words = shlex.split(command)  # as a shell would
        program = words[: words.index("backfill") + 1]
        backfill(*words[len(program) :], cwd=tmp_path, expect=[0])
    # And one as it is typed, with the PATH of this process.
    subprocess.run([*program, "--version"], check=True, capture_output=True, timeout=60)


def test_a_directory_that_no_demo_made_is_left_alone(tmp_path):
    (tmp_path / "backfill-demo").mkdir()
    (tmp_path / "backfill-demo" / "mine.txt").touch()
    ended = backfill("demo", cwd=tmp_path, expect=[2])
    assert "--directory" in ended.err
    assert (tmp_path / "backfill-demo" / "mine.txt").exists()


def test_a_demo_that_is_run_again_leaves_what_lies_beside_its_own_files(tmp_path):
    samples = tmp_path / "samples"
    _lay_out(samples)
    job = plan(samples / "watch-feedbacks.toml")
    notes = [samples / "notes.txt", samples / "pristo.job" / "notes.txt"]
    for path in notes:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (samples / "pristo.toml").unlink()
    _lay_out(samples)
    assert not (job.directory / "manifest.json").exists()
    assert not any((job.directory / "ready").iterdir())
    assert (samples / "pristo.toml").exists()
    assert [path.read_text() for path in notes] == ["mine", "mine"]
    with locked(job.directory, "run"), pytest.raises(BusyError):
        _lay_out(samples)


def test_a_checkout_has_the_sample_data_beside_the_package(tmp_path):
    _lay_out(tmp_path / "demo")
    for name in ("events.parquet", "contacts.csv", "verifications.csv", "pristo.toml"):
        given = (ROOT / "sample_data" / name).read_bytes()
        assert (tmp_path / "demo" / name).read_bytes() == given


@pytest.mark.timeout(180)
def test_a_wheel_holds_all_that_a_plan_and_a_report_need(tmp_path, site):
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "import backfill, json\n"
        "from backfill.cli.commands.demo import _lay_out\n"
        "assert backfill.__file__.startswith(sys.argv[1]), backfill.__file__\n"
        "_lay_out(pathlib.Path('samples'))\n"
        "job = backfill.plan('samples/watch-feedbacks.toml')\n"
        "job.report()\n"
        "print(json.dumps(job.status().as_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["records"]["input"] == 6_000
    assert (tmp_path / "samples" / "watch-feedbacks.job" / "report.html").exists()
