"""Runs whose ready files are out of reach for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest

from backfill.core.errors import StorageError
from backfill.core.model import State, StopKind
from backfill.deliver import Snapshot, StopRequest
from backfill.deliver.run import ready_reader
from backfill.jobdir import storage_wait
from tests.deliver.fakes import Store, accepted


class Share:
    """What Polars and hashes read from, which fails or hangs as a test likes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mounted = threading.Event()
        self.mounted.set()
        self.hangs = False
        self.asked: Callable[[], None] = lambda: None  # called with each read while it is away
        self._scan = pl.scan_parquet
        monkeypatch.setattr(pl, "scan_parquet", self.scan)

    def scan(self, *args: Any, **options: Any) -> pl.LazyFrame:
        if not self.mounted.is_set():
            self.asked()
            if not self.hangs or not self.mounted.wait(30):
                raise OSError("Stale file handle (os error 116)")
        return self._scan(*args, **options)


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    monkeypatch.setattr(storage_wait, "_EVERY", 0.02)
    monkeypatch.setattr(storage_wait, "_FAILING", 0.0)
    monkeypatch.setattr(ready_reader, "_BLOCK", 10)
    monkeypatch.setattr(ready_reader, "_MOST_BLOCKS", 0)
    share = Share(monkeypatch)
    yield share
    share.mounted.set()


def leaves_after(share: Share, records: int) -> Callable[[Store, Any], Any]:
    def behave(store: Store, request: Any) -> Any:
        if len(store.stored) == records:
            share.mounted.clear()
        store.store(request)
        return accepted(request)

    return behave


def test_ready_files_that_go_away_are_waited_for_and_nothing_is_lost(job, run, share, caplog):
    each = job(lanes=[[10] * 8])
    asked: list[None] = []

    def asked_again() -> None:
        asked.append(None)
        if len(asked) == 5:
            share.mounted.set()

    share.asked = asked_again
    store = Store(leaves_after(share, 12))
    assert run(each, store, concurrency=2) is None
    assert sorted(store.stored) == each.numbers(State.DELIVERED) == list(range(80))
    away, again = (record.getMessage() for record in caplog.records)
    assert "is away" in away
    assert "Stale file handle" in away
    assert again.endswith("answers again")


def test_a_run_says_for_what_it_waits(job, run, share):
    each = job(lanes=[[10] * 8])

    def observe(now: Snapshot) -> None:
        if now.waits_for == "the storage":
            share.mounted.set()

    assert run(each, Store(leaves_after(share, 12)), concurrency=2, observe=observe) is None


@pytest.mark.parametrize("hangs", [False, True])
def test_a_run_that_waits_for_its_files_ends_well_when_it_is_told_to(job, run, share, hangs):
    """A share that is mounted hard answers no read until its server is back."""
    each = job(lanes=[[10] * 8])
    share.hangs = hangs
    halt = StopRequest()
    share.asked = lambda: halt.request(StopKind.TERMINATED)
    store = Store(leaves_after(share, 12), latency=0.01)
    stop = run(each, store, concurrency=2, halt=halt)
    assert stop is not None
    assert stop.kind is StopKind.TERMINATED
    assert sorted(store.stored) == each.numbers(State.DELIVERED)
    assert not share.mounted.is_set()
    share.mounted.set()
    assert run(each, store) is None
    assert sorted(store.stored) == list(range(80))


def test_files_that_stay_away_end_a_run_with_what_was_sent_written_down(
    job, run, share, monkeypatch
):
    monkeypatch.setattr(storage_wait, "_PATIENCE", 0.2)
    each = job(lanes=[[10] * 8])
    store = Store(leaves_after(share, 12))
    with pytest.raises(StorageError, match="Stale file handle") as caught:
        run(each, store, concurrency=2)
    assert caught.value.exit_code == 1
    assert sorted(store.stored) == each.numbers(State.DELIVERED)


def test_a_selection_waits_for_its_files_too(job, run, share, monkeypatch):
    each = job(lanes=[[50], [50]])
    read, failures = pl.read_parquet, iter([True] * 3)

    def reads(*args: Any, **options: Any) -> pl.DataFrame:
        for _ in failures:
            raise OSError("Input/output error (os error 5)")
        return read(*args, **options)

    monkeypatch.setattr(pl, "read_parquet", reads)
    store = Store()
    run(each, store, only={"customFields.number": ("0", "50")})
    assert sorted(store.stored) == [0, 50]
