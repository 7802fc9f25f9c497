"""The metrics file: what Prometheus reads of a run, whole at every moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backfill.core.errors import ConfigError
from backfill.core.model import Books
from backfill.deliver import Snapshot
from backfill.progress.metrics_file import MetricsFile
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job

BOOKS = Books(input=100, excluded=4, rejected=5, duplicate=1, pending=90)
NOW = Snapshot(
    pending=50, delivered=38, failed=1, unknown=1, sent=45, throttled=3, retried=4, in_flight=2,
    rate=9.5, limit=10.0, quiet_until=0.0, outcomes={"delivered": 38, "throttled": 3},
    latency={0: 1, 3: 4, 99: 1}, waited=2.5,
)  # fmt: skip


def read(path: Path) -> dict[tuple[str, str], float]:
    """Values by name and the one label that there may be."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(path.read_text("utf-8"))
        for sample in family.samples
    }


def test_every_state_and_the_course_of_the_run_are_told(tmp_path):
    path = tmp_path / "backfill.prom"
    times = iter(range(100))
    with MetricsFile(path, BOOKS, clock=lambda: float(next(times))) as metrics:
        before = read(path)
        assert before["backfill_records", "pending"] == 90
        assert before["backfill_running", ""] == 1
        for settled in range(38):
            metrics(
                Snapshot(
                    pending=90 - settled,
                    delivered=settled,
                    failed=0,
                    unknown=0,
                    sent=settled,
                    throttled=0,
                    retried=0,
                    in_flight=1,
                    rate=1.0,
                    limit=None,
                    quiet_until=0.0,
                )
            )
        metrics(NOW)
    found = read(path)
    states = {name: value for (kind, name), value in found.items() if kind == "backfill_records"}
    assert states == {
        "excluded": 4,
        "rejected": 5,
        "duplicate": 1,
        "pending": 50,
        "delivered": 38,
        "failed": 1,
        "unknown": 1,
    }
    assert sum(states.values()) == BOOKS.input
    assert found["backfill_requests_total", "throttled"] == 3
    assert found["backfill_request_rate_limit", ""] == 10
    assert found["backfill_seconds_left", ""] == pytest.approx(50, rel=0.2)
    assert found["backfill_running", ""] == 0
    assert found["backfill_reply_seconds_count", ""] == 6
    assert found["backfill_reply_seconds_sum", ""] == 2.5
    assert found["backfill_reply_seconds_bucket", "0.004"] == 5
    assert found["backfill_reply_seconds_bucket", "+Inf"] == 6


def test_a_place_that_cannot_be_written_is_said_before_the_run(tmp_path):
    with pytest.raises(ConfigError, match="metrics cannot be written"):
        MetricsFile(tmp_path / "nowhere" / "x.prom", BOOKS).__enter__()


def test_a_file_that_holds_something_else_is_not_replaced(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("the only copy\n", "utf-8")
    with pytest.raises(ConfigError, match="holds something else"):
        MetricsFile(notes, BOOKS).__enter__()
    assert notes.read_text("utf-8") == "the only copy\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_pipe_or_device_is_replaced_by_a_file(tmp_path, make):
    """As root, or in a container, `/dev/stdout` would be a file from then on."""
    make(tmp_path / "x.prom")
    before = (tmp_path / "x.prom").stat()
    with pytest.raises(ConfigError, match="is a device, a pipe"):
        MetricsFile(tmp_path / "x.prom", BOOKS).__enter__()
    assert (tmp_path / "x.prom").stat().st_ino == before.st_ino


def test_whatever_comes_into_its_place_later_ends_no_run(tmp_path):
    path = tmp_path / "x.prom"
    with MetricsFile(path, BOOKS):
        path.write_text("something else\n", "utf-8")
    assert read(path)["backfill_running", ""] == 0


@pytest.mark.parametrize("again", [True, False], ids=["of an earlier run", "empty"])
def test_metrics_of_an_earlier_run_and_an_empty_file_are_replaced(tmp_path, again):
    path = tmp_path / "x.prom"
    path.touch()
    for _ in range(2 if again else 1):
        with MetricsFile(path, BOOKS):
            pass
    assert read(path)["backfill_records", "pending"] == 90


def test_a_disk_that_fails_later_is_only_warned_of(tmp_path, caplog):
    path = tmp_path / "there" / "x.prom"
    path.parent.mkdir()
    with MetricsFile(path, BOOKS):
        path.unlink()
        path.parent.rmdir()
    assert "metrics cannot be written" in caplog.text


def test_a_run_keeps_the_file_and_never_a_file_of_its_own(tmp_path):
    config = pristo_job(tmp_path, 40)
    with running_sandbox(faults=["429:0.01=10%"]) as server:
        to = ("--base-url", server.url)
        own = backfill("run", config, *to, "--metrics", "events.parquet", cwd=tmp_path, expect=[2])
        assert "is a source of the job" in own.err
        backfill("run", config, *to, "--metrics", "job.prom", cwd=tmp_path, expect=[0])
    found = read(tmp_path / "job.prom")
    assert found["backfill_records", "delivered"] == 40
    assert found["backfill_requests_total", "delivered"] == 40
    assert [path.name for path in tmp_path.glob("job.prom*")] == ["job.prom"]
