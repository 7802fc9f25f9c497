"""A job from a remote source needs its server for the plan, and for nothing that comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfill.core.errors import ChangedError
from backfill.core.secret import Secret
from backfill.jobs.opening import find_or_plan
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job
from tests.file_server import running_file_server

CREDENTIAL = Secret("an-invented-key")


@pytest.fixture
def server():
    with running_file_server() as running:
        yield running


@pytest.fixture
def config(server, tmp_path) -> Path:
    """The configuration of a job whose events and contacts lie on the server."""
    path = pristo_job(tmp_path, 30)
    text = path.read_text("utf-8")
    for name in ("events.parquet", "contacts.csv"):
        server.files[f"/{name}"] = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        text = text.replace(f'"{name}"', f'"{server.address}/{name}"')
    path.write_text(text, "utf-8")
    return path


def test_a_resumed_job_asks_for_no_file_again(server, config):
    whole = sum(map(len, server.files.values()))
    with running_sandbox() as sandbox:
        run: dict[str, Any] = {"base_url": sandbox.url, "credential": CREDENTIAL}
        assert find_or_plan(config).run(limit=10, **run).exit_code == 8
        assert server.sent == whole
        asked = len(server.asked)
        assert find_or_plan(config).run(limit=10, **run).exit_code == 8
        assert find_or_plan(config.with_suffix(".job")).run(**run).exit_code == 0
    assert server.sent == whole
    assert len(server.asked) - asked == 2 * len(server.files)  # once for each file and run


def test_a_job_goes_on_without_the_server_of_its_source(server, config, caplog):
    with running_sandbox() as sandbox:
        run: dict[str, Any] = {"base_url": sandbox.url, "credential": CREDENTIAL}
        assert find_or_plan(config).run(limit=10, **run).exit_code == 8
        server.status = 503
        status = find_or_plan(config).run(**run)
    assert (status.exit_code, status.books.delivered) == (0, 30)
    assert sum("could not be checked" in each for each in caplog.messages) == len(server.files)


def test_a_source_that_changed_there_is_refused(server, config):
    with running_sandbox() as sandbox:
        find_or_plan(config).run(limit=10, base_url=sandbox.url, credential=CREDENTIAL)
        server.files["/contacts.csv"] += b"x,y@example.com\n"
        with pytest.raises(ChangedError, match=r"contacts\.csv"):
            find_or_plan(config)


def test_the_command_line_says_what_could_not_be_checked(server, config, tmp_path):
    backfill("plan", config, cwd=tmp_path, expect=[0])
    server.status = 503
    with running_sandbox() as sandbox:
        ended = backfill(
            "run", config, "--base-url", sandbox.url, "--json", cwd=tmp_path, expect=[0]
        )
    assert ended.json["records"]["delivered"] == 30
    assert f"warning: {server.address}/events.parquet could not be checked" in ended.err


def test_copies_lie_in_the_job_and_go_with_the_plan(config, tmp_path, monkeypatch):
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(system))
    seen: list[set[str]] = []

    def look(*progress: object) -> None:
        seen.append({path.name for path in tmp_path.rglob("*-0") if path.is_file()})

    found = find_or_plan(config, progress=look)
    assert {"events-0", "contacts-0"} in seen
    assert list(system.iterdir()) == []
    assert not list(found.directory.rglob("*-0"))
