"""What a person sees on a terminal of 80 columns."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS, backfill
from tests.acceptance.screen import on_a_terminal
from tests.acceptance.sources import pristo_job

OWN_TERMINAL = """
import os, sys
os.login_tty(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
COLOUR = re.compile(rb"\x1b\[[0-9;]+m")


def test_a_run_shows_a_bar_with_all_that_matters_and_leaves_only_the_books(tmp_path):
    config = pristo_job(tmp_path, 900, contacts=300, delivery='max_errors = "50%"')

    def some(arrival):
        return {5: "422", 9: "500-after"}.get(arrival.number)

    with running_sandbox(latency=0.01, faults=some) as server:
        run = ["run", config.name, "--base-url", server.url, "--rate", "150/s"]
        with on_a_terminal(*run, cwd=tmp_path) as terminal:
            seen = terminal.until(lambda text: "left" in text)
            assert terminal.end() == 5
            assert COLOUR.search(terminal.raw)
        assert "Sending 900 records to Pristo events at 127.0.0.1" in seen
        assert re.search(r"^pristo +\d+%\|.*\| \d+ of 900, \d+ s left$", seen, re.MULTILINE)
        assert re.search(r"^  \d+ of 150 requests/s, 1 failed, 1 unknown$", seen, re.MULTILINE)
    assert "requests/s, 1 failed" not in terminal.text
    assert "pristo.job: complete" in terminal.text
    assert "The books balance." in terminal.text


def test_time_left_is_right_after_a_resume(tmp_path):
    """It is told by this run's pace and by what is left, not by what earlier runs did."""
    config = pristo_job(tmp_path, 2_000, contacts=400)
    with running_sandbox() as server:
        run = ["run", config.name, "--base-url", server.url]
        backfill(*run, "--limit", "1700", cwd=tmp_path, expect=[8])
        with on_a_terminal(*run, "--rate", "50/s", cwd=tmp_path) as terminal:
            seen = terminal.until(lambda text: "left" in text)
        found = re.search(r"([\d,]+) of 2,000, (\d+) s left", seen)
        assert found is not None
        settled, left = int(found[1].replace(",", "")), int(found[2])
        assert settled >= 1_700
        assert left == pytest.approx((2_000 - settled) / 50, rel=0.5)


def test_the_end_of_a_limited_run_is_its_limit(tmp_path):
    config = pristo_job(tmp_path, 2_000, contacts=400)
    with running_sandbox() as server:
        run = ["run", config.name, "--base-url", server.url, "--rate", "50/s", "--limit", "200"]
        with on_a_terminal(*run, cwd=tmp_path) as terminal:
            seen = terminal.until(lambda text: "left" in text)
    assert " of 200, " in seen


def test_quiet_that_the_destination_asked_for_is_counted_down(tmp_path):
    config = pristo_job(tmp_path, 50)

    def third(arrival):
        return "429:30" if arrival.number == 3 else None

    with running_sandbox(faults=third) as server:
        run = ["run", config.name, "--base-url", server.url, "--rate", "20/s"]
        with on_a_terminal(*run, cwd=tmp_path) as terminal:
            first = terminal.until(lambda text: "quiet for " in text)
            before = re.search(r"quiet for (\d+) s", first)
            assert before is not None
            terminal.until(
                lambda text: (
                    (now := re.search(r"quiet for (\d+) s", text)) is not None
                    and int(now[1]) < int(before[1])
                )
            )
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 130
    assert "Nothing is sent for now: quiet for another" in terminal.text


def test_an_interrupt_is_acknowledged(tmp_path):
    config = pristo_job(tmp_path, 200, delivery="concurrency = 4")
    with running_sandbox(latency=2) as server:
        run = ["run", config.name, "--base-url", server.url]
        with on_a_terminal(*run, cwd=tmp_path) as terminal:
            terminal.until(lambda text: " of 200" in text)
            terminal.process.send_signal(signal.SIGINT)
            seen = terminal.until(lambda text: re.search("finishing [1-4] in flight", text))
            assert (
                "\nstopping: waiting for requests in flight; Ctrl-C again quits at once\npristo "
                in seen
            )
            assert terminal.end() == 130
    assert "Stopped: interrupted" in terminal.text


def test_a_terminal_that_is_closed_ends_the_run_well(tmp_path):
    config = pristo_job(tmp_path, 200)
    with running_sandbox(latency=0.3) as server:
        master, slave = os.openpty()
        run = ["-m", "backfill", "run", config.name, "--base-url", server.url]
        process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, str(slave), *run],
            cwd=tmp_path,
            env={**os.environ, **CREDENTIALS, "POLARS_MAX_THREADS": "2"},
            pass_fds=[slave],
        )
        os.close(slave)
        try:
            while len(server.accepted) < 3:
                assert process.poll() is None
                time.sleep(0.02)
            os.close(master)
            assert process.wait(40) == 143
        finally:
            process.kill()
            process.wait(10)
        status = backfill("status", config, "--json", cwd=tmp_path).json
        assert status["records"]["unknown"] == 0
        assert status["records"]["delivered"] == len(server.accepted) < 200
        assert status["stop"]["kind"] == "terminated"


