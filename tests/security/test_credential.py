"""The credential leaves this process in one header of one request, and in nothing else."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import time
import traceback
from itertools import cycle, repeat
from pathlib import Path

import pytest

from backfill.api import open_job
from backfill.core.secret import Secret
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill, start_anew
from tests.acceptance.sources import pristo_job, watch_job
from tests.acceptance.wire import wire
from tests.forked.program import Program
from tests.security.loud import BREAKING
from tests.security.traces import assert_no_trace

KEY = "c0ffee00-5ec2-4e7a-9bad-0123456789ab"
TOKEN = "sk_live/Marker+7f3a9c51==x"  # noqa: S105 - invented, and looked for


def loud(*arguments: str | Path, cwd: Path, **environment: str):
    """Run the program in a process that logs whatever anybody logs. Returns code and outputs."""
    process = Program(
        *arguments,
        module="tests.security.loud",
        forked_from="backfill",
        directory=cwd,
        environment={
            **os.environ,
            "PRISTO_API_KEY": KEY,
            "PRELUDE_API_TOKEN": TOKEN,
            **environment,
        },
    )
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def look_everywhere(secret: str, place: Path, config: Path, *outputs: str) -> str:
    """Also in what the commands show of the job afterwards. Returns the records."""
    job = open_job(config)
    shown = [job.status().as_dict(), job.records().write_csv(), job, job.status(), job.manifest]
    job.report(place / "report.html")
    job.write_records(place / "records.csv")
    assert_no_trace(secret, place, *outputs, *map(repr, shown), *map(str, shown))
    return str(shown[1])


def echoes(secret: str) -> dict[str, tuple[int, bytes, bytes]]:
    """Replies of servers that quote the credential: status, headers, body."""
    quoted = json.dumps(secret).encode()
    return {
        "401": (401, b"", b'{"error":{"message":%b},"code":%b}' % (quoted, quoted)),
        "html": (403, b"", b"<h1>no access for " + b" " * 470 + secret.encode() + b"</h1>"),
        "redirect": (302, b"Location: /login?key=" + secret.encode() + b"\r\n", b""),
        "refused": (422, b"", b'{"error":{"message":%b},"message":%b}' % (quoted, quoted)),
        "refused in UTF-16": (
            422,
            b"",
            json.dumps({"error": {"message": secret}, "message": secret}).encode("utf-16-le"),
        ),
        "401 in UTF-32": (
            401,
            b"",
            json.dumps({"error": {"message": secret}, "message": secret}).encode("utf-32"),
        ),
        "success": (200, b"", b'{"status":"success","request_id":%b}' % quoted),
        "not ok": (201, b"", b'{"ok":false,"status":400,"statusText":%b,"raw":""}' % quoted),
        "unavailable": (503, b"", secret.encode()),
        "odd": (500, b"", b'["' + secret.encode() + b'"]'),
    }  # fmt: skip


@pytest.mark.parametrize("destination", ["pristo", "watch"])
def test_a_server_that_quotes_the_credential_does_not_get_it_written_down(
    tmp_path, caplog, destination
):
    """In this process, which is quicker by far; whatever anybody logs is looked at, too."""
    caplog.set_level(logging.DEBUG)
    secret = KEY if destination == "pristo" else TOKEN
    make = pristo_job if destination == "pristo" else watch_job
    config = make(tmp_path, 30, delivery='patience = "200ms"\nmax_errors = "100%"')
    replies = echoes(secret)
    with wire() as server:
        run: list[str | Path] = ["run", config, "--base-url", server.url, "--concurrency", "1"]
        settling = [
            replies[kind]
            for kind in ("refused", "refused in UTF-16", "not ok", "success", "unavailable", "odd")
        ]
        server.answers = cycle(settling)
        keys = {"PRISTO_API_KEY": KEY, "PRELUDE_API_TOKEN": TOKEN}
        outputs = []
        while len(server.requests) < len(settling):
            before = len(server.requests)
            limits = ("--limit", "4", "--max-duration", "2s")
            ended = backfill(*run, *limits, cwd=tmp_path, expect=[5, 7, 8], **keys)
            assert len(server.requests) > before
            outputs += [ended.out, ended.err]
        for kind in ("401", "401 in UTF-32", "html", "redirect"):
            server.answers = repeat(replies[kind])
            ended = backfill(*run, "--json", cwd=tmp_path, expect=[6], **keys)
            outputs += [ended.out, ended.err]
        assert len(server.requests) >= len(replies)
    assert "backfill" in caplog.text
    records = look_everywhere(secret, tmp_path, config, *outputs, caplog.text)
    assert "***" in records, "the rest of the server's words is kept"


def test_the_credential_is_in_one_header_alone(tmp_path):
    config = pristo_job(tmp_path, 3)
    with wire() as server:
        code, out, err = loud("run", config, "--base-url", server.url, cwd=tmp_path)
        assert code == 0, err
        for request in server.requests:
            holding = [name for name, value in request.headers if KEY in value]
            assert holding == ["X-API-Key"]
            assert KEY.encode() not in request.body
            assert KEY not in request.line
    look_everywhere(KEY, tmp_path, config, out, err)


@pytest.mark.parametrize("way", ["tls", "refused", "unresolved"])
def test_a_connection_that_fails_tells_nothing(tmp_path, way):
    config = pristo_job(tmp_path, 3, delivery='patience = "300ms"')
    with running_sandbox() as server:
        address = {
            "tls": server.url.replace("http://", "https://"),
            "refused": "http://127.0.0.1:9",
            "unresolved": "https://no-such-host.invalid",
        }[way]
        arguments: list[str | Path] = [
            "run",
            config,
            "--yes",
            "--base-url",
            address,
            "--max-duration",
            "2s",
        ]
        code, out, err = loud(*arguments, cwd=tmp_path)
        assert code in (7, 8), err
        assert server.accepted == []
    look_everywhere(KEY, tmp_path, config, out, err)


@pytest.mark.parametrize("how", BREAKING)
def test_a_crash_in_the_middle_tells_nothing(tmp_path, how):
    config = pristo_job(tmp_path, 3)
    with wire() as server:
        code, out, err = loud("run", config, "--base-url", server.url, cwd=tmp_path, BREAK=how)
        assert server.requests, "it broke after it had sent"
    assert code in (1, -signal.SIGABRT), err
    look_everywhere(KEY, tmp_path, config, out, err)


def test_no_command_line_shows_it(tmp_path):
    config = pristo_job(tmp_path, 200, delivery="concurrency = 2")
    with running_sandbox(latency=0.2) as server:
        process = start_anew(
            "run", config, "--base-url", server.url, cwd=tmp_path, PRISTO_API_KEY=KEY
        )
        try:
            deadline = time.monotonic() + 30
            while not server.accepted and time.monotonic() < deadline:
                time.sleep(0.02)
            seen = subprocess.run(
                ["ps", "-eww", "-o", "args"],  # noqa: S607 - wherever this machine has it
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert str(config) in seen, "the process was in the list"
    assert_no_trace(KEY, tmp_path, seen, out, err)


def test_a_credential_of_a_file_is_kept_as_well(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    config = pristo_job(place, 3)
    with wire() as server:
        server.answers = repeat((401, b"", json.dumps({"error": {"message": KEY}}).encode()))
        ended = backfill(
            "run", config, "--base-url", server.url, cwd=place, expect=[6],
            PRISTO_API_KEY="", PRISTO_API_KEY_FILE=str(tmp_path / "key"),
        )  # fmt: skip
        assert server.requests[0].header("X-API-Key") == KEY
    assert_no_trace(KEY, place, ended.out, ended.err)


@pytest.mark.parametrize("value", [f"{KEY}\nX-Evil: 1", f"{KEY}\r", f"{KEY} x", f"{KEY}\u05d0"])
def test_a_credential_that_no_header_can_carry_is_refused_without_quoting_it(tmp_path, value):
    config = pristo_job(tmp_path, 3)
    with wire() as server:
        ended = backfill(
            "run", config, "--base-url", server.url, cwd=tmp_path,
            PRISTO_API_KEY=value,
        )  # fmt: skip
        for request in server.requests:  # what is only at an end is no part of it
            assert request.header("X-Evil") is None
            assert request.header("X-API-Key") == KEY
    assert ended.code == (0 if value.strip() == KEY else 2)
    assert_no_trace(KEY, tmp_path, ended.out, ended.err)


def test_a_secret_tells_nothing_of_itself():
    secret = Secret(KEY)
    try:
        raise ValueError(secret, [secret], {"key": secret})
    except ValueError as error:
        words = "".join(traceback.format_exception(error))
    record = logging.LogRecord("x", 10, "x", 1, "%s %r %s", (secret, secret, [secret]), None)
    shown = [
        str(secret), repr(secret), f"{secret}", f"{secret:>50}", f"{secret!r}", str([secret]),
        str({"a": (secret,)}), words, record.getMessage(),
    ]  # fmt: skip
    assert not any(KEY[:8] in text for text in shown)
    assert not hasattr(secret, "__dict__")
    for dump in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as raised:
            dump(secret)
        assert KEY not in str(raised.value)
