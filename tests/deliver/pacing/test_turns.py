"""Who waits is served in order, wakes when something changes, and when all is over."""

from __future__ import annotations

import math

import anyio
import pytest
import trio.testing

from backfill.deliver.pacing.turns import Turns


def test_the_first_one_gets_what_is_there_and_the_others_follow() -> None:
    things: list[int] = []
    got: list[tuple[str, int | None]] = []

    async def main() -> None:
        turns = Turns()

        async def wait(name: str) -> None:
            got.append((name, await turns.take(lambda: things.pop() if things else None, never)))

        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(wait, name)
                await anyio.sleep(1)
            things.extend([2, 1])
            turns.look_again()
            await anyio.sleep(1)
            turns.end()

    anyio.run(
        main,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
    )
    assert got == [("a", 1), ("b", 2), ("c", None)]


def test_it_looks_again_when_there_may_be_something() -> None:
    async def main() -> None:
        turns = Turns()
        began = anyio.current_time()

        def due() -> str | None:
            return "here" if anyio.current_time() >= began + 5.0 else None

        found = await turns.take(due, lambda: began + 5.0 - anyio.current_time())
        assert found == "here"
        assert anyio.current_time() - began < 5.01

    anyio.run(
        main,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
    )


def test_the_last_moment_of_a_wait_is_left_to_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_timer(seconds: float) -> None:
        raise AssertionError(f"a timer of {seconds} s")

    async def main() -> None:
        looks = iter(range(50))
        turns = Turns(early=lambda: 0.002)
        monkeypatch.setattr(anyio, "move_on_after", no_timer)
        found = await turns.take(lambda: next(looks) == 40 or None, lambda: 0.0015)
        assert found

    anyio.run(main)


def test_a_clock_that_stands_still_while_somebody_looks_is_slept_for() -> None:
    async def main() -> None:
        turns = Turns(early=lambda: 0.002)
        due = anyio.current_time() + 5.0
        await turns.take(
            lambda: anyio.current_time() >= due or None, lambda: due - anyio.current_time()
        )
        assert anyio.current_time() - due < 1e-5

    anyio.run(
        main,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
    )


def never() -> float:
    return math.inf
