"""What the command line logs, for people and for machines."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

from backfill.cli.logs import JsonLines
from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS, backfill
from tests.acceptance.sources import pristo_job


def test_a_run_leaves_lines_of_json(tmp_path):
    config = pristo_job(tmp_path, 30)
    with running_sandbox() as server:
        run: list[str | Path] = [
            "run",
            config,
            "--base-url",
            server.url,
            "--log-file",
            "run.log",
            "--json",
        ]
        ended = backfill(*run, cwd=tmp_path, expect=[0])
        backfill(*run, cwd=tmp_path, expect=[0])
    assert ended.json["records"]["delivered"] == 30
    log = tmp_path / "run.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert all(line["logger"].startswith("backfill.") for line in lines)
    assert [line["records"]["delivered"] for line in lines if "records" in line] == [30, 30]
    assert CREDENTIALS["PRISTO_API_KEY"] not in log.read_text("utf-8")


def test_verbose_logs_to_standard_error_alone(tmp_path):
    config = pristo_job(tmp_path, 30)
    with running_sandbox(faults=["429=20%"]) as server:
        run: list[str | Path] = ["run", config, "--base-url", server.url, "--json", "--verbose"]
        ended = backfill(*run, cwd=tmp_path, expect=[0])
    assert ended.json["records"]["delivered"] == 30
    assert "backfill.jobs.job: " in ended.err
    assert f"sending to {server.url}" in ended.err
    assert CREDENTIALS["PRISTO_API_KEY"] not in ended.err


def test_quiet_leaves_only_what_came_of_it(tmp_path):
    config = pristo_job(tmp_path, 30)
    planned = backfill("plan", config, "--quiet", cwd=tmp_path, expect=[0])
    assert planned.err == ""


def test_a_line_is_one_line_whatever_it_says():
    record = logging.makeLogRecord(
        {
            "name": "backfill.jobs.job",
            "levelname": "INFO",
            "msg": "a\n%s",
            "args": ("ü",),
            "share": 0.5,
        }
    )
    line = JsonLines().format(record)
    assert "\n" not in line
    content = json.loads(line)
    assert (content["message"], content["level"], content["share"]) == ("a\nü", "info", 0.5)


def test_a_log_file_that_is_refused_is_told_to_a_script_wherever_it_asks_for_an_object(tmp_path):
    (tmp_path / "events.csv").write_text("a,b\n1,2\n")
    for words in (["--log-file", "events.csv", "--json"], ["--json", "--log-file", "events.csv"]):
        ended = backfill("status", "a.job", *words, cwd=tmp_path, expect=[2])
        assert ended.json["error"]["where"] == "events.csv"