@pytest.mark.parametrize("host", ["api.example.com", "127.0.0.1.example.com"])
def test_another_machine_is_asked_about_once_and_no_means_nothing_sent(tmp_path, host):
    config = pristo_job(tmp_path, 20)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    run = ["run", config.name, "--base-url", f"https://{host}"]
    with on_a_terminal(*run, cwd=tmp_path) as terminal:
        terminal.until(lambda text: "Continue? [y/N]" in text)
        assert f"Sending 20 records to Pristo events at {host}," in terminal.text
        terminal.type("n\r")
        assert terminal.end() == 130
    assert "Nothing was sent." in terminal.text
    assert backfill("status", config, "--json", cwd=tmp_path).json["requests"]["sent"] == 0


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(tmp_path, environment, coloured):
    config = pristo_job(tmp_path, 20)
    with on_a_terminal("plan", config.name, cwd=tmp_path, **environment) as terminal:
        assert terminal.end() == 0
        assert bool(COLOUR.search(terminal.raw)) is coloured


def test_a_pipe_gets_no_control_characters_unless_colour_is_forced(tmp_path):
    config = pristo_job(tmp_path, 20)
    plain = backfill("plan", config, cwd=tmp_path, expect=[0])
    assert "\x1b" not in plain.out + plain.err
    forced = backfill("status", config, cwd=tmp_path, expect=[0], FORCE_COLOR="1")
    assert "\x1b[1m" in forced.out


def test_a_run_in_ci_writes_whole_lines_and_no_control_characters(tmp_path):
    config = pristo_job(tmp_path, 300, contacts=300)
    with running_sandbox() as server:
        run = ["run", config.name, "--base-url", server.url, "--rate", "100/s"]
        with on_a_terminal(*run, cwd=tmp_path, CI="true", NO_COLOR="1") as terminal:
            assert terminal.end() == 0
    assert b"\x1b" not in terminal.raw
    assert b"\r" not in terminal.raw.replace(b"\r\n", b"\n")


def test_nothing_is_wider_than_the_screen_and_wide_characters_keep_their_columns(tmp_path):
    names = ["受注-一月.csv", "受注-二月.csv"]
    rows = {
        "phone": ["+12025550143", "電話番号はありません。後で確認してください。よろしく", "x"],
        "label": ["登録", "登録", "登録"],
    }
    for name in names:
        pl.DataFrame(rows).write_csv(tmp_path / name)
    config = tmp_path / "週末の配信.toml"
    config.write_text(
        'destination = "watch-events"\n[events]\nfiles = "受注-*.csv"\n[fields]\n'
        '"target.value" = "phone"\nlabel = "label"\nconfidence = { value = "low" }\n',
        encoding="utf-8",
    )
    with on_a_terminal("plan", config.name, cwd=tmp_path) as terminal:
        assert terminal.end() == 0
    # pyte keeps a wide character in two cells of which the second is empty.
    assert max(len(line) for line in terminal.lines) <= 80
    assert "週末の配信.job: planned" in terminal.text
    assert '"label": "登録"' in terminal.text
    columns = [line.index("3 rows") for line in terminal.lines if line.endswith("3 rows")]
    assert len(columns) == 2
    assert len(set(columns)) == 1


def test_hostile_cells_do_not_command_the_terminal(tmp_path):
    pl.DataFrame({"phone": ["\x1b]0;owned\x07\x1b[2J", "+12025550143"], "label": ["a\x9b2J", "b"]}
                 ).write_parquet(tmp_path / "events.parquet")  # fmt: skip
    config = tmp_path / "watch.toml"
    config.write_text(
        'destination = "watch-events"\n[events]\nfiles = "events.parquet"\n[fields]\n'
        '"target.value" = "phone"\nlabel = "label"\nconfidence = { value = "low" }\n'
    )
    with on_a_terminal("plan", config, cwd=tmp_path) as terminal:
        assert terminal.end() == 0
    assert b"\x1b]0;" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw
    assert "\x9b" not in terminal.raw.decode()
