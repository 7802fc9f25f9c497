"""What a shell offers when the tab key is pressed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("pristo.toml", "prices.csv", "watch.toml"):
        (tmp_path / name).touch()
    (tmp_path / "pristo.job").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "later.toml").touch()
    return tmp_path


def offered(words: str, place: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from backfill.__main__ import main; main()"],
        cwd=place,
        env={
            **os.environ,
            "_BACKFILL_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "backfill re",
            ["plain,records", "plain,rehearse", "plain,report", "plain,resolve", "plain,retry"],
        ),
        ("backfill plan p", ["plain,pristo.toml"]),
        ("backfill run p", ["plain,pristo.job", "plain,pristo.toml"]),
        ("backfill status ", ["plain,pristo.job", "plain,pristo.toml", "plain,watch.toml"]),
        ("backfill plan deep/", ["plain,deep/later.toml"]),
        ("backfill plan pri.", ["file,pri."]),
        ("backfill run pristo.toml --job p", ["plain,pristo.job"]),
        ("backfill records pristo.job --state d", ["plain,duplicate", "plain,delivered"]),
    ],
)
def test_a_shell_is_offered_what_the_command_can_mean(place, words, expected):
    assert sorted(offered(words, place)) == sorted(expected)
