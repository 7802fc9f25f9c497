"""Group commit: one transaction for all outcomes that came in and all intents that wait.

While one is written to the disk in a thread, the next one gathers, so the cost of a durable
write is shared by as many requests as came along meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread

from backfill.deliver.meter import Meter
from backfill.errors import LedgerError
from backfill.model import Batch, Settlement, Tick

__all__ = ["Book", "Committer"]


class Book(Protocol):
    """The part of the ledger that a run writes to."""

    def commit(
        self, settled: list[Settlement], started: list[Batch], tick: Tick | None = None
    ) -> None: ...

    def set_quiet_until(self, epoch: float) -> None: ...

    def remember(self, key: str, value: str) -> None: ...


class _Group:
    """What goes into the next transaction, and who waits for it."""

    __slots__ = ("done", "facts", "quiet", "settled", "started")

    def __init__(self) -> None:
        self.settled: list[Settlement] = []
        self.started: list[Batch] = []
        self.quiet = 0.0
        self.facts: dict[str, str] = {}
        self.done = anyio.Event()

    def let_go(self) -> None:
        """Nobody waits for it any more, and its intents are for nobody to write again."""
        self.started = []
        self.done.set()

    def __bool__(self) -> bool:
        return bool(self.settled or self.started or self.quiet or self.facts)


class Committer:
    """Writes to the ledger what the lanes bring, in order, one transaction after another.

    After the first fault of the ledger `error` holds it and `start` answers no. What is still in
    flight is awaited, and then its outcomes are tried once more: a disk may have room for them
    where it had none for more intents. What cannot be recorded stays in flight in the ledger.
    """

    def __init__(
        self,
        book: Book,
        meter: Meter,
        *,
        committed: Callable[[Tick], None],
        broken: Callable[[LedgerError], None],
    ) -> None:
        self.error: LedgerError | None = None
        self._book = book
        self._meter = meter
        self._committed = committed
        self._broken = broken
        self._group = _Group()
        self._work = anyio.Event()
        self._closing = False
        self._unwritten: list[tuple[_Group, Tick]] = []

    def settle(self, settlement: Settlement) -> None:
        """Record the end of a request with the next transaction."""
        self._group.settled.append(settlement)
        self._work.set()

    def quiet(self, until: float) -> None:
        """Record before when nothing may be sent, in seconds since the epoch."""
        self._group.quiet = until
        self._work.set()

    def remember(self, key: str, value: str) -> None:
        """Record a small fact before any outcome that comes after it."""
        self._group.facts[key] = value
        self._work.set()

    async def start(self, batch: Batch) -> bool:
        """Record the intent to send a batch, and wait until it is on the disk.

        False where it could not be recorded: then nothing may be sent.
        """
        if self.error is not None:
            return False
        group = self._group
        group.started.append(batch)
        self._work.set()
        await group.done.wait()
        return self.error is None

    def close(self) -> None:
        """Let `run` end once everything brought so far is written."""
        self._closing = True
        self._work.set()

    async def run(self) -> None:
        """Write until closed. Outcomes that came in are written even if the run is cancelled."""
        try:
            while True:
                await anyio.lowlevel.checkpoint_if_cancelled()
                if self._group and self.error is None:
                    await self._write(self._next_group())
                elif self._closing:
                    return
                else:
                    self._work = anyio.Event()
                    await self._work.wait()
        finally:
            last = self._next_group()
            last.let_go()  # nobody is left to send them
            if self.error is not None:
                await self._try_again(last)
            elif last:
                await self._write(last)

    def _next_group(self) -> _Group:
        group, self._group = self._group, _Group()
        return group

    async def _write(self, group: _Group) -> None:
        tick = self._meter.tick(group.settled)
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._record, group, tick)
        except LedgerError as error:
            self.error = error
            self._unwritten.append((group, tick))
            self._group.let_go()  # those who came along meanwhile
            self._broken(error)
        else:
            self._meter.count(tick)
            self._committed(tick)
        finally:
            group.let_go()

    async def _try_again(self, last: _Group) -> None:
        """Record the outcomes that the fault kept from being written, where that is possible now.

        The run has failed all the same; this only spares records from being unknown.
        """
        self._unwritten.append((last, self._meter.tick(last.settled)))
        with contextlib.suppress(LedgerError), anyio.CancelScope(shield=True):
            for group, tick in self._unwritten:
                await anyio.to_thread.run_sync(self._record, group, tick)
                self._meter.count(tick)

    def _record(self, group: _Group, tick: Tick) -> None:
        """In a thread, so that requests go on while the disk is written to."""
        if group.quiet:
            self._book.set_quiet_until(group.quiet)
        for key, value in group.facts.items():
            self._book.remember(key, value)
        self._book.commit(group.settled, group.started, tick)
