"""Who waits is served in order, wakes when something changes, and when all is over."""

from __future__ import annotations

import math

import anyio
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


def never() -> float:
    return math.inf
