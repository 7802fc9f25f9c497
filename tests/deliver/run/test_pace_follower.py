"""What is said beside a run changes that very thing, and nothing else."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio.testing

from backfill.core.errors import OwnershipError, StorageError
from backfill.deliver.pacing import Health, Pacer
from backfill.deliver.run.pace_follower import follow_pace
from backfill.deliver.run.settings import Settings
from backfill.jobdir.pace_file import PaceSetting


def never(told: object) -> None:
    pytest.fail(f"told {told}")


@pytest.fixture
def rates_and_widths(monkeypatch):
    """Follow what is said after `before`, one word after another; the rate and the concurrency
    after all.
    """

    async def at_once(function):
        await anyio.lowlevel.checkpoint()
        return function()

    def follow(
        before: PaceSetting, *words: PaceSetting, rate: float, concurrency: int
    ) -> tuple[float, list[int]]:
        monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
        settings = Settings("http://127.0.0.1:1", rate=rate, concurrency=concurrency, pace=before)
        said = list(reversed(words))
        widened: list[int] = []

        async def inside() -> float:
            health = Health(concurrency=concurrency, patience=30, max_wait=600)
            pacer = Pacer(rate, health=health)
            with anyio.move_on_after(10):
                await follow_pace(
                    lambda: said.pop() if len(said) > 1 else said[0],
                    settings,
                    pacer,
                    widen=widened.append,
                    lost=never,
                )
            return pacer.rate

        clock = trio.testing.MockClock(autojump_threshold=0)
        return anyio.run(inside, backend="trio", backend_options={"clock": clock}), widened

    return follow


def test_going_on_after_a_pause_keeps_the_rate_that_the_run_was_told(rates_and_widths):
    """An earlier word is for runs that are told nothing else."""
    earlier = PaceSetting("500/s", 64)
    paused = PaceSetting("500/s", 64, paused=True)
    assert rates_and_widths(earlier, paused, earlier, rate=2.0, concurrency=2) == (2.0, [])


def test_another_concurrency_leaves_the_rate_that_the_run_was_told(rates_and_widths):
    earlier, later = PaceSetting("500/s", 64), PaceSetting("500/s", 8)
    assert rates_and_widths(earlier, later, rate=2.0, concurrency=2) == (2.0, [8])


def test_what_is_said_while_a_run_begins_is_heard(rates_and_widths):
    """Waiting for the lock and looking through the files can take long: much may be said until
    the first look, after the settings were made.
    """
    said = PaceSetting("20/s", 4)
    assert rates_and_widths(PaceSetting(), said, rate=500.0, concurrency=64) == (20.0, [4])


def test_a_rate_that_is_said_once_more_counts_for_a_run_that_was_told_its_own(rates_and_widths):
    """Found by simulation: what was said for an earlier run, and again for this one, was taken
    for nothing new.
    """
    earlier, again = PaceSetting("2/s", 1, rate_said=1), PaceSetting("2/s", 1, rate_said=2)
    assert rates_and_widths(earlier, again, rate=200.0, concurrency=64) == (2.0, [64])


def test_a_concurrency_that_is_said_once_more_leaves_the_rate(rates_and_widths):
    earlier = PaceSetting("2/s", 8, concurrency_said=1)
    again = PaceSetting("2/s", 8, concurrency_said=2)
    assert rates_and_widths(earlier, again, rate=200.0, concurrency=64) == (200.0, [8])


def test_a_bucket_that_was_lost_when_the_pace_was_asked_for_is_told(monkeypatch) -> None:
    """The question makes a broken connection anew, and may be the only one that hears of it."""
    error = OwnershipError("another process took bucket 3")

    async def fails(_: object) -> None:
        raise error

    async def inside() -> list[OwnershipError]:
        told: list[OwnershipError] = []
        pacer = Pacer(10.0, health=Health(concurrency=1, patience=30, max_wait=600))
        with anyio.fail_after(10):
            await follow_pace(
                PaceSetting,
                Settings("http://127.0.0.1:1"),
                pacer,
                widen=never,
                lost=told.append,
            )
        return told

    monkeypatch.setattr(anyio.to_thread, "run_sync", fails)
    clock = trio.testing.MockClock(autojump_threshold=0)
    assert anyio.run(inside, backend="trio", backend_options={"clock": clock}) == [error]


def test_a_pace_that_cannot_be_read_for_long_is_warned_of_once(monkeypatch, caplog) -> None:
    """A share that was lost for a minute gave 200 warnings, and a paused run went on."""
    answers = iter([StorageError("away")] * 100 + [PaceSetting(paused=True)])

    async def at_once(_: object) -> PaceSetting:
        await anyio.lowlevel.checkpoint()
        for answer in answers:
            if isinstance(answer, StorageError):
                raise answer
            return answer
        raise StorageError("away once more")

    async def inside() -> bool:
        pacer = Pacer(10.0, health=Health(concurrency=1, patience=30, max_wait=600))
        settings = Settings("http://127.0.0.1:1", pace=PaceSetting(paused=True))
        with anyio.move_on_after(60):
            await follow_pace(PaceSetting, settings, pacer, widen=never, lost=never)
        return pacer.paused

    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    clock = trio.testing.MockClock(autojump_threshold=0)
    assert anyio.run(inside, backend="trio", backend_options={"clock": clock})
    assert [record.getMessage() for record in caplog.records] == ["away", "away once more"]
