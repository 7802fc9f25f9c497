"""Killed at any moment, run again to the end: nothing lost, nothing stored twice."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill, start
from tests.acceptance.sources import pristo_job, watch_job

KILLS = 8
CONCURRENCY = 8


def stored(log: Path) -> Counter[str]:
    """How often the server stored each record, by a value that is unique in the source."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    bodies = [line["record"] for line in lines]
    return Counter(
        body["label"] if "label" in body else body["customFields"]["order"] for body in bodies
    )


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("make", "rows", "column", "batch"),
    [(pristo_job, 3_000, "order_no", 1), (watch_job, 30_000, "label", 100)],
    ids=["one event a request", "a hundred events a request"],
)
def test_a_run_killed_eight_times_loses_nothing_and_repeats_nothing(
    tmp_path, make, rows, column, batch
):
    config = make(tmp_path, rows, delivery=f"concurrency = {CONCURRENCY}")
    log = tmp_path / "accepted.ndjson"
    chance = random.Random(rows)  # the moments differ between the two, and are the same each time
    backfill("plan", config, cwd=tmp_path, expect=[0])
    # Slow enough that eight runs cannot finish the job between them.
    with running_sandbox(log=log, latency=0.05, keep=False) as server:
        run = ["run", config, "--base-url", server.url]
        for kill in range(KILLS):
            process = start(*run, cwd=tmp_path)
            # Start-up takes about a second, so some kills fall into the opening of the ledger,
            # and with it into the recovery of what the kill before left in flight.
            time.sleep(chance.uniform(0.5, 1.8) if kill % 4 else chance.uniform(0.3, 0.7))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
        ended = backfill(*run, "--json", cwd=tmp_path, expect=[0, 5])
        seen = server.stats["destinations"]
    assert sum(each["overlaps"] + each["disorder"] for each in seen.values()) == 0
    books = ended.json["records"]
    assert books["pending"] == 0
    assert books["input"] == rows == books["delivered"] + books["unknown"]
    assert books["unknown"] <= KILLS * CONCURRENCY * batch

    backfill("records", config, "-o", tmp_path / "all.parquet", cwd=tmp_path, expect=[0])
    records = pl.read_parquet(tmp_path / "all.parquet")
    assert records["_row"].to_list() == list(range(1, rows + 1))
    arrived = stored(log)
    assert max(arrived.values()) == 1
    delivered = set(records.filter(pl.col("_state") == "delivered")[column])
    unknown = set(records.filter(pl.col("_state") == "unknown")[column])
    assert delivered <= set(arrived)
    assert set(arrived) - delivered <= unknown
    assert len(delivered) + len(unknown) == rows


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
    assert len(stored(log)) == 400
