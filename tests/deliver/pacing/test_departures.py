"""A rate that is being found is kept where requests leave, however long their commits take."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
import trio.testing

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.turns import Grant

DELIVERED = Verdict(Flow.DELIVERED, http_status=200)


def pacer_at(rate: float) -> Pacer:
    health = Health(concurrency=64, patience=30.0, max_wait=600.0)
    health.concurrency_limit = 64
    return Pacer(None, health=health, learned=rate, wall=anyio.current_time)


async def delivered(pacer: Pacer, seconds: float, *, commit: float) -> list[float]:
    """When requests left whose intents are written down together, at multiples of `commit`."""
    left: list[float] = []

    async def lane() -> None:
        while (grant := await pacer.acquire()) is not None:
            await anyio.sleep(-anyio.current_time() % commit)
            if not await pacer.departures.wait(grant):
                pacer.withdraw(grant)
                continue
            left.append(anyio.current_time())
            await anyio.sleep(0.02)
            pacer.on_verdict(grant, DELIVERED)

    async with anyio.create_task_group() as lanes:
        for _ in range(64):
            lanes.start_soon(lane)
        await anyio.sleep(seconds)
        pacer.stop()
    return left


@pytest.mark.parametrize("rate", [14.0, 150.0])
def test_requests_leave_evenly_whose_intents_were_written_down_together(rate: float) -> None:
    async def main() -> None:
        left = await delivered(pacer_at(rate), 10.0, commit=0.2)
        gaps = [late - early for early, late in itertools.pairwise(left)]
        assert min(gaps) >= 0.3 / rate
        assert len(left) >= 0.9 * 10 * rate

    virtually(main)


def test_a_grant_comes_as_much_earlier_as_a_commit_takes() -> None:
    async def main() -> None:
        pacer = pacer_at(2.0)
        waited = []
        for _ in range(10):
            grant = await pacer.acquire()
            assert grant is not None
            await anyio.sleep(0.1)
            written = anyio.current_time()
            assert await pacer.departures.wait(grant)
            waited.append(anyio.current_time() - written)
            pacer.on_verdict(grant, DELIVERED)
        assert waited[3:] == pytest.approx([0.0] * 7, abs=0.001)
        assert pacer.out == 0

    virtually(main)


def test_a_departure_is_looked_for_where_a_late_one_cannot_be_made_up_for() -> None:
    async def main() -> None:
        departures = pacer_at(100.0).departures
        for burst, gap, early in ((None, 0.0, 0.0), (1.0, 0.0, 0.002), (15.0, 0.0, 0.0)):
            departures.limiter.allow(burst, 100.0, gap=gap)
            assert departures.early == early
        departures.limiter.allow(None, 100.0, gap=0.01)
        assert departures.early == 0.002

    virtually(main)


@pytest.mark.parametrize(
    "call_back",
    [lambda pacer: pacer.quiet(5.0), lambda pacer: pacer.pause(paused=True), Pacer.stop],
    ids=["a quiet period", "a pause", "the end"],
)
def test_who_waits_to_leave_is_called_back(call_back: Callable[[Pacer], None]) -> None:
    async def main() -> None:
        pacer = pacer_at(2.0)
        first = await pacer.acquire()
        assert first is not None
        await anyio.sleep(0.2)
        assert await pacer.departures.wait(first)
        second = await pacer.acquire()
        assert second is not None, "as early as a commit takes"
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(is_called_back, pacer, second)
            await anyio.sleep(0.1)
            call_back(pacer)
        assert anyio.current_time() == pytest.approx(began + 0.1)
        assert pacer.out == 1

    async def is_called_back(pacer: Pacer, grant: Grant) -> None:
        assert not await pacer.departures.wait(grant)
        pacer.withdraw(grant)

    virtually(main)


def virtually(run: Callable[[], Awaitable[None]]) -> None:
    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
