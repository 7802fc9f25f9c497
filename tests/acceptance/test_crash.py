"""Killed at any moment, run again to the end: nothing lost, nothing stored twice."""

from __future__ import annotations

import random
import signal
import time
from urllib.parse import urlsplit

import polars as pl
import pytest

from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill, credential_of, start
from tests.acceptance.sources import pristo_job, watch_job
from tests.promises import check_job, log_of

KILLS = 8
CONCURRENCY = 8


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("make", "rows", "destination", "batch"),
    [
        (pristo_job, 1_500, "pristo-events", 1),
        (watch_job, 20_000, "watch-events", 100),
    ],
    ids=["one event a request", "a hundred events a request"],
)
def test_a_run_killed_eight_times_loses_nothing_and_repeats_nothing(
    tmp_path, make, rows, destination, batch
):
    config = make(tmp_path, rows, delivery=f"concurrency = {CONCURRENCY}")
    log = tmp_path / "accepted.ndjson"
    chance = random.Random(rows)  # the moments differ between the two, and are the same each time
    backfill("plan", config, cwd=tmp_path, expect=[0])
    # Slow enough that eight runs cannot finish the job between them.
    with running_sandbox(log=log, latency=0.1, keep=False) as server:
        run = ["run", config, "--base-url", server.url]
        for kill in range(KILLS):
            process = start(*run, cwd=tmp_path)
            # To open the ledger takes a tenth of a second, so some kills fall into that, and with
            # it into the recovery of what the kill before left in flight.
            time.sleep(chance.uniform(0.2, 0.9) if kill % 4 else chance.uniform(0.02, 0.2))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
        seen = server.stats["destinations"][destination]
    with running_sandbox(log=log, port=urlsplit(server.url).port, keep=False) as server:
        ended = backfill(*run, "--json", cwd=tmp_path, expect=[0, 5])
        now = server.stats["destinations"][destination]
    assert seen["overlaps"] + seen["disorder"] + now["overlaps"] + now["disorder"] == 0
    books = ended.json["records"]
    assert books["pending"] == 0
    assert books["input"] == rows == books["delivered"] + books["unknown"]
    assert books["unknown"] <= KILLS * CONCURRENCY * batch

    states = check_job(config.with_suffix(".job"), log_of(log), secret=credential_of(destination))
    assert states == {state: n for state in ("delivered", "unknown") if (n := books[state])}
    backfill("records", config, "-o", tmp_path / "all.parquet", cwd=tmp_path, expect=[0])
    records = pl.read_parquet(tmp_path / "all.parquet")
    assert records["_row"].to_list() == list(range(1, rows + 1))


@pytest.mark.timeout(120)
def test_a_killed_run_that_delivers_at_least_once_ends_with_nothing_unknown(tmp_path):
    config = pristo_job(tmp_path, 400, delivery='concurrency = 8\nguarantee = "at-least-once"')
    log = tmp_path / "accepted.ndjson"
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(log=log, latency=0.1, keep=False) as server:
        run = ["run", config, "--base-url", server.url]
        process = start(*run, cwd=tmp_path)
        deadline = time.monotonic() + 30
        while not log.exists() or log.stat().st_size < 5_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        before = backfill("status", config, "--json", cwd=tmp_path, expect=[0]).json
        assert before["records"]["unknown"] > 0
        ended = backfill(*run, "--json", cwd=tmp_path, expect=[0]).json
    assert ended["records"]["delivered"] == 400
    directory, secret = config.with_suffix(".job"), credential_of("pristo-events")
    assert len(set(log_of(log).stored)) == 400
    check_job(directory, log_of(log), secret=secret, at_most_once=False)
