"""A process among several that deliver one job: its buckets and its share of the budget."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial

import anyio
import anyio.from_thread
import anyio.to_thread

from backfill.core.errors import BackfillError
from backfill.core.model import Lane, Range, Tick, Verdict
from backfill.deliver.pacing import Grant
from backfill.deliver.run.company import AnyLimit
from backfill.deliver.run.stopping import StopState
from backfill.deliver.together.buckets import SharedBuckets
from backfill.deliver.together.budget import JobBudget
from backfill.ledger.protocol import SharedLedger

__all__ = ["Member"]

log = logging.getLogger("backfill.deliver")

_LISTEN = 0.5  # seconds after which a thread that listens looks whether it still should
_AGAIN = 1.0  # seconds until a connection that broke while listening is made anew


class Member:
    """What a run asks of the others, by the ledger that they share."""

    def __init__(self, ledger: SharedLedger, buckets: SharedBuckets, budget: JobBudget) -> None:
        self.limit: AnyLimit = budget.limit
        self._ledger = ledger
        self._buckets = buckets
        self._budget = budget
        self._over = threading.Event()
        budget.limit.over = buckets.stop
        budget.waits = lambda: buckets.waits

    @property
    def away(self) -> bool:
        return self._ledger.away

    async def next(self) -> tuple[Lane, list[Range]] | None:
        return await self._buckets.next()

    def asks(self, lane: Lane) -> None:
        self._buckets.asks(lane)

    def keeps(self, lane: Lane) -> bool:
        return self._buckets.keeps(lane)

    def done(self, lane: Lane) -> None:
        self._buckets.done(lane)

    async def keep(self, stop_state: StopState) -> None:
        """Draw, take buckets and listen until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen)
                for keep in (partial(self._budget.keep, stop_state.pull), self._buckets.keep):
                    tasks.start_soon(self._kept, keep, stop_state)
        finally:
            self._over.set()

    async def _kept(self, keep: Callable[[], object], stop_state: StopState) -> None:
        try:
            await keep()  # type: ignore[misc]
        except BackfillError as error:
            stop_state.fail(error)

    def permission(self, grant: Grant) -> Callable[[], bool]:
        may_send, still_valid = self._ledger.may_send, grant.still_valid
        return lambda: may_send() and still_valid()

    def note(self, verdict: Verdict) -> None:
        # One that was frozen finds all its requests timed out, which says nothing of the server.
        if self._ledger.may_send():
            self._budget.note(verdict)

    def count(self, tick: Tick) -> None:
        self._budget.count(tick)

    def pending(self) -> int:
        return self._buckets.pending()

    def stop(self) -> None:
        self._buckets.stop()
        self._budget.limit.end()

    async def leave(self) -> None:
        """Report what is new, and give back what this process had drawn and not sent.

        Where the ledger is out of reach, what was drawn counts as sent.
        """
        with contextlib.suppress(BackfillError), anyio.CancelScope(shield=True):
            report = self._budget.report(last=True)
            await anyio.to_thread.run_sync(self._ledger.budget.draw, report)

    async def _listen(self) -> None:
        """Hear at once of quiet periods that others were asked for; a draw tells them, too."""
        while True:
            try:
                await anyio.to_thread.run_sync(self._hear, abandon_on_cancel=True)
            except BackfillError as error:
                log.debug("not heard: %s", error)
            await anyio.sleep(_AGAIN)

    def _hear(self) -> None:
        with self._ledger.budget.notices() as wait:
            while not self._over.is_set():
                notice = wait(_LISTEN)
                if notice is not None:
                    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                        anyio.from_thread.run_sync(self._budget.hear, *notice)
