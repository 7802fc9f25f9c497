"""What the tests of a run share: a job, its ledger, and a run with virtual or real time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
import trio.testing

from backfill.core.model import Outcome, State, Stop
from backfill.core.secret import Secret
from backfill.deliver import Settings, Snapshot, StopRequest, deliver
from backfill.deliver.run.ready_reader import read_bucket
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.pace_file import PaceSetting
from backfill.ledger import AnyLedger, Ledger
from tests.deliver.jobs import make_job


@dataclass
class Job:
    """A planned job in a directory, to be run as often as a test likes."""

    directory: Path
    manifest: Manifest

    def open(self) -> Ledger:
        return Ledger.open(self.directory / "ledger.sqlite", create=True)

    async def run(
        self,
        transport: httpx.AsyncBaseTransport | None,
        *,
        base_url: str = "http://127.0.0.1:1",
        halt: StopRequest | None = None,
        observe: Callable[[Snapshot], None] | None = None,
        ledger: AnyLedger | None = None,
        pace: Callable[[], PaceSetting] | None = None,
        wall: Callable[[], float] = time.time,
        **settings: Any,
    ) -> Stop | None:
        used = ledger or self.open()
        try:
            return await deliver(
                manifest=self.manifest,
                directory=self.directory,
                ledger=used,
                destination=destination(self.manifest.destination),
                credential=Secret("hunter2-credential"),
                settings=Settings(base_url=base_url, **{"rate": 1e5, **settings}),
                halt=halt or StopRequest(),
                observe=observe,
                pace=pace,
                transport=transport,
                rng=random.Random(7),
                wall=wall,
            )
        finally:
            if ledger is None:
                used.close()

    def numbers(self, state: State) -> list[int]:
        """The numbers of the records in a state, and that the books balance."""
        first = [0]
        for bucket in self.manifest.buckets:
            first.append(first[-1] + bucket.rows)
        with self.open() as ledger:
            found = [
                first[bucket] + position
                for bucket, outcome, _ in ledger.outcomes()
                if outcome.state is state
                for start, stop in outcome.ranges
                for position in range(start, stop)
            ]
            counts = ledger.counts()
        assert sum(counts.values()) <= self.manifest.ready
        assert len(found) == counts[state]
        return sorted(found)

    def bodies(self) -> list[str]:
        """Every encoded record, by number."""
        return [
            body
            for bucket in range(len(self.manifest.buckets))
            for body in read_bucket(self.directory, self.manifest, bucket)["body"]
        ]

    def outcomes(self) -> list[Outcome]:
        with self.open() as ledger:
            return [outcome for _, outcome, _ in ledger.outcomes()]


@pytest.fixture
def job(tmp_path) -> Callable[..., Job]:
    def make(
        name: str = "pristo-events", lanes: Sequence[Sequence[int]] = ((4, 4),), **more: Any
    ) -> Job:
        return Job(tmp_path, make_job(tmp_path, name, lanes, **more))

    return make


@pytest.fixture
def run() -> Callable[..., Stop | None]:
    """Run a job to its end, in real time."""

    def go(job: Job, transport: httpx.AsyncBaseTransport | None, **more: Any) -> Stop | None:
        return anyio.run(lambda: job.run(transport, **more))

    return go


EPOCH = 1_700_000_000.0
"""Seconds since the epoch when virtual time begins."""


@pytest.fixture
def run_virtually(monkeypatch) -> Callable[..., Stop | None]:
    """Run a job to its end, in virtual time: waiting takes none, and neither does the disk."""

    async def at_once(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(*args)

    def go(job: Job, transport: httpx.AsyncBaseTransport, **more: Any) -> Stop | None:
        # Virtual time passes whenever all tasks wait, also for a thread; so there is none.
        monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)

        async def inside() -> Stop | None:
            began = anyio.current_time()
            more.setdefault("wall", lambda: EPOCH + anyio.current_time() - began)
            return await job.run(transport, **more)

        clock = trio.testing.MockClock(autojump_threshold=0)
        return anyio.run(inside, backend="trio", backend_options={"clock": clock})

    return go
