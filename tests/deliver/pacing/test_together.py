"""Whole runs over real sockets that share one rate."""

from __future__ import annotations

import random
from pathlib import Path

import anyio

from backfill.core.secret import Secret
from backfill.deliver import Settings, StopRequest, deliver
from backfill.destinations import destination
from backfill.ledger import Ledger
from tests.deliver.jobs import make_job
from tests.deliver.servers import Exchange, serving

YES = b'{"ok":true,"status":201,"statusText":"Created","body":null,"raw":""}'


def test_two_runs_at_a_time_keep_to_the_rate_of_one(tmp_path: Path) -> None:
    times: list[float] = []

    async def behave(exchange: Exchange) -> None:
        times.append(anyio.current_time())
        await exchange.answer(201, YES)

    async def run(name: str, url: str) -> None:
        directory = tmp_path / name
        directory.mkdir()
        manifest = make_job(directory, "pristo-events", [[10] * 10])
        with Ledger.open(directory / "ledger.sqlite", create=True) as ledger:
            stop = await deliver(
                manifest=manifest,
                directory=directory,
                ledger=ledger,
                destination=destination("pristo-events"),
                credential=Secret("example"),
                settings=Settings(base_url=url, rate=50.0),
                halt=StopRequest(),
                rng=random.Random(1),
                state=tmp_path / "state",
            )
        assert stop is None

    async def both() -> None:
        async with serving(behave) as server, anyio.create_task_group() as group:
            group.start_soon(run, "events", server.url)
            group.start_soon(run, "feedbacks", server.url)

    anyio.run(both)
    assert len(times) == 200
    assert max(times) - min(times) >= 199 / 50.0 - 0.7  # they meet after a moment
