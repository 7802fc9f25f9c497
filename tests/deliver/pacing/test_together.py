"""Whole runs over real sockets that share one rate."""

from __future__ import annotations

import random
import time
from pathlib import Path

import anyio
import pytest

from backfill.core.local_time import local_time
from backfill.core.model import Stop, StopKind
from backfill.core.secret import Secret
from backfill.deliver import Settings, StopRequest, deliver
from backfill.destinations import destination
from backfill.ledger import Ledger
from tests.deliver.jobs import make_job
from tests.deliver.servers import Exchange, serving

YES = b'{"ok":true,"status":201,"statusText":"Created","body":null,"raw":""}'


async def delivered(place: Path, name: str, settings: Settings) -> tuple[Stop | None, float]:
    """Run a job of 100 records. Why it stopped, and before when nothing may be sent."""
    directory = place / name
    directory.mkdir()
    manifest = make_job(directory, "pristo-events", [[10] * 10])
    with Ledger.open(directory / "ledger.sqlite", create=True) as ledger:
        stop = await deliver(
            manifest=manifest,
            directory=directory,
            ledger=ledger,
            destination=destination("pristo-events"),
            credential=Secret("example"),
            settings=settings,
            halt=StopRequest(),
            rng=random.Random(1),
            state=place / "state",
        )
        return stop, ledger.quiet_until()


def test_two_runs_at_a_time_keep_to_the_rate_of_one(tmp_path: Path) -> None:
    times: list[float] = []

    async def behave(exchange: Exchange) -> None:
        times.append(anyio.current_time())
        await exchange.answer(201, YES)

    async def run(name: str, url: str) -> None:
        assert await delivered(tmp_path, name, Settings(base_url=url, rate=50.0)) == (None, 0.0)

    async def both() -> None:
        async with serving(behave) as server, anyio.create_task_group() as group:
            group.start_soon(run, "events", server.url)
            group.start_soon(run, "feedbacks", server.url)

    anyio.run(both)
    assert len(times) == 200
    assert max(times) - min(times) >= 199 / 50.0 - 0.7  # they meet after a moment


@pytest.mark.parametrize("wait", [50, 3600])
def test_a_wait_that_another_run_was_asked_for_ends_a_run_that_does_not_wait_so_long(
    tmp_path: Path, wait: int
) -> None:
    asked: list[Exchange] = []

    async def behave(exchange: Exchange) -> None:
        asked.append(exchange)
        await exchange.answer(429, b"{}", f"Retry-After: {wait}\r\n")

    async def one_after_another() -> list[tuple[Stop | None, float]]:
        async with serving(behave) as server:
            short = Settings(base_url=server.url, rate=50.0, max_wait=10.0, max_duration=30.0)
            return [await delivered(tmp_path, name, short) for name in ("march", "april")]

    told, heard = anyio.run(one_after_another)
    whose = ("asks to wait", "asked another job on this machine to wait")
    for (stop, quiet), words in zip((told, heard), whose, strict=True):
        assert stop is not None
        assert stop.kind is StopKind.UNAVAILABLE
        assert f"the destination {words} " in stop.message
        assert stop.message.endswith(f"; come back at {local_time(quiet)}")
        assert stop.come_back_at == pytest.approx(time.time() + wait, abs=10)
        assert stop.come_back_at == pytest.approx(quiet, abs=0.1)
    assert len(asked) == 1, "the second run asked nobody"
