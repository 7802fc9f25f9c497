"""Two deliverers in one loop, each with a ledger of its own on a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from backfill.core.errors import OwnershipError
from backfill.core.model import Batch, Lane, State, Stop, StopKind
from backfill.core.secret import Secret
from backfill.deliver import Settings, StopRequest, deliver, join
from backfill.deliver.together.buckets import SharedBuckets
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.ledger.postgres import PostgresLedger
from tests.deliver.fakes import Request, Store, accepted
from tests.deliver.jobs import make_job
from tests.ledger.places import PostgresPlace, cut

LANES = tuple((6, 6) for _ in range(8))
RECORDS = 96


class Line(httpx.AsyncBaseTransport):
    """Counts what one deliverer sends to the server of all."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        self._store = store

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return await self._store.handle_async_request(request)


class Shared:
    """A job, its place in the database, and as many ledgers as there are deliverers."""

    def __init__(self, directory: Path, address: str, lanes: tuple[tuple[int, ...], ...]) -> None:
        self.directory = directory
        self.manifest: Manifest = make_job(directory, lanes=lanes)
        self.place = PostgresPlace(address)
        self.store = Store(latency=0.01)
        self._open: list[PostgresLedger] = []
        self.ledger(create=True).close()

    def ledger(self, **options: Any) -> PostgresLedger:
        opened = PostgresLedger.open(self.place.address, self.place.schema, **options)
        self._open.append(opened)
        return opened

    def close(self) -> None:
        for each in self._open:
            each.close()

    async def run(
        self,
        ledger: PostgresLedger,
        transport: Line | None = None,
        halt: StopRequest | None = None,
        **changes: Any,
    ) -> Stop | None:
        settings = Settings(base_url="http://127.0.0.1:1", **{"rate": 400.0, **changes})
        try:
            return await deliver(
                manifest=self.manifest,
                directory=self.directory,
                ledger=ledger,
                destination=destination(self.manifest.destination),
                credential=Secret("invented"),
                settings=settings,
                halt=halt or StopRequest(),
                transport=transport or self.store,
                joined=join(ledger, settings),
            )
        finally:
            ledger.budget.leave()


@pytest.fixture
def shared(tmp_path, postgres, request) -> Iterator[Shared]:
    shared = Shared(tmp_path, postgres.address, getattr(request, "param", LANES))
    yield shared
    shared.close()
    shared.place.drop()


def test_two_share_the_buckets_and_send_each_record_once(shared) -> None:
    senders: dict[str, int] = {}

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            for name in ("one", "two"):
                ledger = shared.ledger()

                async def one(name: str = name, ledger: PostgresLedger = ledger) -> None:
                    assert await shared.run(ledger) is None
                    senders[name] = ledger._commits

                tasks.start_soon(one)

    anyio.run(go)
    assert sorted(shared.store.stored) == list(range(RECORDS))
    assert all(commits > 4 for commits in senders.values()), "both took part"
    with shared.place.look() as look:
        assert look.counts()[State.DELIVERED] == RECORDS
        assert look.requests().sent == RECORDS


@pytest.mark.parametrize("limit", [None, 700])
@pytest.mark.parametrize("shared", [((60, 60),) * 8], indirect=True, ids=["many"])
def test_one_that_comes_late_gets_half_of_what_the_first_one_holds(shared, limit, caplog) -> None:
    """The server asserts that the records of each key come in order, one at a time."""
    caplog.set_level("INFO", logger="backfill.deliver")
    shared.store.latency = 0.05
    early, late = shared.ledger(), shared.ledger()
    before: list[int] = []
    line = Line(shared.store)

    async def go() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(shared.run, early, rate=100_000.0, limit=limit))
            await anyio.to_thread.run_sync(until, lambda: len(early._epochs) == 8)
            before.append(len(shared.store.stored))
            tasks.start_soon(partial(shared.run, late, transport=line))
            await anyio.to_thread.run_sync(until, lambda: len(late._epochs) >= 3)
            assert "is given back" in caplog.text

    anyio.run(go)
    assert line.count > ((limit or 960) - before[0]) / 8
    assert len(shared.store.stored) == len(set(shared.store.stored)) == (limit or 960)
    with shared.place.look() as look:
        assert (look.counts()[State.DELIVERED], look.in_flight()) == (limit or 960, 0)


