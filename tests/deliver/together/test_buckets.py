"""Who begins first takes no more buckets than it can send of: others come for theirs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
import trio.testing

from backfill.core.model import Range
from backfill.deliver.together.buckets import SharedBuckets
from backfill.deliver.together.fair_share import Line
from backfill.ledger.protocol import SharedLedger
from backfill.ledger.sharing import BucketProgress
from tests.deliver.jobs import make_job

BUCKETS, LANES = 6, 2
READS = 0.5  # seconds until a lane's file is read and the lane asks for its turn
SENDS = 0.1  # seconds that a request takes
WAITS = 1.0  # seconds for which a deliverer that reported so counts as waiting


class Owners:
    """The ownership of a job's buckets, of which nothing is settled."""

    def __init__(self) -> None:
        self.owner: dict[int, str] = {}
        self.takes: list[tuple[str, int]] = []
        self.deliverers: list[Deliverer] = []

    def owned(self, by: str) -> list[int]:
        return [bucket for bucket, name in self.owner.items() if name == by]


class OneLedger:
    """What one deliverer asks of the ledger."""

    def __init__(self, owners: Owners, name: str) -> None:
        self._owners, self._name = owners, name

    def progress(self) -> dict[int, BucketProgress]:
        return {}

    def orphans(self) -> list[int]:
        return []

    def take_one(self, buckets: list[int]) -> tuple[int, int] | None:
        for bucket in buckets:
            if bucket not in self._owners.owner:
                self._owners.owner[bucket] = self._name
                self._owners.takes.append((self._name, bucket))
                return bucket, 0
        return None

    def release(self, bucket: int) -> bool:
        assert self._owners.owner.pop(bucket) == self._name
        return True

    def held(self, _: int) -> dict[int, float]:
        return {}

    def settled(self, _: int) -> list[Range]:
        return []


class Deliverer:
    """Some workers that walk lanes as a run does, and then wait for their turn or send."""

    def __init__(
        self, directory: Path, owners: Owners, name: str, *, crowds: bool, buckets: int = BUCKETS
    ) -> None:
        manifest = make_job(directory, lanes=tuple((3,) * LANES for _ in range(buckets)))
        self.waiting = 0
        self.waited = -math.inf  # when it did so last
        self.sending = Counter[int]()  # lanes of each bucket
        self._others = owners.deliverers
        self._place = len(self._others)
        self._others.append(self)
        self.buckets = SharedBuckets(
            manifest,
            cast("SharedLedger", OneLedger(owners, name)),
            crowded=lambda: crowds and self.waiting > 0,
            line=self._line,
        )

    def _line(self) -> Line:
        """As draws tell it, where a wait that was reported counts for a while."""
        now = anyio.current_time()
        for each in self._others:
            each.waited = now if each.buckets.waits else each.waited
        waiting = any(each.waited > now - WAITS for each in self._others if each is not self)
        return Line(self._place, len(self._others), waiting=waiting)

    async def work(self) -> None:
        while (found := await self.buckets.next()) is not None:
            await anyio.sleep(READS)
            self.buckets.asks(found[0])
            self.waiting += 1
            self.sending[found[0].bucket] += 1
            while self.buckets.keeps(found[0]):  # noqa: ASYNC110 - a request after the other
                await anyio.sleep(SENDS)
            self.waiting -= 1
            self.sending[found[0].bucket] -= 1
            self.buckets.done(found[0])

    def begin(self, tasks: Any, workers: int = 16) -> None:
        tasks.start_soon(self.buckets.keep)
        for _ in range(workers):
            tasks.start_soon(self.work)


def virtually(function: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(called: Any, *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return called(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(function, backend="trio", backend_options={"clock": clock})


def test_one_that_begins_early_and_has_to_wait_takes_one_bucket(tmp_path, monkeypatch) -> None:
    """Its lanes wait for their turn, as in a paused job: more of them would send no more."""
    owners = Owners()

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            Deliverer(tmp_path, owners, "early", crowds=True).begin(tasks)
            await anyio.sleep(0.9 * READS)
            assert owners.owned("early") == [0], "nobody knows yet whether its lanes will wait"
            await anyio.sleep(10)
            assert owners.owned("early") == [0]
            Deliverer(tmp_path, owners, "late", crowds=True).begin(tasks)
            await anyio.sleep(10)
            assert owners.owned("late") == [1]
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)


def test_one_that_has_room_takes_bucket_after_bucket(tmp_path, monkeypatch) -> None:
    owners = Owners()

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            Deliverer(tmp_path, owners, "one", crowds=False).begin(tasks)
            for taken in range(1, BUCKETS + 1):
                await anyio.sleep(0.1 * READS)
                assert len(owners.owned("one")) == taken
                await anyio.sleep(0.95 * READS)
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)


def test_one_with_few_workers_takes_what_they_can_walk(tmp_path, monkeypatch) -> None:
    owners = Owners()

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            Deliverer(tmp_path, owners, "one", crowds=False).begin(tasks, workers=3)
            await anyio.sleep(20)
            assert owners.owned("one") == [0, 1]
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)


def test_one_that_comes_late_says_why_it_waits_and_takes_what_is_given_back(
    tmp_path, monkeypatch, caplog
) -> None:
    owners = Owners()
    owners.owner = dict.fromkeys(range(BUCKETS), "early")

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            Deliverer(tmp_path, owners, "late", crowds=False).begin(tasks)
            await anyio.sleep(3)
            assert not caplog.messages
            await anyio.sleep(7)
            (said,) = caplog.messages
            assert "other deliverers hold the 6 buckets that are left" in said
            del owners.owner[4]
            await anyio.sleep(1)
            assert owners.owned("late") == [4]
            assert len(caplog.messages) == 1
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)


def test_one_that_comes_late_gets_its_share_of_what_others_hold(tmp_path, monkeypatch, caplog):
    """Each bucket that moves does so once, the newest first, and only once its lanes are done."""
    owners = Owners()

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            early = Deliverer(tmp_path, owners, "early", crowds=False)
            early.begin(tasks)
            await anyio.sleep(20)
            assert owners.owned("early") == list(range(BUCKETS))
            late = Deliverer(tmp_path, owners, "late", crowds=False)
            late.begin(tasks)
            await anyio.sleep(20)
            assert owners.owned("early") == [0, 1, 2]
            assert sorted(owners.owned("late")) == [3, 4, 5]
            third = Deliverer(tmp_path, owners, "third", crowds=False)
            third.begin(tasks)
            await anyio.sleep(20)
            counts = [len(owners.owned(name)) for name in ("early", "late", "third")]
            assert counts == [2, 2, 2]
            assert len(owners.takes) == BUCKETS + 3 + 2
            for each, name in ((early, "early"), (late, "late"), (third, "third")):
                assert +each.sending == Counter(dict.fromkeys(owners.owned(name), LANES))
            assert not caplog.messages, "nobody waited for long"
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)


def test_one_that_holds_a_single_bucket_keeps_it(tmp_path, monkeypatch) -> None:
    owners = Owners()

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            for name in ("early", "second", "third"):
                Deliverer(tmp_path, owners, name, crowds=False, buckets=2).begin(tasks)
                await anyio.sleep(10)
            owned = [owners.owned(name) for name in ("early", "second", "third")]
            assert owned == [[0], [1], []]
            assert len(owners.takes) == 3, "the second bucket was handed over once"
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
