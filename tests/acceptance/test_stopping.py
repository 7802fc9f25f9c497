"""Whole processes that cannot go on: each ends or waits with a plain message, books intact."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest

from backfill.ledger.sqlite import schema
from backfill.sandbox import Sandbox, running_sandbox
from tests.acceptance.program import Ended, backfill, start, start_anew
from tests.acceptance.sources import pristo_job
from tests.deliver.servers import SELF_SIGNED
from tests.forked.program import Program

STATES = ("rejected", "duplicate", "pending", "delivered", "failed", "unknown")
NOWHERE = "http://127.0.0.1:9"
SLOW = "concurrency = 4\npatience = '0.5s'\n"


def balanced(content) -> bool:
    records = content["records"]
    return bool(records["input"] == sum(records[state] for state in STATES))


def wait_for(process: Program, server: Sandbox, accepted: int) -> None:
    deadline = time.monotonic() + 30
    while len(server.accepted) < accepted:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(process: Program | subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err, err
    return Ended(process.wait(), out, err)


def status(config: Path) -> dict[str, Any]:
    content = backfill("status", config, "--json", cwd=config.parent, expect=[0]).json
    assert balanced(content)
    return content


def goes_on_to_the_end(config: Path, server: Sandbox, expect: list[int]) -> dict[str, Any]:
    """Run what is left, and see that each record was stored once at most and none is lost."""
    run = ["run", config, "--json", "--base-url", server.url]
    content = backfill(*run, cwd=config.parent, expect=expect).json
    assert content["phase"] == "complete"
    assert balanced(content)
    stored = Counter(each.record["customFields"]["order"] for each in server.accepted)
    assert set(stored.values()) == {1}
    assert content["records"]["delivered"] <= len(stored)
    assert content["records"]["input"] - len(stored) <= content["records"]["unknown"]
    return content


# --- disk ------------------------------------------------------------------------------------


def may_write(process: Program, size: int) -> None:
    """No file of the process may grow beyond `size` bytes: what a full disk or a quota does."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))


def test_a_plan_without_room_says_so_and_leaves_no_job(tmp_path):
    config = pristo_job(tmp_path, 300)
    little = ("/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh")  # a block, from its first moment on
    told = ended(start_anew("plan", config, cwd=tmp_path, prefix=little))
    assert told.code == 1
    assert "the job cannot be written" in told.err
    assert "Check the free space" in told.err
    assert "backfill itself" not in told.err
    assert not (tmp_path / "pristo.job" / "manifest.json").exists()
    backfill("plan", config, cwd=tmp_path, expect=[0])


def test_a_plan_that_was_killed_anywhere_does_not_stand_in_the_way_of_the_next(tmp_path):
    config = pristo_job(tmp_path, 20)
    job = tmp_path / "pristo.job"
    (job / ".preparing").mkdir(parents=True)
    for name in ("", "-wal", "-shm"):
        (job / f".ledger.sqlite.4711.draft{name}").touch()
    (job / "manifest.draft").touch()
    (job / ".lock").write_text('{"pid": 4711}')
    backfill("plan", config, cwd=tmp_path, expect=[0])
    assert {path.name for path in job.iterdir()} == {
        "manifest.json",
        "ledger.sqlite",
        "ledger.sqlite-mark",
        "ready",
        "excluded.parquet",
        "rejected.parquet",
        "duplicates.parquet",
        ".lock",
    }


def test_a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on(tmp_path):
    config = pristo_job(tmp_path, 400, delivery=SLOW)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=0.02) as server:
        process = start("run", config, "--base-url", server.url, cwd=tmp_path)
        wait_for(process, server, 40)
        may_write(process, (tmp_path / "pristo.job" / "ledger.sqlite-wal").stat().st_size)
        told = ended(process)
        assert told.code == 1
        assert "disk" in told.err
        assert "run the same command again" in told.err
        content = status(config)
        assert content["records"]["unknown"] == 0, "there is room for what was in flight"
        assert content["records"]["pending"] > 0
        goes_on_to_the_end(config, server, [0])


@pytest.fixture
def read_only(tmp_path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A job that nobody may write to, and what makes permissions bind root, too."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if not shutil.which("setpriv"):
            pytest.skip("root may write anywhere, and there is no setpriv to change that")
    config = pristo_job(tmp_path, 30)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url, "--limit", "10"]
        backfill(*run, cwd=tmp_path, expect=[8])
    job = tmp_path / "pristo.job"
    everything = [job, *job.rglob("*")]
    for path in everything:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield config, prefix
    for path in everything:
        path.chmod(0o700 if path.is_dir() else 0o600)


def behind(prefix: tuple[str, ...], *arguments: str | Path, cwd: Path) -> Ended:
    """The program behind another command."""
    return ended(start_anew(*arguments, cwd=cwd, prefix=prefix))


