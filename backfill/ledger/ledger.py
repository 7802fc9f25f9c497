"""The ledger as the rest of the program sees it.

Only one process may write to a ledger at a time; the job's lock sees to that. Inside a process
calls may come from any thread, one after another: a lock makes the others wait, so a commit
may run in a worker thread while the event loop goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backfill.core.errors import LedgerError
from backfill.core.model import (
    Attempt,
    Batch,
    Cause,
    Outcome,
    Range,
    RequestCounts,
    Settlement,
    State,
    Tick,
)
from backfill.ledger import statements as sql
from backfill.ledger.decisions import Chosen, decide
from backfill.ledger.file import LedgerFile
from backfill.ledger.opening import make, refuse_missing
from backfill.ledger.recovery import recount, settle_lost, whole
from backfill.ledger.spans import CommitPlan, ContradictionError, Key, Span, plan_commit
from backfill.ledger.sqlite_errors import DAMAGED, plain_words
from backfill.ledger.writing import add_tick, write_change

__all__ = ["Ledger"]

_QUIET, _ASKED = "quiet_until", "quiet_asked_at"
_ADDRESS = "address"
_PAGE = 20_000  # spans read at a time, so that a long look does not hold up a commit
_MOST_TAILS = 16_384  # lanes whose last span is kept in memory
_COLUMNS = (
    "bucket",
    "start",
    "stop",
    "state",
    "http_status",
    "reason",
    "request_id",
    "cause",
    "at",
)


class Ledger:
    """What is known about every record of a job, durably. Everything else is pending.

    Every method raises LedgerError, with what to do about it, where the file cannot be read or
    written, and leaves the ledger as it was.
    """

    def __init__(self, file: LedgerFile, clock: Callable[[], float] = time.time) -> None:
        """For `open` and `look`, which are how a ledger is had."""
        self.path = file.path
        self.recovered = 0  # records that were found in flight, and are unknown now
        self._file = file
        self._clock = clock
        self._flights: dict[Key, tuple[Range, ...]] = {}
        self._tails: dict[Key, Span] = {}
        self._address: str | None = None  # to be written down with the next intent

    @classmethod
    def open(
        cls, path: Path, *, create: bool = False, clock: Callable[[], float] = time.time
    ) -> Ledger:
        """Open a ledger to work with it, or with `create` make one where there is none.

        What is found in flight becomes unknown, durably, before this returns; `recovered` says
        how many records. `clock` gives seconds since the epoch.
        """
        with plain_words(path):
            if not path.exists():
                if not create:
                    raise LedgerError(
                        "the ledger is missing",
                        where=str(path),
                        hint="It was moved or removed, and with it what was delivered. Restore "
                        "the job's directory from a copy before anything is sent again.",
                    )
                make(path)
        return cls._recovered(LedgerFile(path, writable=True), clock)

    @classmethod
    def open_readonly(cls, path: Path) -> Ledger:
        """Open a ledger to read it as it is now, beside a process that works with it.

        It changes nothing. What is in flight counts as pending.
        """
        refuse_missing(path)
        return cls(whole(LedgerFile(path, writable=False)))

    @classmethod
    def open_copy(cls, path: Path) -> Ledger:
        """Open a ledger that no process works with, to read it.

        It changes nothing in the ledger's directory. What is in flight counts as unknown: nobody
        is left to hear of it.
        """
        refuse_missing(path)
        file = LedgerFile(path, copied=True, writable=True)
        ledger = cls._recovered(file)
        file.writable = False
        return ledger

    @classmethod
    def _recovered(cls, file: LedgerFile, clock: Callable[[], float] = time.time) -> Ledger:
        """The ledger in a file, once that was seen to be whole and what was lost is settled."""
        ledger = cls(whole(file), clock)
        try:
            ledger.recovered = settle_lost(file, clock)
            if (until := ledger.quiet_until()) < float(ledger.get_meta(_QUIET) or 0):
                ledger.set_quiet_until(until)  # or it would stay ahead of a clock that was set back
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Let the file go. May be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- in the course of a run --------------------------------------------------------------

    def commit(
        self, settled: Sequence[Settlement], started: Sequence[Batch], tick: Tick | None = None
    ) -> None:
        """Write down, in one durable transaction, what came in and what is about to go out.

        A settled batch must be in flight as it was started; its records without an outcome are
        pending again. A started batch must be pending, and its lane not in flight once the
        settled ones have ended. Raises LedgerError where that is not so.
        """
        if not settled and not started and tick is None:
            return
        try:
            with self._file.turn:
                change = plan_commit(settled, started, flights=self._flights, tail=self._tail)
                with self._file.transaction() as connection:
                    write_change(connection, change, self._clock())
                    if started and self._address is not None:
                        connection.execute(sql.REMEMBER, (_ADDRESS, self._address))
                    if tick is not None:
                        add_tick(connection, tick)
                self._follow(settled, change)
                if started:
                    self._address = None
        except ContradictionError as error:
            raise LedgerError(
                f"the ledger does not agree: {error}",
                where=str(self.path),
                hint="This is a fault of the program; nothing of this step was written.",
            ) from error

    def _follow(self, settled: Sequence[Settlement], change: CommitPlan) -> None:
        """Follow in memory what is now in the file."""
        for settlement in settled:
            del self._flights[settlement.batch.bucket, settlement.batch.lane]
        self._flights.update(change.flights)
        for span in change.spans.values():
            span.stored = span.stop
        self._tails.update(change.tails)
        if len(self._tails) > _MOST_TAILS:
            self._tails = {key: span for key, span in self._tails.items() if key in self._flights}

    def _tail(self, bucket: int, lane: int, position: int) -> Span | None:
        """The span that ends at or before a position: from memory, else from the file."""
        known = self._tails.get((bucket, lane))
        if known is not None:
            return known
        for start, stop, *words in self._file.read(sql.SPAN_BEFORE, (bucket, position)):
            state, status, reason, request_id, cause = words
            return Span(start, stop, (state, status, reason, request_id, cause), stored=stop)
        return None

    # --- what is known -----------------------------------------------------------------------

    def settled(self, bucket: int) -> list[Range]:
        """The positions of a bucket that are not pending: merged, ascending ranges."""
        merged: list[Range] = []
        for start, stop in self._file.read(sql.SETTLED, (bucket,)):
            if merged and start < merged[-1][1]:
                raise LedgerError(
                    f"the ledger is damaged: position {start} of bucket {bucket} is settled twice",
                    where=str(self.path),
                )
            if merged and start == merged[-1][1]:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        return merged

    def counts(self) -> dict[State, int]:
        """How many records are DELIVERED, FAILED and UNKNOWN, zeros included."""
        found = dict(self._file.read(sql.COUNTS))
        return {
            state: found.get(state.value, 0)
            for state in (State.DELIVERED, State.FAILED, State.UNKNOWN)
        }

    def in_flight(self) -> int:
        """How many records are about to be sent or wait for their reply."""
        count: int = self._file.read(sql.IN_FLIGHT)[0][0]
        return count

    def requests(self) -> RequestCounts:
        """The requests of all runs."""
        return RequestCounts(*self._file.read(sql.REQUESTS)[0])

    def ticks(self) -> list[Tick]:
        """What happened in each slice of time of all runs, in order."""
        latency: dict[int, dict[int, int]] = {}
        for at, slot, replies in self._file.read(sql.LATENCIES):
            latency.setdefault(at, {})[slot] = replies
        rows = self._file.read(sql.TICKS)
        # The columns come in the order of Tick's own fields; its last is the latency.
        return [Tick(*(*row, latency.get(row[0], {}))) for row in rows]

    def outcomes(self, state: State | None = None) -> Iterator[tuple[int, Outcome, float]]:
        """Every span, or those of one state, by bucket and position: (bucket, outcome, when).

        `when` is in seconds since the epoch, and that of a span's last request.
        """
        for bucket, start, stop, found, *words, at in self._spans(state):
            status, reason, request_id, cause = words
            ranges = ((start, stop),)
            outcome = Outcome(ranges, State(found), reason, status, request_id, Cause(cause))
            yield bucket, outcome, at

    def outcome_columns(self, state: State | None = None) -> dict[str, list[Any]]:
        """The same as columns of equal length, for a frame.

        `bucket`, `start`, `stop`, `state`, `http_status`, `reason`, `request_id`, `at`.
        """
        columns = list(zip(*self._spans(state), strict=True)) or [()] * len(_COLUMNS)
        return {name: list(column) for name, column in zip(_COLUMNS, columns, strict=True)}

    def _spans(self, state: State | None) -> Iterator[tuple[Any, ...]]:
        last: tuple[int, int] = (-1, -1)
        while True:
            if state is None:
                page = self._file.read(sql.OUTCOMES, (*last, _PAGE))
            else:
                page = self._file.read(sql.OUTCOMES_IN_STATE, (*last, state.value, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][:2]

    def attempts(self, bucket: int, position: int) -> list[tuple[float, int, Attempt]]:
        """The requests that left this record pending, in order: when each ended, how many records
        of one range it held, and what was said.
        """
        rows = self._file.read(sql.ATTEMPTS, (bucket, position, position))
        return [
            (at, records, Attempt(reason, status, request_id))
            for at, records, status, reason, request_id in rows
        ]

    # --- decisions by hand -------------------------------------------------------------------

    def retry(self, chosen: Chosen | None = None) -> int:
        """Make failed records pending again, all or those at `chosen` positions.

        Returns how many.
        """
        return self._decide(State.FAILED, State.PENDING, chosen)

    def resend_lost(self) -> int:
        """Make those unknown records pending again that were in flight when a program ended.

        For a run that is to deliver at least once; other unknown records stay as they are.
        Returns how many.
        """
        with self._file.transaction() as connection:
            count: int = connection.execute(sql.COUNT_LOST).fetchone()[0]
            connection.execute(sql.FORGET_LOST)
            recount(connection)
        self._tails.clear()
        return count

    def resolve(self, to: State, chosen: Chosen | None = None) -> int:
        """Settle unknown records: PENDING to send them again, DELIVERED or FAILED.

        All of them, or those at `chosen` positions. Returns how many. What was known about them
        stays in the reason.
        """
        if to not in (State.PENDING, State.DELIVERED, State.FAILED):
            raise ValueError(f"an unknown record cannot be settled as {to.value}")
        return self._decide(State.UNKNOWN, to, chosen)

    def _decide(self, state: State, to: State, chosen: Chosen | None) -> int:
        with self._file.transaction() as connection:
            if connection.execute(sql.IN_FLIGHT).fetchone()[0]:
                raise LedgerError(
                    "requests are in flight",
                    where=str(self.path),
                    hint="Stop the run first; then settle records by hand.",
                )
            count = decide(connection, state, to, self._clock(), chosen)
            recount(connection)
        self._tails.clear()
        return count

    # --- small facts -------------------------------------------------------------------------

    def quiet_until(self) -> float:
        """Before when nothing may be sent, in seconds since the epoch; 0 where nobody asked.

        Where the clock was set back since, no longer from now than was asked for then.
        """
        until = float(self.get_meta(_QUIET) or 0)
        if not until:
            return until
        return until - max(0.0, float(self.get_meta(_ASKED) or 0) - self._clock())

    def set_quiet_until(self, epoch: float) -> None:
        """Remember before when nothing may be sent, in seconds since the epoch."""
        with self._file.transaction() as connection:
            connection.execute(sql.REMEMBER, (_QUIET, repr(float(epoch))))
            connection.execute(sql.REMEMBER, (_ASKED, repr(self._clock())))

    def address(self) -> str | None:
        """Where the records go, or None before the first intent."""
        return self.get_meta(_ADDRESS) or None

    def bind_address(self, address: str) -> None:
        """Have the records belong to an address from the next intent on, in its transaction."""
        self._address = address

    def release_address(self) -> None:
        """Let the records belong to no address, after a run of which no request arrived."""
        self.set_meta(_ADDRESS, "")

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact over restarts, instead of what was kept under its name."""
        with self._file.transaction() as connection:
            connection.execute(sql.REMEMBER, (key, value))

    def get_meta(self, key: str) -> str | None:
        """A small fact, or None where it was never remembered."""
        for value, sound in self._file.read(sql.RECALL, (key,)):
            if not sound:
                raise LedgerError(
                    f"the ledger is damaged: what it remembers as {key!r} was changed",
                    where=str(self.path),
                    hint=DAMAGED,
                )
            return str(value)
        return None
