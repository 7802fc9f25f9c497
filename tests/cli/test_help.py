"""Help answers at once, and every command shows an example."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from backfill.cli import _group

COMMANDS = sorted(_group.commands)


def test_the_commands_are_the_agreed_ones():
    assert (
        sorted(
            [
                "abandon",
                "init",
                "plan",
                "run",
                "status",
                "records",
                "retry",
                "resolve",
                "report",
                "sandbox",
                "demo",
                "explain",
                "pace",
                "rehearse",
                "show",
            ]
        )
        == COMMANDS
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(name):
    result = CliRunner().invoke(_group, [name, "--help"])
    assert result.exit_code == 0
    assert f"backfill {name} " in result.output or f"backfill {name}\n" in result.output
    assert "Example" in result.output


def test_exit_codes_stand_in_the_help():
    result = CliRunner().invoke(_group, ["--help"])
    for code in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "11", "130, 143"):
        assert re.search(rf"^ +{code}  ", result.output, re.MULTILINE)


def test_help_loads_nothing_heavy():
    """What makes `--help` slow is what it imports, so that is what is looked at."""
    code = (
        "import sys; sys.argv = ['backfill', '--help']\n"
        "from backfill.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'polars', 'aiohttp', 'httpx', 'pydantic', 'jinja2', 'sqlite3'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.strip() == "[]"


def test_several_faults_may_follow_one_option(monkeypatch):
    served = {}
    monkeypatch.setattr(
        "backfill.sandbox.serve", lambda announce, **options: served.update(options)
    )
    for words in (["--fault", "429=1%", "503=2%"], ["--fault", "429=1%", "--fault", "503=2%"]):
        result = CliRunner().invoke(_group, ["sandbox", *words])
        assert result.exit_code == 0, result.output
        assert served.pop("faults") == ("429=1%", "503=2%")
    assert CliRunner().invoke(_group, ["sandbox", "429=1%"]).exit_code == 2
