"""`backfill pace`: a run that goes on is changed within a second, and so are those after it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import pytest

import backfill as library
from backfill.cli.announce import announce
from backfill.core.errors import ConfigError
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill, start
from tests.acceptance.sources import pristo_job


def until(condition, seconds=20.0):
    """Wait until a condition holds; it is what the test waits for, and bounded."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


def test_a_run_is_paused_and_goes_on_at_another_rate(tmp_path):
    config = pristo_job(tmp_path, 1500)
    job = tmp_path / "pristo.job"
    with running_sandbox() as server:
        to = ("--base-url", server.url)
        process = start("run", config, *to, "--rate", "50/s", "--json", cwd=tmp_path)
        until(lambda: len(server.accepted) >= 5)
        backfill("pace", job, "--pause", cwd=tmp_path, expect=[0])
        paused = backfill("status", job, "--json", cwd=tmp_path).json
        assert (paused["paused"], paused["phase"]) == (True, "running")
        assert paused["next"] == f"backfill pace {job} --go-on"

        def nothing_arrives() -> bool:
            before = len(server.accepted)
            time.sleep(0.5)  # at 50/s it would be 25 more
            return len(server.accepted) == before

        until(nothing_arrives)
        assert len(server.accepted) < 1000
        said = backfill(
            "pace", job, "--go-on", "--rate", "2000/s", "--concurrency", 16, "--json", cwd=tmp_path
        )
        assert said.json["rate"] == "2000/s"
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert len(server.accepted) == 1500
        stats = server.stats["destinations"]["pristo-events"]
        assert (stats["overlaps"], stats["disorder"]) == (0, 0)


def test_what_was_said_holds_for_later_runs_until_one_is_told_otherwise(tmp_path):
    job = library.plan(pristo_job(tmp_path, 20))
    job.pace(rate=7, concurrency=3)
    again = library.open_job(job.directory)
    assert (again.settings({}).rate, again.settings({}).concurrency) == (7.0, 3)
    assert again.settings({"rate": "9/s"}).rate == 9.0
    assert (said := again.pace()).per_second == 7.0
    assert job.pace(rate=7) == replace(said, rate_said=2), "said once more"
    assert job.pace(rate="auto").per_second is None
    assert again.settings({}).rate is None


def test_a_pause_is_said_by_the_words_of_the_command(tmp_path):
    job = library.plan(pristo_job(tmp_path, 5))
    assert job.pace(pause=True).paused
    assert job.pace(rate=7).paused
    assert not job.pace(go_on=True).paused
    with pytest.raises(ConfigError, match="pause and go_on"):
        job.pace(pause=True, go_on=True)


def test_a_run_of_a_job_that_was_left_paused_says_so_and_how_it_goes_on(tmp_path, capsys):
    """It said that it was sending, and nothing more, for as long as one waited."""
    job = library.plan(pristo_job(tmp_path, 5))
    settings = partial(job.settings, {"base_url": "http://127.0.0.1:1"})
    assert announce(job, settings(), ask=False)
    assert "paused" not in capsys.readouterr().err
    job.pace(pause=True)
    assert announce(job, settings(), ask=False)
    assert f"paused: nothing leaves until you say backfill pace {job.directory} --go-on" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rate", "fast"], "50/s"),
        (["--concurrency", "0"], "concurrency"),
        (["--pause", "--go-on"], "at most one of"),
    ],
)
def test_what_is_no_pace_is_refused(tmp_path, words, told):
    backfill("plan", pristo_job(tmp_path, 5), cwd=tmp_path, expect=[0])
    done = backfill("pace", "pristo.job", *words, cwd=tmp_path, expect=[2])
    assert told in done.err
    assert not (tmp_path / "pristo.job" / "pace.json").exists()


def test_a_damaged_pace_is_named(tmp_path):
    backfill("plan", pristo_job(tmp_path, 5), cwd=tmp_path, expect=[0])
    (tmp_path / "pristo.job" / "pace.json").write_text("{")
    done = backfill("status", "pristo.job", cwd=tmp_path, expect=[1, 2])
    assert "pace.json" in done.err


def test_what_a_run_was_told_is_what_pace_shows_until_something_else_is_said(tmp_path):
    config = pristo_job(tmp_path, 400)
    job = tmp_path / "pristo.job"
    with running_sandbox() as server:
        flags = ("--base-url", server.url, "--rate", "1/s", "--concurrency", "3")
        process = start("run", config, *flags, "--json", cwd=tmp_path)
        until(lambda: len(server.accepted) >= 1)
        shown = backfill("pace", job, cwd=tmp_path, expect=[0]).out
        assert "1 request/s, at most 3 in flight" in shown
        held = backfill("pace", job, "--rate", "2000/s", "--json", cwd=tmp_path, expect=[0]).json
        assert held["in_force"] == {"rate": 2000.0, "concurrency": 3}
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert library.open_job(job).settings_in_force() == library.open_job(job).settings({})


def test_a_paused_job_without_a_run_is_told_to_go_on_and_to_run(tmp_path):
    config = pristo_job(tmp_path, 20)
    job = tmp_path / "pristo.job"
    backfill("plan", config, cwd=tmp_path)
    backfill("pace", job, "--pause", cwd=tmp_path)
    with running_sandbox() as server:
        to = ("--base-url", server.url)
        ended = backfill("run", config, *to, "--max-duration", "1s", cwd=tmp_path, expect=[8])
        go_on, run = (
            f"backfill pace {job} --go-on",
            f"backfill run {config} --base-url {server.url}",
        )
        assert f"Next: {go_on} && {run}" in ended.out.replace("\n", " ")
        assert f"No run goes on. Next: {run}" in backfill("pace", job, "--go-on", cwd=tmp_path).out
