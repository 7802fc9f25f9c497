"""A destination of another package, installed with pip, works wherever one of ours does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.acceptance.program import Ended
from tests.docs.pages import ROOT

VISITS = """\
visitor,url,phone,kind,at
a,/prices,,product,2024-03-01T09:15:00Z
b,,+12025550143,,2024-03-01T09:16:00Z
a,/order,,other,2024-03-01T09:17:00Z
c,,,other,2024-03-01T09:18:00Z
d,/,not a phone,other,2024-03-01T09:19:00Z
,/,,other,2024-03-01T09:20:00Z
"""


# Commands come as lines, and what each came to goes back; to start Python for each takes longer.
COMMANDS = """
import contextlib, io, json, sys
from backfill.cli import command_line
for line in sys.stdin:
    sys.argv = ["backfill", *json.loads(line)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command_line()
    texts = [each.buffer.getvalue().decode() for each in (out, err)]
    print(json.dumps([code, *texts]), flush=True)
"""


@dataclass(frozen=True)
class Environment:
    """A fresh environment with the program and the plugin, and a directory to work in."""

    python: Path
    directory: Path
    process: subprocess.Popen[str]

    def backfill(self, *arguments: object, code: int = 0) -> Ended:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(list(map(str, arguments))) + "\n")
        self.process.stdin.flush()
        ended = Ended(*json.loads(self.process.stdout.readline()))
        assert ended.code == code, ended.out + ended.err
        assert "Traceback" not in ended.err
        return ended


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Iterator[Environment]:
    """The package is built and installed by pip, without a network; our own come from here."""
    place = tmp_path_factory.mktemp("plugin")
    # Installing pip takes longer than all that it does here, and it can install elsewhere.
    without = ["--without-pip"] if find_spec("pip") else []
    subprocess.run([sys.executable, "-m", "venv", *without, place / "venv"], check=True)
    python = place / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place / "venv")}))
    here = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    shutil.copytree(ROOT / "tests" / "plugin_package", place / "package")
    pip = [sys.executable, "-m", "pip", "--python", python] if without else [python, "-m", "pip"]
    pip += ["--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *offline, place / "package"], check=True, capture_output=True)
    (place / "visits.csv").write_text(VISITS, encoding="utf-8")
    with subprocess.Popen(
        [python, "-c", COMMANDS],
        cwd=place,
        env={**os.environ, "ACME_TOKEN": "invented-token", "POLARS_MAX_THREADS": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Environment(python, place, process)


def test_the_plugin_is_small():
    text = (ROOT / "tests" / "plugin_package" / "acme_visits.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120


def test_a_plugin_goes_the_whole_way(installed):
    drafted = installed.backfill("init", "visits.csv", "--destination", "acme-visits")
    assert "Acme visits" in drafted.err + drafted.out
    draft = (installed.directory / "visits.toml").read_text(encoding="utf-8")
    for line in ('"visitor"   = "visitor"', '"page.url"  = "url"', '"page.kind" = "kind"'):
        assert line in draft
    (installed.directory / "visits.toml").write_text(
        draft.replace('timezone  = "?"', ""), encoding="utf-8"
    )

    plan = installed.backfill("plan", "visits.toml").out
    assert "Plan for Acme visits at https://api.acme.example" in plan
    assert "Acme forgets visits after two years." in plan

    rehearsed = installed.backfill("rehearse", "visits.toml", "--json", code=3)
    content = rehearsed.json
    assert content["records"]["delivered"] == content["seen"]["accepted"] == 3
    assert content["reasons"] == {
        "phone|e164": 1,
        "visitor|reachable": 1,
        "visitor|required": 1,
    }
    assert content["seen"]["disorder"] == content["seen"]["overlaps"] == 0

    with subprocess.Popen(
        [installed.python, "-m", "backfill", "sandbox", "--log", "accepted.ndjson"],
        cwd=installed.directory,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        try:
            assert sandbox.stdout is not None
            address = sandbox.stdout.readline().strip()
            run = installed.backfill("run", "visits.toml", "--base-url", address, "--json", code=3)
        finally:
            sandbox.terminate()
    assert run.json["records"]["delivered"] == 3
    log = (installed.directory / "accepted.ndjson").read_text(encoding="utf-8")
    records = [json.loads(line)["record"] for line in log.splitlines()]
    assert {"visitor": "b", "at": "2024-03-01T09:16:00Z", "phone": "+12025550143"} in records

    installed.backfill("report", "visits.toml", "-o", "report.html")
    assert "Acme visits" in (installed.directory / "report.html").read_text(encoding="utf-8")


def test_a_name_that_is_nearly_the_plugins_is_offered_it(installed):
    ended = installed.backfill(
        "init", "visits.csv", "--destination", "acme-visit", "-o", "x.toml", code=2
    )
    assert "Did you mean 'acme-visits'?" in ended.err
