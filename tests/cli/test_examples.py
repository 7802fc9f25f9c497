"""The example in each command's help is what it claims: something that works."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from backfill.cli import _group
from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS

SAMPLES = Path(__file__).parents[2] / "sample_data"
LASTING = ("sandbox", "demo")  # they go on, or take long; others run them


def examples(name: str) -> list[list[str]]:
    """The words of each example of a command, without the program's name."""
    epilog = _group.commands[name].epilog or ""
    return [
        shlex.split(line)[1:] for line in re.findall(r"^ *(backfill .*)$", epilog, re.MULTILINE)
    ]


@pytest.mark.parametrize("name", LASTING)
def test_the_examples_of_commands_that_last_are_understood(name):
    found = examples(name)
    assert found
    for words in found:
        context = _group.commands[name].make_context(name, words[1:])
        assert context.command.name == name


def test_the_examples_work_one_after_another(tmp_path, monkeypatch):
    (tmp_path / "exports").mkdir()
    events = pl.read_parquet(SAMPLES / "events.parquet").head(5_000)
    for place in (tmp_path, tmp_path / "exports"):
        events.write_parquet(place / "events.parquet")
        shutil.copy(SAMPLES / "contacts.csv", place)
    monkeypatch.chdir(tmp_path)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    expected = {"run": (8,), "rehearse": (8,)}  # stopped at its limit
    ran = []
    with running_sandbox(faults=["422=2%", "cut-after=2%"], seed=5) as server:
        config = (SAMPLES / "pristo.toml").read_text("utf-8")
        settings = f'[delivery]\nbase_url = "{server.url}"\nmax_errors = "50%"\n'
        Path("pristo.toml").write_text(config.replace("[delivery]\n", settings), "utf-8")
        for name in _group.commands:
            if name in LASTING:
                continue
            assert examples(name), name
            for words in examples(name):
                done = CliRunner().invoke(_group, words)
                assert done.exit_code in expected.get(name, (0,)), f"{words}\n{done.output}"
                ran.append(name)
    assert set(ran) | set(LASTING) == set(_group.commands)
    assert Path("failed.csv").exists()
    assert Path("report.html").exists()
