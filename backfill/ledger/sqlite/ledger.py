"""The ledger as the rest of the program sees it.

Only one process may write to a ledger at a time; the job's lock sees to that. Inside a process
calls may come from any thread, one after another: a lock makes the others wait, so a commit
may run in a worker thread while the event loop goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Cause, Settlement, State, Tick
from backfill.ledger import statements as sql
from backfill.ledger.decisions import Chosen, LedgerDecisions, decide
from backfill.ledger.facts import ADDRESS, LedgerFacts
from backfill.ledger.lane_cache import LaneCache
from backfill.ledger.reading import LedgerReading
from backfill.ledger.spans import ContradictionError
from backfill.ledger.sqlite.errors import DAMAGED, plain_words
from backfill.ledger.sqlite.file import LedgerFile
from backfill.ledger.sqlite.opening import make, refuse_missing
from backfill.ledger.sqlite.recovery import recount, settle_lost, whole
from backfill.ledger.sqlite.writing import add_tick, write_change

__all__ = ["Ledger"]


class Ledger(LedgerReading, LedgerDecisions, LedgerFacts):
    """What is known about every record of a job, durably. Everything else is pending.

    Every method raises LedgerError, with what to do about it, where the file cannot be read or
    written, and leaves the ledger as it was.
    """

    def __init__(self, file: LedgerFile, clock: Callable[[], float] = time.time) -> None:
        """Called by `open`, `open_readonly` and `open_copy`, which others use."""
        self.path = file.path
        self.recovered = 0  # records that were found in flight, and are unknown now
        self._file = file
        self._clock = clock
        self._memory = LaneCache(self._read_tail)

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
            ledger._follow_clock()
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
        # What went wrong first says more than a disk that fails at the end, too.
        with contextlib.suppress(*[LedgerError] if error is not None else []):
            self.close()

    # --- in the course of a run --------------------------------------------------------------

    def commit(
        self, settled: Sequence[Settlement], started: Sequence[Batch], tick: Tick | None = None
    ) -> None:
        """Write down, in one durable transaction, what came in and what is about to go out.

        A settled batch must be in flight as it was started; its records without an outcome are
        pending again. A started batch must be pending, and its lane not in flight once the
        settled ones have ended. Raises LedgerError where that is not so. Nothing is started where
        the ledger is not in its place any more; what comes in is written wherever it lies.
        """
        if not settled and not started and tick is None:
            return
        try:
            with self._file.turn:
                if started:
                    self._file.refuse_moved()
                change = self._memory.plan(settled, started)
                with self._file.transaction() as connection:
                    write_change(connection, change, self._clock())
                    if started and self._address is not None:
                        connection.execute(sql.REMEMBER, (ADDRESS, self._address))
                    if tick is not None:
                        add_tick(connection, tick)
                self._memory.follow(settled, change)
                if started:
                    self._address = None
        except ContradictionError as error:
            raise LedgerError(
                f"the ledger does not agree: {error}",
                where=str(self.path),
                hint="This is a fault of the program; nothing of this step was written.",
            ) from error

    @property
    def where(self) -> str:
        """The file's path, as messages name it."""
        return str(self.path)

    def moment(self) -> float:
        return self._clock()

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._file.read(statement, values)

    # --- decisions by hand -------------------------------------------------------------------

    def _decide(
        self, state: State, to: State, chosen: Chosen | None, *, cause: Cause | None = None
    ) -> int:
        with self._file.transaction() as connection:
            if connection.execute(sql.IN_FLIGHT).fetchone()[0]:
                raise LedgerError(
                    "requests are in flight",
                    where=str(self.path),
                    hint="Stop the run first; then settle records by hand.",
                )
            count = decide(connection, state, to, chosen, at=self._clock(), cause=cause)
            recount(connection)
        self._memory.forget_spans()
        return count

    # --- small facts -------------------------------------------------------------------------

    def set_facts(self, facts: Mapping[str, str]) -> None:
        with self._file.transaction() as connection:
            for fact in facts.items():
                connection.execute(sql.REMEMBER, fact)

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