def test_a_read_only_job_can_be_looked_at_and_not_run(read_only, tmp_path):
    config, prefix = read_only
    told = behind(prefix, "run", config, "--base-url", NOWHERE, cwd=tmp_path)
    assert told.code == 1
    assert "cannot be written to" in told.err
    assert "--job" not in told.err, "another job would send everything again"
    looked = behind(prefix, "status", config, "--json", cwd=tmp_path)
    assert looked.code == 0, looked.err
    assert looked.json["records"]["delivered"] == 10
    assert balanced(looked.json)
    target = tmp_path / "all.parquet"
    assert behind(prefix, "records", config, "-o", target, cwd=tmp_path).code == 0
    counts = dict(pl.read_parquet(target)["_state"].value_counts().iter_rows())
    assert counts == {"delivered": 10, "pending": 20}


# --- the ledger ------------------------------------------------------------------------------


def test_a_damaged_ledger_is_named_and_nothing_is_sent(tmp_path):
    config = pristo_job(tmp_path, 60)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        backfill(*run, "--limit", "50", cwd=tmp_path, expect=[8])
        ledger = tmp_path / "pristo.job" / "ledger.sqlite"
        sound = ledger.read_bytes()
        for damage, command in (
            (b"\xde\xad\xbe\xef" * (len(sound) // 4), run),
            (sound[:100] + b"\xa5" * (len(sound) - 100), run),
            (sound[: len(sound) // 2], run),
            (b"", run),
            (b"", ["status", config]),
            (sound[:100] + b"\xa5" * (len(sound) - 100), ["records", config]),
        ):
            ledger.write_bytes(damage)
            told = backfill(*command, cwd=tmp_path, expect=[1])
            assert "damaged" in told.err, (command, damage[:200])
            assert "Restore the job's directory from a copy" in told.err
        assert len(server.accepted) == 50
        ledger.write_bytes(sound)
        goes_on_to_the_end(config, server, [0])


def test_a_ledger_that_another_program_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("backfill.ledger.sqlite.opening._PATIENCE", 0.5)
    config = pristo_job(tmp_path, 30)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox() as server:
        ledger = tmp_path / "pristo.job" / "ledger.sqlite"
        with contextlib.closing(sqlite3.connect(ledger)) as other:
            other.execute("BEGIN IMMEDIATE")
            told = backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[1])
            assert "another process holds the ledger" in told.err
            assert server.accepted == []
            other.execute("ROLLBACK")
        goes_on_to_the_end(config, server, [0])


def test_a_job_of_another_format_is_refused_in_words(tmp_path):
    config = pristo_job(tmp_path, 5)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    path = tmp_path / "pristo.job" / "manifest.json"
    content = json.loads(path.read_text())
    for format_, version, command in (
        (0, "0.0.1", ["run", config, "--base-url", NOWHERE]),
        (0, "0.0.1", ["status", config]),
        (99, "9.0.0", ["plan", config]),
        (99, "9.0.0", ["records", config]),
    ):
        path.write_text(json.dumps({**content, "format": format_, "backfill": version}))
        told = backfill(*command, cwd=tmp_path, expect=[2])
        assert f"format {format_}" in told.err
        assert "the version that planned it" in told.err


@pytest.mark.parametrize(("version", "age"), [(schema.VERSION + 1, "newer"), (0, "older")])
def test_a_ledger_of_another_version_is_refused_in_words(tmp_path, version, age):
    config = pristo_job(tmp_path, 5)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with contextlib.closing(sqlite3.connect(tmp_path / "pristo.job" / "ledger.sqlite")) as raw:
        raw.execute(f"PRAGMA user_version = {version}")
    for command in (["run", config, "--base-url", NOWHERE], ["status", config]):
        told = backfill(*command, cwd=tmp_path, expect=[2])
        assert f"version {version}" in told.err
        assert f"the {age} backfill" in told.err


# --- network ---------------------------------------------------------------------------------


def test_a_name_that_nobody_knows_leaves_all_pending(tmp_path):
    config = pristo_job(tmp_path, 30, delivery="patience = '0.5s'\n")
    run = ["run", config, "--json", "--yes", "--base-url", "https://api.backfill.invalid"]
    told = backfill(*run, cwd=tmp_path, expect=[7])
    assert "host name not found" in told.json["stop"]["message"]
    assert told.json["records"]["pending"] == 30
    assert told.json["next"].endswith("--base-url https://api.backfill.invalid")


@pytest.fixture
def distrusted() -> Iterator[tuple[str, list[str]]]:
    """A server whose certificate nobody has signed, and the requests that it got."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(self.path)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # it is meant to fail
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://localhost:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_that_nobody_signed_is_no_place_for_a_credential(tmp_path, distrusted):
    url, requests = distrusted
    config = pristo_job(tmp_path, 30, delivery="patience = '0.5s'\n")
    told = backfill("run", config, "--json", "--base-url", url, cwd=tmp_path, expect=[7])
    assert "self-signed certificate" in told.json["stop"]["message"]
    assert told.json["records"]["pending"] == 30
    assert requests == []


def test_a_server_that_dies_in_mid_run_ends_it_soon_with_few_unknown(tmp_path):
    config = pristo_job(tmp_path, 600, delivery=SLOW)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=0.02) as server:
        process = start("run", config, "--json", "--base-url", server.url, cwd=tmp_path)
        wait_for(process, server, 40)
        url = server.url
    began = time.monotonic()
    told = ended(process)
    assert time.monotonic() - began < 25, "by default it goes on for 30 s"
    assert told.code == 7, told.err
    records = told.json["records"]
    assert balanced(told.json)
    assert records["unknown"] <= 4
    assert records["delivered"] <= len(server.accepted)
    assert records["pending"] == 600 - records["delivered"] - records["unknown"] > 0
    assert told.json["next"] == f"backfill run {config} --base-url {url}"
    before = {each.record["customFields"]["order"] for each in server.accepted}
    with running_sandbox() as server:
        run = ["run", config, "--json", "--base-url", server.url]
        content = backfill(*run, cwd=tmp_path, expect=[0, 5]).json
        after = {each.record["customFields"]["order"] for each in server.accepted}
    assert not before & after
    assert content["records"]["unknown"] == records["unknown"]
    assert len(before | after) >= 600 - records["unknown"]


def test_a_wait_longer_than_max_wait_is_told_and_kept_over_a_restart(tmp_path):
    config = pristo_job(tmp_path, 30, delivery="max_wait = '1s'\n")
    with running_sandbox(faults=lambda arrival: "429:10") as server:
        run = ["run", config, "--json", "--base-url", server.url]
        began = time.time()
        told = backfill(*run, cwd=tmp_path, expect=[7]).json
        come_back = told["stop"]["come_back_at"]
        assert began + 10 <= come_back <= time.time() + 10
        assert "asks to wait" in told["stop"]["message"]
        assert told["records"]["pending"] == 30
        sent = told["requests"]["sent"]
        told = backfill(*run, "--job", "other.job", cwd=tmp_path, expect=[7]).json
        assert (told["phase"], told["requests"]["sent"]) == ("planned", 0)
        assert "another job on this machine" in told["stop"]["message"]
        assert told["stop"]["come_back_at"] == pytest.approx(come_back, abs=0.01)
        stands = backfill("status", "other.job", "--json", cwd=tmp_path).json
        assert (stands["exit_code"], stands["stop"]) == (7, told["stop"])
    with running_sandbox() as server:
        run = ["run", config, "--json", "--base-url", server.url]
        told = backfill(*run, cwd=tmp_path, expect=[7]).json
        assert told["stop"]["come_back_at"] == pytest.approx(come_back, abs=0.01)
        assert told["requests"]["sent"] == sent
        config.write_text(config.read_text().replace("'1s'", "'60s'"))
        told = backfill(*run, cwd=tmp_path, expect=[0]).json
        assert told["records"]["delivered"] == 30
        assert min(each.at for each in server.accepted) >= come_back - 0.01


# --- time ------------------------------------------------------------------------------------


def test_a_laptop_that_slept_wakes_up_to_no_unknown(tmp_path):
    """Its idle connections were closed meanwhile, and the one in use was answered."""
    config = pristo_job(tmp_path, 120, delivery="concurrency = 8\n")
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=0.01, idle=0.5) as server:
        run = ["run", config, "--json", "--rate", "60/s", "--base-url", server.url]
        process = start(*run, cwd=tmp_path)
        for _ in range(2):
            wait_for(process, server, len(server.accepted) + 20)
            process.send_signal(signal.SIGSTOP)
            time.sleep(1.2)
            process.send_signal(signal.SIGCONT)
        told = ended(process)
    assert told.code == 0, told.err
    assert told.json["records"]["delivered"] == 120 == len(server.accepted)


def test_a_run_that_may_last_only_so_long_stops_and_goes_on(tmp_path):
    config = pristo_job(tmp_path, 300)
    with running_sandbox() as server:
        run = ["run", config, "--json", "--rate", "60/s", "--base-url", server.url]
        told = backfill(*run, "--max-duration", "1s", cwd=tmp_path, expect=[8]).json
        assert told["stop"]["kind"] == "limit"
        assert 0 < told["records"]["delivered"] == len(server.accepted) < 300
        goes_on_to_the_end(config, server, [0])


# --- the other guarantee -----------------------------------------------------------------------


def test_at_least_once_sends_again_what_may_have_arrived(tmp_path):
    config = pristo_job(tmp_path, 60, delivery='guarantee = "at-least-once"\n')

    def cut_some(arrival):
        return "cut-after" if arrival.number % 6 == 1 else None

    with running_sandbox(faults=cut_some) as server:
        run = ["run", config, "--json", "--base-url", server.url]
        told = backfill(*run, cwd=tmp_path, expect=[0]).json
        cut = len(server.injected)
    assert cut >= 10
    assert told["records"]["delivered"] == 60
    assert told["requests"] == {"sent": 60 + cut, "throttled": 0, "retried": cut}
    stored = Counter(each.record["customFields"]["order"] for each in server.accepted)
    assert len(stored) == 60
    assert stored.total() == 60 + cut
