"""A deliverer that freezes at each point of a request, and thaws once another one has its buckets.

Its loop stands still, as all of a process does that is stopped: it gives no sign of life.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable

import anyio
import httpx
import pytest

from backfill.core.errors import OwnershipError
from backfill.core.model import Batch, Settlement, State
from backfill.deliver.http.errors import Withheld
from backfill.deliver.run.group_commit import Committer
from tests.deliver.jobs import number_of
from tests.deliver.together.test_company import RECORDS, Shared, shared

__all__ = ["shared"]

LEASE = HOLD = 0.5  # seconds
SENT_BEFORE = 10  # requests

POINTS = (
    "before its intent",
    "between its intent and the last look",
    "between the last look and its bytes",
    "after its bytes",
    "between the answer and its outcome",
)


class Freezer:
    """Stops the thread that it is made for, once, at one point, until it is thawed."""

    def __init__(self, point: str) -> None:
        self.frozen, self.thawed = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None
        self._point = point
        self._left = SENT_BEFORE

    def passes(self, point: str) -> None:
        if point != self._point or threading.current_thread() is not self.thread:
            return
        self._left -= 1
        if not self._left:
            self.frozen.set()
            assert self.thawed.wait(60)


class Server(httpx.AsyncBaseTransport):
    """Stores what it is sent, and lets a deliverer freeze around that."""

    def __init__(self, freezer: Freezer) -> None:
        self.stored = Counter[int]()
        self._passes = freezer.passes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        item = json.loads(await request.aread())
        may_send: Callable[[], bool] = request.extensions["may_send"]
        self._passes("between its intent and the last look")
        if not may_send():
            raise Withheld
        self._passes("between the last look and its bytes")
        self.stored[number_of(item)] += 1
        self._passes("after its bytes")
        content = {"ok": True, "status": 201, "statusText": "Created", "body": None, "raw": ""}
        return httpx.Response(201, json=content)


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_sent_twice_or_lost_by_one_that_froze(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, point: str, guarantee: str
) -> None:
    freezer = Freezer(point)
    server = shared.store = Server(freezer)  # type: ignore[assignment]
    start, settle = Committer.start, Committer.settle

    async def start_later(self: Committer, batch: Batch) -> bool:
        freezer.passes("before its intent")
        return await start(self, batch)

    def settle_later(self: Committer, settlement: Settlement) -> None:
        freezer.passes("between the answer and its outcome")
        settle(self, settlement)

    monkeypatch.setattr(Committer, "start", start_later)
    monkeypatch.setattr(Committer, "settle", settle_later)
    first, second = (shared.ledger(lease=LEASE, hold=HOLD) for _ in range(2))
    ended: list[object] = []

    def freezes() -> None:
        try:
            ended.append(anyio.run(lambda: shared.run(first, guarantee=guarantee, concurrency=1)))
        except OwnershipError as error:
            ended.append(error)

    freezer.thread = threading.Thread(target=freezes)
    freezer.thread.start()
    try:
        assert freezer.frozen.wait(60)
        anyio.run(lambda: shared.run(second, guarantee=guarantee))
        told = second.counts()
    finally:
        freezer.thawed.set()
        freezer.thread.join(60)
    (outcome,) = ended
    assert outcome is None or isinstance(outcome, OwnershipError)
    with shared.place.look() as look:
        assert look.counts() == told, "one that thaws changes nothing"
    # Where the next one has no intent yet, the outcome of the one before may be unwritten.
    in_flight = {0, 1} if point == "before its intent" else {1}
    arrived = point != "between its intent and the last look"
    assert told[State.DELIVERED] + told[State.UNKNOWN] == RECORDS
    if guarantee == "at-most-once":
        assert told[State.UNKNOWN] in in_flight
        assert set(server.stored.values()) == {1}
        assert len(server.stored) == RECORDS - (0 if arrived else 1)
    else:
        assert told[State.UNKNOWN] == 0
        assert len(server.stored) == RECORDS
        assert server.stored.total() - RECORDS in (in_flight if arrived else {0})
