"""Signals to the command line, from the first one to the end of the process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import os, signal, sys
from backfill.cli.signals import stop_on_signals

with stop_on_signals() as halt:
    {inside}
    asked = halt.kind
os.kill(os.getpid(), signal.{later})
print("went on", asked)
"""


@pytest.mark.parametrize(("later", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_second_signal_leaves_at_once_also_when_the_run_has_just_ended(later, code):
    inside = "os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(inside=inside, later=later)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "the records of requests in flight are unknown now" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("resume with: backfill")


def test_a_script_is_told_of_a_run_that_was_left_at_once():
    inside = "sys.argv.append('--json'); [os.kill(os.getpid(), signal.SIGTERM) for _ in (1, 2)]"
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(inside=inside, later="SIGTERM")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 143
    assert json.loads(done.stdout) == {
        "error": {"message": "quit at once", "where": None, "hint": None},
        "exit_code": 143,
    }


def test_a_run_without_a_signal_leaves_the_handlers_as_they_were():
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(inside="pass", later="SIGINT")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "KeyboardInterrupt" in done.stderr


def test_a_run_in_the_background_of_a_script_does_not_hear_its_interrupts():
    inside = "os.kill(os.getpid(), signal.SIGINT)"
    code = CODE.format(inside=inside, later="SIGINT")
    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "went on None\n", done.stderr
    assert done.returncode == 0
