"""Lanes are handed out once, in order, with what is pending in them."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from backfill.deliver.run.lane_queue import Feed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Known:
    """A ledger that remembers what it was asked."""

    def __init__(self, settled):
        self._settled = settled
        self.asked: list[int] = []

    def settled(self, bucket):
        self.asked.append(bucket)
        return self._settled.get(bucket, [])


async def test_lanes_come_in_order_and_those_that_are_done_are_left_out(job):
    manifest = job(lanes=[[4, 4, 4], [5], [6]]).manifest
    ledger = Known({0: [(2, 8)], 1: [(0, 5)]})
    feed = Feed(manifest, ledger)
    found = []
    while (each := await feed.next()) is not None:
        found.append((each[0].bucket, each[0].number, each[1]))
    assert found == [(0, 0, [(0, 2)]), (0, 2, [(8, 12)]), (2, 0, [(0, 6)])]
    assert await feed.next() is None


async def test_a_bucket_is_looked_at_when_its_turn_comes(job):
    ledger = Known({})
    feed = Feed(job(lanes=[[4, 4], [5], [6]]).manifest, ledger)
    await feed.next()
    await feed.next()
    assert ledger.asked == [0]
    await feed.next()
    assert ledger.asked == [0, 1]


async def test_no_lane_goes_to_two_who_ask_at_once(job):
    feed = Feed(job(lanes=[[1] * 20, [1] * 20]).manifest, Known({}))
    found = []

    async def ask() -> None:
        while (each := await feed.next()) is not None:
            found.append((each[0].bucket, each[0].number))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(ask)
    assert sorted(found) == [(bucket, lane) for bucket in range(2) for lane in range(20)]
