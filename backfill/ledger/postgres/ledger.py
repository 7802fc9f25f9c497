"""The ledger of one job in PostgreSQL, as the rest of the program sees it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Settlement, State, Tick
from backfill.ledger import statements as sql
from backfill.ledger.decisions import Choice, Chosen, by_hand, choose
from backfill.ledger.lane_cache import LaneCache
from backfill.ledger.postgres.budget import Budget
from backfill.ledger.postgres.documents import document
from backfill.ledger.postgres.errors import OwnershipError
from backfill.ledger.postgres.schema import FOUND, SCHEMA, VERSION
from backfill.ledger.postgres.session import Session
from backfill.ledger.reading import ADDRESS, QUIET_ASKED_AT, QUIET_UNTIL, LedgerReading
from backfill.ledger.spans import ContradictionError
from backfill.ledger.sqlite.errors import DAMAGED
from backfill.ledger.totals import first_difference

__all__ = ["PostgresLedger"]


class PostgresLedger(LedgerReading):
    """What is known about every record of a job, shared by several processes.

    A process writes only for buckets that it took. Every method raises LedgerError, and leaves
    the ledger as it was.
    """

    def __init__(
        self, session: Session, *, clock: Callable[[], float] | None = None, writable: bool = True
    ) -> None:
        """For `open` and `open_readonly`, which are how a ledger is had."""
        self.recovered = 0
        self._session = session
        self._clock = clock
        self._writable = writable
        self._memory = LaneCache(self._read_tail)
        self.budget = Budget(session)
        session.again = self._retake
        self._epochs: dict[int, int] = {}
        self._name = uuid.uuid4().hex
        self._commits = 0
        self._address: str | None = None  # to be written down with the next intent

    @classmethod
    def open(
        cls,
        address: str,
        schema: str,
        *,
        create: bool = False,
        clock: Callable[[], float] | None = None,
        lease: float = 10.0,
        patience: float = 60.0,
    ) -> Self:
        """Open a job's ledger to work with it, or with `create` make one where there is none.

        `address` is what libpq understands, without a password; `schema` is the job's own.
        `clock` gives seconds since the epoch, instead of the database's clock. A process that is
        not heard of for `lease` seconds loses its buckets; a database that is away is waited for
        `patience` seconds. What others left in flight is settled bucket by bucket, in `take`.
        """
        session = Session(address, schema, lease=lease, patience=patience)
        try:
            if create:
                session.make(schema, SCHEMA)
            ledger = cls(session, clock=clock)
            ledger._lease = lease
            ledger._recognise(schema)
            ledger._refuse_difference()
            if (until := ledger.quiet_until()) < float(ledger.get_meta(QUIET_UNTIL) or 0):
                ledger.set_quiet_until(until)  # or it would stay ahead of a clock that was set back
        except BaseException:
            session.close()
            raise
        return ledger

    @classmethod
    def open_readonly(cls, address: str, schema: str) -> Self:
        """Open a job's ledger to read it, from anywhere. It changes nothing."""
        session = Session(address, schema, lease=0, patience=0)
        try:
            ledger = cls(session, writable=False)
            ledger._recognise(schema)
        except BaseException:
            session.close()
            raise
        return ledger

    _lease = 0.0

    @property
    def where(self) -> str:
        """The database and the schema, as messages name them."""
        return self._session.where

    def close(self) -> None:
        """End the session, and with it what this process owns. May be called twice."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    # --- ownership ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """Until when this process may send, on its own monotonic clock, in seconds."""
        return self._session.deadline

    def take(self, bucket: int) -> int | None:
        """Make a bucket ours, and settle what its last owner left in flight as unknown.

        Returns how many records that were; None where the bucket has a living owner. One that
        was not heard of for a lease is not living: its session is ended first.
        """
        with self._session.turn:
            if bucket in self._epochs:
                return 0
            values = (bucket, self._name, self._lease)
            ((epoch, lost),) = self._change("SELECT * FROM take(%s, %s, %s)", values)
            if epoch is None:
                return None
            self._epochs[bucket] = epoch
            self.recovered += lost
            return int(lost)

    def release(self, bucket: int) -> None:
        """Let another process have a bucket of ours. Nothing of it may be in flight."""
        with self._session.turn:
            if any(key[0] == bucket for key in self._memory.flights):
                raise LedgerError("requests of this bucket are in flight", where=self.where)
            if self._epochs.pop(bucket, None) is not None:
                self._memory.forget(bucket)
                self._session.rows("SELECT pg_advisory_unlock(lock_key(%s))", (bucket,))

    def _retake(self) -> None:
        """After the connection was made anew: hold the same buckets, if nobody else took them."""
        self.budget.rejoin()
        lost = [
            bucket
            for bucket, epoch in self._epochs.items()
            if not self._session.rows("SELECT retake(%s, %s)", (bucket, epoch))[0][0]
        ]
        for bucket in lost:
            del self._epochs[bucket]
            self._memory.forget(bucket)
        if lost:
            raise OwnershipError(
                f"another process took bucket {', '.join(map(str, lost))} while the database"
                " could not be reached",
                where=self.where,
                hint="It goes on with them. What was in flight here is unknown.",
            )

    # --- in the course of a run --------------------------------------------------------------

    def commit(
        self, settled: Sequence[Settlement], started: Sequence[Batch], tick: Tick | None = None
    ) -> None:
        """Write down, in one durable call, what came in and what is about to go out.

        The conditions are those of the ledger in SQLite; besides, every bucket must be ours,
        else OwnershipError is raised. Where the answer does not come, what is recorded is read
        before this returns or raises.
        """
        if not settled and not started and tick is None:
            return
        self._refuse_looking()
        try:
            with self._session.turn:
                change = self._memory.plan(settled, started)
                given = document(change, tick, self._owned(settled, started))
                if started and self._address is not None:
                    given["facts"] = [(ADDRESS, self._address)]
                number = self._commits + 1
                self._change(
                    "SELECT write_down(%s, %s, %s, %s::jsonb)",
                    (self._name, number, self._now(), json.dumps(given)),
                    lambda: self._recorded(number),
                )
                self._commits = number
                self._memory.follow(settled, change)
                if started:
                    self._address = None
        except ContradictionError as error:
            raise LedgerError(
                f"the ledger does not agree: {error}",
                where=self.where,
                hint="This is a fault of the program; nothing of this step was written.",
            ) from error

    def _owned(self, settled: Iterable[Settlement], started: Iterable[Batch]) -> list[list[int]]:
        batches = [*(each.batch for each in settled), *started]
        buckets = {batch.bucket for batch in batches}
        missing = buckets - self._epochs.keys()
        if missing:
            raise OwnershipError(
                f"bucket {min(missing)} is not this process's",
                where=self.where,
                hint="Take it first; nothing of this step was written.",
            )
        return [[bucket, self._epochs[bucket]] for bucket in sorted(buckets)]

    def _recorded(self, number: int) -> bool:
        rows = self._session.rows("SELECT commits FROM deliverer WHERE name = %s", (self._name,))
        return bool(rows) and rows[0][0] >= number

    # --- decisions by hand -------------------------------------------------------------------

    def retry(self, chosen: Chosen | None = None) -> int:
        """Make failed records pending again, all or those at `chosen` positions."""
        return self._decide(State.FAILED, State.PENDING, chosen)

    def resend_lost(self) -> int:
        """Make those unknown records pending again that were in flight when a process ended."""
        return self._decide(State.UNKNOWN, State.PENDING, None, cause="lost")

    def resolve(self, to: State, chosen: Chosen | None = None) -> int:
        """Settle unknown records, all or those at `chosen` positions."""
        if to not in (State.PENDING, State.DELIVERED, State.FAILED):
            raise ValueError(f"an unknown record cannot be settled as {to.value}")
        return self._decide(State.UNKNOWN, to, chosen)

    def _decide(
        self, state: State, to: State, chosen: Chosen | None, cause: str | None = None
    ) -> int:
        try:
            with self._session.turn:
                if chosen is None:
                    values = (state.value, to.value, cause, by_hand(to), self._now())
                    ((count,),) = self._change("SELECT decide(%s, %s, %s, %s, %s)", values)
                else:
                    count = self._decide_chosen(state, to, chosen)
                self._memory.forget_spans()
        except ContradictionError as error:
            raise LedgerError(
                str(error),
                where=self.where,
                hint="Stop the run first; then settle records by hand.",
            ) from error
        return int(count)

    def _decide_chosen(self, state: State, to: State, chosen: Chosen) -> int:
        """Cut the spans here; the database looks whether they still are as they were read."""
        change, at = Choice(), self._moment()
        for bucket, ranges in chosen.items():
            spans = self._read(sql.SPANS_IN_STATE, (bucket, state.value))
            found = choose(bucket, spans, ranges, state=state, to=to, at=at)
            change.forgotten += found.forgotten
            change.fresh += found.fresh
            change.records += found.records
        values = (json.dumps(change.forgotten), json.dumps(change.fresh))
        self._change("SELECT decide_chosen(%s::jsonb, %s::jsonb)", values)
        return change.records

    # --- small facts -------------------------------------------------------------------------

    def set_quiet_until(self, epoch: float) -> None:
        """Remember before when nothing may be sent, in seconds since the epoch."""
        self.set_meta(QUIET_ASKED_AT, repr(self._moment()))
        self.set_meta(QUIET_UNTIL, repr(float(epoch)))

    def bind_address(self, address: str) -> None:
        """Have the records belong to an address from the next intent on, in its transaction."""
        self._address = address

    def release_address(self) -> None:
        """Let the records belong to no address, after a run of which no request arrived."""
        self.set_meta(ADDRESS, "")

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact over restarts, instead of what was kept under its name."""
        self._change(
            "INSERT INTO fact VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING 1",
            (key, value),
        )

    def get_meta(self, key: str) -> str | None:
        """A small fact, or None where it was never remembered."""
        rows = self._session.rows("SELECT value FROM fact WHERE name = %s", (key,))
        return str(rows[0][0]) if rows else None

    # --- parts -------------------------------------------------------------------------------

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._session.rows(statement.replace("?", "%s"), values)

    def _change(
        self, statement: str, values: Sequence[Any], recorded: Callable[[], bool] | None = None
    ) -> list[Any]:
        self._refuse_looking()
        # What is no commit may be called twice without harm, so it counts as not recorded.
        return self._session.change(statement, values, recorded=recorded or (lambda: False))

    def _refuse_looking(self) -> None:
        if not self._writable:
            raise LedgerError("the ledger was opened to look at it only", where=self.where)

    def _now(self) -> float | None:
        """Seconds since the epoch by our own clock; None for the database's."""
        return None if self._clock is None else self._clock()

    def _moment(self) -> float:
        now = self._now()
        if now is not None:
            return now
        statement = "SELECT extract(epoch FROM clock_timestamp())::float8"
        return float(self._session.rows(statement)[0][0])

    def _recognise(self, schema: str) -> None:
        if not self._session.rows("SELECT to_regclass('version')")[0][0]:
            raise LedgerError(
                "the ledger is missing",
                where=self.where,
                hint=f"The schema {schema} was dropped, or this is another database. Restore it"
                " before anything is sent again.",
            )
        version = self._session.rows("SELECT number FROM version")[0][0]
        if version != VERSION:
            age = "newer" if version > VERSION else "older"
            raise LedgerError(
                f"the ledger has version {version}, and this backfill understands {VERSION}",
                where=self.where,
                hint=f"Use the {age} backfill that made it.",
            )

    def _refuse_difference(self) -> None:
        with self._session.one_moment():
            found, noted = self._session.rows(FOUND), self._session.rows(sql.NOTED)
        difference = first_difference(found, noted)
        if difference is not None:
            raise LedgerError(
                f"THE BOOKS DO NOT BALANCE: {difference}", where=self.where, hint=DAMAGED
            )
