"""Group commit: one transaction for all outcomes that came in and all intents that wait.

While one is written to the disk in a thread, the next one gathers, so the cost of a durable
write is shared by as many requests as came along meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread

from backfill.core.errors import BackfillError, LedgerError
from backfill.core.model import Batch, Settlement, Tick
from backfill.deliver.run.run_metrics import Meter

__all__ = ["Book", "Committer"]

_GATHERING = 3
"""Rounds of the event loop before a group is written, which take no time of their own: in the first
one those whom the last write woke send, and in the others the replies that are there are read. So
the next write holds their outcomes, too, and a busy run needs fewer."""


class Book(Protocol):
    """The part of the ledger that a run writes to."""

    def commit(
        self, settled: list[Settlement], started: list[Batch], tick: Tick | None = None
    ) -> None: ...

    def set_quiet_until(self, epoch: float, asked_at: float) -> None: ...

    def set_meta(self, key: str, value: str) -> None: ...


class _Group:
    """What goes into the next transaction, and who waits for it.

    `committed` turns true in one place: after the ledger has returned from the commit that holds
    the group's intents. Whoever waits answers with it, and never with the absence of an error.
    """

    __slots__ = (
        "_ended",
        "_waiting",
        "committed",
        "facts",
        "quiet",
        "settled",
        "started",
        "tick",
    )

    def __init__(self) -> None:
        self.settled: list[Settlement] = []
        self.started: list[Batch] = []
        self.quiet: tuple[float, float] | None = None
        self.facts: dict[str, str] = {}
        self.tick: Tick | None = None
        self.committed = False
        self._ended = anyio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def ended(self) -> Awaitable[None]:
        """Wait until it is written, or never will be.

        Every request waits here once. In asyncio a future each takes half of an event's time.
        """
        try:
            future = asyncio.get_running_loop().create_future()
        except RuntimeError:  # Trio's
            return self._ended.wait()
        self._waiting.append(future)
        return future

    def end(self) -> None:
        """Go on, all who wait, in the order in which they came."""
        self._ended.set()
        for future in self._waiting:
            if not future.done():  # one that was cancelled
                future.set_result(None)
        self._waiting.clear()

    def refuse(self) -> _Group:
        """Tell those who wait that their intents are not written, and never will be.

        Returns a group of all the rest, which nobody waits for.
        """
        rest = _Group()
        rest.settled, rest.quiet, rest.facts = self.settled, self.quiet, self.facts
        rest.tick = self.tick
        self.end()
        return rest

    def __bool__(self) -> bool:
        return bool(self.settled or self.started or self.quiet or self.facts)


class Committer:
    """Writes to the ledger what the lanes bring, in order, one transaction after another.

    After the first failed write, whatever failed, `error` holds it and `start` answers no. What
    is still in flight is awaited, and then its outcomes are tried once more: a disk may have room
    for them where it had none for more intents. What cannot be recorded stays in flight in the
    ledger.
    """

    def __init__(
        self,
        book: Book,
        meter: Meter,
        *,
        committed: Callable[[Tick], None],
        broken: Callable[[BackfillError], None],
    ) -> None:
        self.error: BackfillError | None = None
        self._book = book
        self._meter = meter
        self._committed = committed
        self._broken = broken
        self._group = _Group()
        self._work: anyio.Event | None = None  # there while nothing is to be written
        self._closing = False
        self._unwritten: list[_Group] = []

    def settle(self, settlement: Settlement) -> None:
        """Record the end of a request with the next transaction."""
        self._group.settled.append(settlement)
        self._wake()

    def quiet(self, until: float, asked_at: float) -> None:
        """Record before when nothing may be sent, and when that was asked for, in seconds since the
        epoch: the clock may be set before it is written down.
        """
        self._group.quiet = until, asked_at
        self._wake()

    def set_meta(self, key: str, value: str) -> None:
        """Record a small fact before any outcome that comes after it."""
        self._group.facts[key] = value
        self._wake()

    async def start(self, batch: Batch) -> bool:
        """Record the intent to send a batch, and wait until it is on the disk.

        True only once the commit that holds the intent has returned. After False, or an
        exception, nothing may be sent.
        """
        if self.error is not None or self._closing:
            return False
        group = self._group
        group.started.append(batch)
        self._wake()
        try:
            await group.ended()
        except BaseException:
            if group is self._group:  # not being written yet, and nobody is left to send it
                group.started.remove(batch)
            raise
        return group.committed

    def close(self) -> None:
        """Let `run` end once everything brought so far is written."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        """Go on writing, if there was nothing to write."""
        if self._work is not None:
            self._work.set()
            self._work = None  # once is enough, however many bring something before it is awake

    async def run(self) -> None:
        """Write until closed. Outcomes that came in are written even if the run is cancelled."""
        try:
            while True:
                if self._group and self.error is None:
                    for _ in range(_GATHERING):
                        await anyio.lowlevel.checkpoint()
                    if self._group:  # whoever waited may be gone by now
                        await self._write(self._next_group())
                elif self._closing:
                    return
                else:
                    await anyio.lowlevel.checkpoint_if_cancelled()
                    work = self._work = anyio.Event()
                    await work.wait()
        finally:
            self._closing = True  # nobody writes what is brought from now on
            last = self._next_group().refuse()  # nobody is left to send its intents
            if self._unwritten:
                await self._try_again(last)
            elif last:
                await self._write(last)

    def _next_group(self) -> _Group:
        group, self._group = self._group, _Group()
        return group

    async def _write(self, group: _Group) -> None:
        try:
            await self._record(group)
        except BaseException as error:
            # Whatever it is, nothing may be sent after it: neither what was to be written here
            # nor what came along meanwhile.
            self._unwritten.append(_Group() if group.committed else group.refuse())
            self._group = self._group.refuse()
            if not isinstance(error, Exception):
                raise
            self._fail(error)
        finally:
            group.end()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, BackfillError):
            self.error = error
        else:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self.error = LedgerError(
                f"what was to be sent could not be written down ({reason})",
                hint="Nothing was sent without it. Free some memory, or whatever this names, and"
                " run the same command again: it goes on where it stood.",
            )
            self.error.__cause__ = error
        self._broken(self.error)

    async def _try_again(self, last: _Group) -> None:
        """Record the outcomes that the fault kept from being written, where that is possible now.

        The run has failed all the same; this only spares records from being unknown.
        """
        with contextlib.suppress(Exception):
            for group in (*self._unwritten, last):
                await self._record(group)

    async def _record(self, group: _Group) -> None:
        """Write a group, in a thread, so that requests go on while the disk is written to."""
        if group.tick is None:
            group.tick = self._meter.tick(group.settled)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._write_down, group, group.tick)
        group.committed = True
        self._meter.count(group.tick)
        if self.error is None:
            self._committed(group.tick)

    def _write_down(self, group: _Group, tick: Tick) -> None:
        if group.quiet:
            self._book.set_quiet_until(*group.quiet)
        for key, value in group.facts.items():
            self._book.set_meta(key, value)
        self._book.commit(group.settled, group.started, tick)
