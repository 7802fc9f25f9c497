"""Group commit: what comes along while one is written goes together into the next."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from backfill.core.errors import BackfillError, LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State, Tick
from backfill.deliver.run.group_commit import Committer
from backfill.deliver.run.run_metrics import Meter
from backfill.ledger import Ledger

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Slow:
    """A ledger whose commits end when the test says so."""

    def __init__(self) -> None:
        self.groups: list[tuple[list[Settlement], list[Batch]]] = []
        self.ticks: list[Tick] = []
        self.quiet: list[tuple[float, float]] = []
        self.facts: dict[str, str] = {}
        self.go = threading.Semaphore(0)
        self.error: LedgerError | None = None

    def commit(self, settled, started, tick=None):
        assert self.go.acquire(timeout=5)
        if self.error is not None:
            raise self.error
        self.groups.append((list(settled), list(started)))
        self.ticks.append(tick)

    def set_quiet_until(self, epoch: float, asked_at: float) -> None:
        self.quiet.append((epoch, asked_at))

    def set_meta(self, key: str, value: str) -> None:
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
        self.broken: list[BackfillError] = []
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


async def test_a_transaction_takes_along_what_the_last_one_set_going():
    setting = Setting()
    ended = anyio.Event()

    async def lane() -> None:
        assert await setting.committer.start(batch(0))
        setting.committer.settle(delivered(0))
        assert await setting.committer.start(batch(1))
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(lane)
        await anyio.wait_all_tasks_blocked()
        setting.committer.settle(delivered(9))  # enough for a transaction of its own
        setting.book.go.release(3)
        await ended.wait()
        setting.committer.close()
    assert setting.book.groups == [
        ([], [batch(0)]),
        ([delivered(9), delivered(0)], [batch(1)]),
    ]


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
            setting.committer.quiet(1234.5, 1000.0)
        with anyio.fail_after(5):
            await setting.written.wait()
        setting.committer.close()
    assert len(setting.book.groups) == 1
    assert setting.book.quiet == ([] if what == "an outcome" else [(1234.5, 1000.0)])


async def test_a_quiet_period_is_stored_with_the_next_transaction():
    setting = Setting()
    setting.book.go.release()
    setting.committer.quiet(1234.5, 1000.0)
    setting.committer.close()
    await setting.committer.run()
    assert setting.book.quiet == [(1234.5, 1000.0)]


async def test_a_small_fact_is_stored_before_what_came_in_with_it_or_alone():
    setting = Setting()
    setting.book.go.release(2)
    setting.committer.set_meta("reached", "yes")
    setting.committer.settle(delivered(9))
    setting.committer.close()
    await setting.committer.run()
    assert setting.book.facts == {"reached": "yes"}
    assert setting.book.groups == [([delivered(9)], [])]
    setting.committer.set_meta("other", "too")
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


class Failing:
    """A real ledger of which one step fails once, before or after the ledger itself did it."""

    def __init__(self, ledger: Ledger, step: str, error: BaseException) -> None:
        self.ledger = ledger
        self.step: str | None = step
        self.error = error

    def fail(self, step: str) -> None:
        if step == self.step:
            self.step = None
            raise self.error

    def commit(self, settled, started, tick=None):
        self.fail("commit")
        self.ledger.commit(settled, started, tick)
        self.fail("after the commit")

    def set_quiet_until(self, epoch: float, asked_at: float) -> None:
        self.fail("quiet")
        self.ledger.set_quiet_until(epoch, asked_at)

    def set_meta(self, key: str, value: str) -> None:
        self.fail("fact")
        self.ledger.set_meta(key, value)


class Ended(BaseException):
    """As KeyboardInterrupt and SystemExit are, which asyncio itself would take out of the loop."""


ERRORS: list[Callable[[], BaseException]] = [
    lambda: LedgerError("the disk is full"),
    MemoryError,
    lambda: RuntimeError("can't start new thread"),
    lambda: OSError(5, "Input/output error"),
    lambda: sqlite3.OperationalError("disk I/O error"),
    lambda: KeyError("a fault of the program"),
    Ended,
]


def flying(path: Path) -> set[int]:
    """The lanes whose intents are on the disk, as another process sees them."""
    with sqlite3.connect(path) as other:
        return {lane for (lane,) in other.execute("SELECT lane FROM flight")}


@pytest.mark.parametrize(
    "step", ["quiet", "fact", "commit", "after the commit", "tick", "thread", "count", "callback"]
)
@pytest.mark.parametrize("error", ERRORS, ids=lambda make: type(make()).__name__)
async def test_whatever_fails_wherever_a_lane_hears_yes_only_of_what_is_on_the_disk(
    tmp_path, monkeypatch, step, error
):
    path = tmp_path / "ledger.sqlite"
    answers: dict[int, bool] = {}
    raised: list[BaseException] = []
    broken: list[BackfillError] = []
    with Ledger.open(path, create=True) as ledger:
        meter = Meter({}, 100, clock=lambda: 1000.0)
        book = Failing(ledger, step, error())

        def begin_thread(*given, **options):
            book.fail("thread")
            return run_sync(*given, **options)

        def tally(settled):
            book.fail("tick")
            return tick(settled)

        def count(of):
            book.fail("count")
            counted(of)

        run_sync, tick, counted = anyio.to_thread.run_sync, meter.tick, meter.count
        monkeypatch.setattr(anyio.to_thread, "run_sync", begin_thread)
        monkeypatch.setattr(meter, "tick", tally)
        monkeypatch.setattr(meter, "count", count)
        committer = Committer(
            book, meter, committed=lambda tick: book.fail("callback"), broken=broken.append
        )

        async def lane(number: int) -> None:
            answers[number] = await committer.start(batch(number))
            assert not answers[number] or number in flying(path)

        async def lanes(first: int) -> None:
            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    for number in range(first, first + 4):
                        tasks.start_soon(lane, number)

        try:
            async with anyio.create_task_group() as tasks:
                committer.quiet(1234.5, 1000.0)
                committer.set_meta("reached", "yes")
                tasks.start_soon(committer.run)
                await lanes(0)
                await lanes(4)
                committer.close()
        except BaseExceptionGroup as group:
            raised += group.exceptions
    assert book.step is None, "the fault happened"
    assert len(broken) + len(raised) == 1
    assert not any(answers.get(number) for number in range(4, 8)), "after a fault nobody may send"
    if step not in ("count", "callback"):
        assert not any(answers.values())
    if broken and not isinstance(book.error, BackfillError):
        assert broken[0].__cause__ is book.error
        assert type(book.error).__name__ in str(broken[0])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio keeps threads from test to test
async def test_a_thread_that_cannot_start_lets_nobody_send(monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    setting = Setting()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        for number in range(4):
            tasks.start_soon(setting.start, number)
        await anyio.wait_all_tasks_blocked()
        setting.committer.close()
    assert setting.answers == dict.fromkeys(range(4), False)
    assert "can't start new thread" in str(setting.broken[0])


async def test_once_the_writing_has_ended_nobody_waits_for_it():
    setting = Setting()
    setting.committer.close()
    await setting.committer.run()
    with anyio.fail_after(5):
        assert not await setting.committer.start(batch(0))


async def test_one_who_gives_up_while_it_is_written_keeps_nobody_else_waiting():
    setting = Setting()
    impatient = anyio.CancelScope()

    async def gives_up() -> None:
        with impatient:
            await setting.start(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(gives_up)
        tasks.start_soon(setting.start, 1)
        with anyio.fail_after(5):
            await anyio.wait_all_tasks_blocked()
            impatient.cancel()
            await anyio.wait_all_tasks_blocked()
            setting.book.go.release()
            await setting.answered.wait()
        setting.committer.close()
    assert setting.answers == {1: True}
    (written,) = [started for _, started in setting.book.groups]
    assert {each.lane for each in written} == {0, 1}


async def test_an_intent_nobody_waits_for_any_more_is_not_written():
    setting = Setting()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(setting.committer.run)
        tasks.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01):  # the commit of lane 0 goes on meanwhile
            await setting.start(1)
        tasks.start_soon(setting.start, 2)
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release(2)
        setting.committer.close()
    assert setting.book.groups == [([], [batch(0)]), ([], [batch(2)])]


async def test_those_who_wait_when_the_run_is_cancelled_hear_no_before_the_rest_is_written():
    """Their intents are not in what is written last, so that cannot be their answer."""
    setting = Setting()
    async with anyio.create_task_group() as lanes, anyio.create_task_group() as writing:
        writing.start_soon(setting.committer.run)
        await anyio.wait_all_tasks_blocked()
        lanes.start_soon(setting.start, 0)
        await anyio.wait_all_tasks_blocked()
        lanes.start_soon(setting.start, 1)
        setting.committer.settle(delivered(9))
        await anyio.wait_all_tasks_blocked()
        setting.book.go.release(2)
        writing.cancel_scope.cancel()
    assert setting.answers == {0: True, 1: False}
    assert setting.book.groups == [([], [batch(0)]), ([delivered(9)], [])]