def until(so: Callable[[], bool]) -> None:
    """Wait, in a thread, until something is so."""
    give_up = time.monotonic() + 30
    while not so():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def lost_intent(shared: Shared, hold: float) -> PostgresLedger:
    """A deliverer has died with an intent in the first lane. Returns another one's ledger."""
    dead = shared.ledger()
    dead.take(0)
    dead.commit([], [Batch(0, 0, ((0, 1),))])
    cut(dead)
    alive = shared.ledger(hold=hold)
    until(lambda: bool(alive.orphans()))
    dead.close()
    return alive


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
def test_the_lane_of_a_lost_request_is_held_and_the_others_go_on(shared, guarantee) -> None:
    hold = 1.0
    ledger = lost_intent(shared, hold)
    began = time.monotonic()
    assert anyio.run(lambda: shared.run(ledger, guarantee=guarantee)) is None
    first_lane = [each for each in shared.store.requests if each.numbers[0] < 6]
    others = [each for each in shared.store.requests if each.numbers[0] >= 6]
    assert min(each.at for each in first_lane) - began >= hold - 0.2
    assert min(each.at for each in others) < min(each.at for each in first_lane)
    again = guarantee == "at-least-once"
    assert sorted(shared.store.stored) == list(range(0 if again else 1, RECORDS))
    counts = ledger.counts()
    assert counts[State.UNKNOWN] == (0 if again else 1)
    assert counts[State.DELIVERED] == RECORDS - counts[State.UNKNOWN]


def test_a_limit_that_is_spent_lets_what_was_reserved_go(shared) -> None:
    stop = anyio.run(lambda: shared.run(shared.ledger(), limit=7))
    assert stop is not None
    assert stop.message == "the limit of 7 records is reached"
    assert len(shared.store.stored) == 7


def test_what_a_deliverer_that_ends_has_reserved_of_a_limit_goes_to_the_others(shared) -> None:
    slow: dict[str, Any] = {"rate": 20.0, "limit": 12}

    async def go() -> None:
        stays = shared.ledger()
        join(stays, Settings(base_url="http://127.0.0.1:1", **slow), sends=False)
        halt = StopRequest()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(shared.run, shared.ledger(), halt=halt, **slow))
            while not shared.store.stored:  # noqa: ASYNC110 - the store has no event
                await anyio.sleep(0.005)
            halt.request(StopKind.TERMINATED)
        assert len(shared.store.stored) < 10
        stop = await shared.run(shared.ledger(), **slow)
        assert stop is not None
        assert stop.message == "the limit of 12 records is reached"

    anyio.run(go)
    assert len(shared.store.stored) == 12


def test_one_that_lost_a_bucket_sends_nothing_more_and_says_so(shared) -> None:
    ledger = shared.ledger()

    def behave(store: Store, request: Request) -> Any:
        store.store(request)
        if len(store.stored) == 20:
            shared.place.tamper("UPDATE owner SET epoch = epoch + 1")
        return accepted(request)

    shared.store.behave = behave
    with pytest.raises(OwnershipError):
        anyio.run(lambda: shared.run(ledger))
    assert len(shared.store.stored) < 20 + 2 * len(LANES) * 2
    assert not ledger.may_send()


def test_only_what_was_chosen_is_sent_and_the_run_ends(shared) -> None:
    stop = anyio.run(
        lambda: shared.run(shared.ledger(), only={"customFields.number": ("0", "13", "95")})
    )
    assert stop is not None
    # The records of a key go in order: number 95 has earlier ones that stay behind.
    assert sorted(shared.store.stored) == [0, 13]
    assert "1 of them waits for earlier records of the same key" in stop.message


def test_buckets_are_taken_one_by_one_while_lanes_wait_to_send(shared) -> None:
    crowded = False

    async def go() -> None:
        ledger = shared.ledger()
        buckets = SharedBuckets(shared.manifest, ledger, crowded=lambda: crowded)
        lanes: list[Lane] = []

        async def worker() -> None:
            found = await buckets.next()
            if found is not None:
                lanes.append(found[0])
                buckets.asks(found[0])

        nonlocal crowded
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(buckets.keep)
            for _ in range(5):
                tasks.start_soon(worker)
            with anyio.fail_after(5):
                await anyio.to_thread.run_sync(until, lambda: len(lanes) == 5)
            taken = {lane.bucket for lane in lanes}
            assert len(taken) == 3
            crowded = True
            tasks.start_soon(worker)
            tasks.start_soon(worker)
            await anyio.sleep(0.6)
            assert len(lanes) <= 6, "one lane was left of the third bucket"
            buckets.stop()
            tasks.cancel_scope.cancel()

    anyio.run(go)
