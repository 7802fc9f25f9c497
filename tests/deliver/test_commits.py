"""Group commit: what comes along while one is written goes together into the next."""

from __future__ import annotations

import threading

import anyio
import pytest

from backfill.deliver.commits import Committer
from backfill.deliver.meter import Meter
from backfill.errors import LedgerError
from backfill.model import Batch, Outcome, Settlement, State, Tick

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Slow:
    """A ledger whose commits end when the test says so."""

    def __init__(self) -> None:
        self.groups: list[tuple[list[Settlement], list[Batch]]] = []
        self.ticks: list[Tick] = []
        self.quiet: list[float] = []
        self.facts: dict[str, str] = {}
        self.go = threading.Semaphore(0)
        self.error: LedgerError | None = None

    def commit(self, settled, started, tick=None):
        assert self.go.acquire(timeout=5)
        if self.error is not None:
            raise self.error
        self.groups.append((list(settled), list(started)))
        self.ticks.append(tick)

    def set_quiet_until(self, epoch: float) -> None:
        self.quiet.append(epoch)

    def remember(self, key: str, value: str) -> None:
        self.facts[key] = value


def batch(lane: int) -> Batch:
    return Batch(0, lane, ((10 * lane, 10 * lane + 1),))


def delivered(lane: int) -> Settlement:
    each = batch(lane)
    return Settlement(each, (Outcome(each.ranges, State.DELIVERED),))


class Setting:
    def __init__(self) -> None:
        self.book = Slow()
        self.meter = Meter({}, 100, clock=lambda: 1000.0)
        self.committed: list[Tick] = []
        self.written = anyio.Event()
        self.broken: list[LedgerError] = []
        self.committer = Committer(
            self.book, self.meter, committed=self.commit, broken=self.broken.append
        )
        self.answers: dict[int, bool] = {}
        self.answered = anyio.Event()

    def commit(self, tick: Tick) -> None:
        self.committed.append(tick)
        self.written.set()

    async def start(self, lane: int) -> None:
        self.answers[lane] = await self.committer.start(batch(lane))
        self.answered.set()


async def test_one_transaction_takes_all_that_wait():
    setting = Setting()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        for lane in range(1, 4):
            tasks.start_soon(setting.start, lane)
        setting.committer.settle(delivered(9))
        await anyio.wait_all_tasks_blocked()
        assert setting.answers == {}
        setting.book.go.release()
        await setting.answered.wait()
        assert setting.answers == {0: True}  # the others are in the next transaction
        setting.book.go.release()
        setting.committer.close()
    assert setting.answers == dict.fromkeys(range(4), True)
    first, second = setting.book.groups
    assert first == ([], [batch(0)])
    assert second[0] == [delivered(9)]
    assert sorted(each.lane for each in second[1]) == [1, 2, 3]


async def test_records_count_only_once_they_are_written():
    setting = Setting()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        setting.committer.settle(delivered(0))
        await anyio.wait_all_tasks_blocked()
        assert setting.meter.pending == 100
        assert not setting.committed
        setting.book.go.release()
        setting.committer.close()
    assert setting.meter.pending == 99
    assert [tick.delivered for tick in setting.committed] == [1]


async def test_what_was_brought_before_the_end_is_written():
    setting = Setting()
    setting.book.go.release()
    setting.committer.settle(delivered(0))
    setting.committer.close()
    await setting.committer.run()
    assert setting.book.groups == [([delivered(0)], [])]


@pytest.mark.parametrize("what", ["an outcome", "a quiet period"])
async def test_what_comes_along_alone_is_written_at_once(what):
    setting = Setting()
    setting.book.go.release()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        await anyio.wait_all_tasks_blocked()
        if what == "an outcome":
            setting.committer.settle(delivered(0))
        else:
            setting.committer.quiet(1234.5)
        with anyio.fail_after(5):
            await setting.written.wait()
        setting.committer.close()
    assert len(setting.book.groups) == 1
    assert setting.book.quiet == ([] if what == "an outcome" else [1234.5])


async def test_a_quiet_period_is_stored_with_the_next_transaction():
    setting = Setting()
    setting.book.go.release()
    setting.committer.quiet(1234.5)
    setting.committer.close()
    await setting.committer.run()
    assert setting.book.quiet == [1234.5]


async def test_a_small_fact_is_stored_before_what_came_in_with_it_or_alone():
    setting = Setting()
    setting.book.go.release(2)
    setting.committer.remember("reached", "yes")
    setting.committer.settle(delivered(9))
    setting.committer.close()
    await setting.committer.run()
    assert setting.book.facts == {"reached": "yes"}
    assert setting.book.groups == [([delivered(9)], [])]
    setting.committer.remember("other", "too")
    await setting.committer.run()
    assert setting.book.facts == {"reached": "yes", "other": "too"}


async def test_after_a_fault_nobody_may_send():
    setting = Setting()
    setting.book.error = LedgerError("the disk is full")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(setting.start, 1)  # waits for the transaction after the failing one
        setting.committer.settle(delivered(9))
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release()
        await setting.answered.wait()
        await setting.start(2)
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release(2)
        setting.committer.close()
    assert setting.answers == dict.fromkeys(range(3), False)
    assert setting.broken == [setting.book.error]
    assert setting.book.groups == []
    assert setting.meter.pending == 100


async def test_outcomes_that_a_fault_held_up_are_tried_once_more_at_the_end():
    """A full disk may have room for them, or another program lets go of the ledger."""
    setting = Setting()
    setting.book.error = LedgerError("the disk is full")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        setting.committer.settle(delivered(8))
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release()
        await setting.answered.wait()
        setting.committer.settle(delivered(9))  # was in flight when the disk was full
        setting.book.error = None
        await anyio.wait_all_tasks_blocked()
        assert setting.book.groups == []
        setting.book.go.release(2)
        setting.committer.close()
    assert setting.answers == {0: False}
    assert setting.book.groups == [([delivered(8)], []), ([delivered(9)], [])]
    assert [tick.delivered for tick in setting.book.ticks] == [1, 1]
    assert setting.meter.pending == 98
    assert setting.committer.error is not None


async def test_a_cancelled_run_still_writes_what_came_in():
    setting = Setting()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        setting.committer.settle(delivered(9))
        tasks.start_soon(setting.start, 1)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        setting.book.go.release(2)
    assert setting.book.groups == [([], [batch(0)]), ([delivered(9)], [])]
    assert setting.meter.pending == 99


async def test_a_cancelled_run_tries_what_a_fault_held_up_once_more_too():
    setting = Setting()
    setting.book.error = LedgerError("the disk is full")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        setting.committer.settle(delivered(8))
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release()
        await setting.answered.wait()
        setting.book.error = None
        setting.committer.settle(delivered(9))
        tasks.cancel_scope.cancel()
        setting.book.go.release(2)
    assert setting.book.groups == [([delivered(8)], []), ([delivered(9)], [])]
    assert setting.meter.pending == 98
