"""The ledger of one job in PostgreSQL, as the rest of the program sees it."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from backfill.core.errors import LedgerError, LedgerVersionError, OwnershipError
from backfill.core.model import Batch, Cause, Settlement, State, Tick
from backfill.ledger import statements as sql
from backfill.ledger.decisions import Chosen, DecisionPlan, LedgerDecisions, choose, words_for
from backfill.ledger.facts import ADDRESS, LedgerFacts
from backfill.ledger.postgres.documents import document
from backfill.ledger.postgres.errors import DAMAGED
from backfill.ledger.postgres.owner_functions import FOUND, LOST_AS_UNKNOWN
from backfill.ledger.postgres.ownership import BucketOwnership
from backfill.ledger.postgres.schema import SCHEMA, VERSION
from backfill.ledger.postgres.session import COMMENT, NO_SCHEMA, Session
from backfill.ledger.spans import ContradictionError, has_left
from backfill.ledger.totals import first_difference

__all__ = ["PostgresLedger"]

_DECIDE_CHOSEN = """
WITH kept AS (
    INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, (e->>3)::integer, e->>4, e->>5,
           (e->>6)::float8
    FROM jsonb_array_elements(%s::jsonb) e
)
SELECT decide_chosen(%s::jsonb, %s::jsonb, %s)
"""

_AS_READ = "SELECT 1 FROM span WHERE bucket = ? AND start = ? AND stop = ? AND state = ?"


class PostgresLedger(BucketOwnership, LedgerDecisions, LedgerFacts):
    """What is known about every record of a job, shared by several processes.

    A process writes only for buckets that it took. What raises LedgerError changes nothing.
    """

    def __init__(
        self, session: Session, *, clock: Callable[[], float] | None = None, writable: bool = True
    ) -> None:
        """For `open` and `open_readonly`, which are how a ledger is had."""
        super().__init__(session, writable=writable)
        self._clock = clock
        self._wall = clock or time.time
        self._commits = 0
        self._longest = 0  # records, of all ranges of intents; what others left, `take` settles
        self._settles_lost = False  # whether what is in flight is read as unknown

    @classmethod
    def open(
        cls,
        address: str,
        schema: str,
        *,
        create: bool = False,
        named: str = "",
        clock: Callable[[], float] | None = None,
        lease: float = 10.0,
        hold: float = 0.0,
        patience: float = 300.0,
        waits: bool = False,
    ) -> Self:
        """Open a job's ledger to work with it, or with `create` make one where there is none.

        `address` is what libpq understands, without a password; `schema` is the job's own, which
        the function `named` finds by the name that is given here. `clock` gives seconds since the
        epoch, instead of the database's clock. A process that is not heard of for `lease` seconds
        loses its buckets, and for `hold` seconds a request of it may still be on its way; a
        database that is away is waited for `patience` seconds, with `waits` from the first on.
        What others left in flight is settled bucket by bucket, in `take`.
        """
        session = Session(address, schema, lease=lease, patience=patience, waits=waits, writes=True)
        try:
            if create:
                session.make(schema, SCHEMA, named)
            ledger = cls(session, clock=clock)
            ledger._keep_buckets(lease, hold)
            ledger._recognise(schema)
            ledger._refuse_difference()
            ledger._follow_clock()
        except BaseException:
            session.close()
            raise
        return ledger

    @classmethod
    def open_readonly(cls, address: str, schema: str) -> Self:
        """Open a job's ledger to read it as it is now, from anywhere. It changes nothing.

        Where nobody works on the job, what is in flight counts as unknown.
        """
        session = Session(address, schema, lease=0, patience=0)
        try:
            ledger = cls(session, writable=False)
            ledger._recognise(schema)
            ((held,),) = session.rows("SELECT EXISTS (SELECT 1 FROM locks())")
            ledger._settles_lost = not held
            session.stay_in_one_moment()
            ledger._refuse_difference()
        except BaseException:
            session.close()
            raise
        return ledger

    @classmethod
    def open_beside(cls, address: str, schema: str) -> Self:
        """Open a job's ledger for a small fact, beside whoever works with it; nothing is checked
        but its version.
        """
        session = Session(address, schema, lease=0, patience=0)
        try:
            ledger = cls(session)
            ledger._recognise(schema)
        except BaseException:
            session.close()
            raise
        return ledger

    @classmethod
    def named(cls, address: str, name: str) -> list[str]:
        """The schemas of the ledgers that were made under a name."""
        with contextlib.closing(Session(address, NO_SCHEMA, lease=0, patience=0)) as session:
            rows = session.rows(
                "SELECT nspname FROM pg_namespace"
                " WHERE obj_description(oid, 'pg_namespace') = %s ORDER BY nspname",
                (COMMENT + name,),
            )
        return [schema for (schema,) in rows]

    def begun(self) -> bool:
        """Whether a record was ever about to be sent, or somebody is about to do so."""
        begun = (
            "SELECT EXISTS (SELECT 1 FROM total) OR EXISTS (SELECT 1 FROM tick WHERE sent > 0)"
            " OR EXISTS (SELECT 1 FROM locks())"
        )
        return bool(self._session.rows(begun)[0][0])

    @property
    def running(self) -> bool:
        """Whether a process delivers the job at this moment."""
        running = "SELECT EXISTS (SELECT 1 FROM locks() WHERE bucket = 16777215 AND shared)"
        return bool(self._session.rows(running)[0][0])

    def drop(self) -> None:
        """Remove the ledger from the database, with all that it knows."""
        self._session.drop()

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

    # --- in the course of a run --------------------------------------------------------------

    def commit(
        self, settled: Sequence[Settlement], started: Sequence[Batch], tick: Tick | None = None
    ) -> None:
        """Write down, in one durable call, what came in and what is about to go out.

        The conditions are those of the ledger in SQLite; besides, every bucket must be ours,
        else OwnershipError is raised. What comes in for a bucket that was lost is left out: there
        it is unknown already. Where the answer does not come, what is recorded is read before
        this returns or raises.
        """
        self._refuse_looking()
        try:
            with self._session.turn:
                settled, tick = self._without_lost(settled, tick)  # as is known by now
                if not settled and not started and tick is None:
                    return
                change = self._memory.plan(settled, started)
                for _, start, stop, _ in change.new_intents:
                    self._longest = max(self._longest, stop - start)
                given = document(change, tick, self._owned(settled, started), self._longest)
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
        except OwnershipError:
            self._see_what_is_lost()
            raise
        except ContradictionError as error:
            raise LedgerError(
                f"the ledger does not agree: {error}",
                where=self.where,
                hint="This is a fault of the program; nothing of this step was written.",
            ) from error

    def _without_lost(
        self, settled: Sequence[Settlement], tick: Tick | None
    ) -> tuple[Sequence[Settlement], Tick | None]:
        lost = [each for each in settled if each.batch.bucket in self._lost]
        if not lost:
            return settled, tick
        if tick is not None:
            ends = Counter[str]()
            for outcome in (outcome for each in lost for outcome in each.outcomes):
                ends[outcome.state.value] += sum(stop - start for start, stop in outcome.ranges)
            ends["sent"] = sum(map(has_left, lost))  # whoever took the bucket has counted them
            tick = replace(tick, **{name: getattr(tick, name) - n for name, n in ends.items()})
        return [each for each in settled if each.batch.bucket not in self._lost], tick

    def _recorded(self, number: int) -> bool:
        rows = self._session.rows("SELECT commits FROM deliverer WHERE name = %s", (self._name,))
        return bool(rows) and rows[0][0] >= number

    # --- decisions by hand -------------------------------------------------------------------

    def _decide(
        self, state: State, to: State, chosen: Chosen | None, *, cause: Cause | None = None
    ) -> int:
        try:
            with self._session.turn:
                if chosen is None:
                    count = self._decide_all(state, to, cause)
                else:
                    count = self._decide_chosen(state, to, chosen)
                self._memory.forget_spans()
        except ContradictionError as error:
            raise LedgerError(
                str(error),
                where=self.where,
                hint="Stop the run first; then settle records by hand.",
            ) from error
        return count

    def _decide_all(self, state: State, to: State, cause: Cause | None) -> int:
        which = (state.value, cause and cause.value)
        left = partial(self._read, sql.COUNT_DECIDED, which)
        ((count,),) = left()
        values = (state.value, to.value, which[1], words_for(to, cause), self._now())
        done = "SELECT decide(%s, %s, %s, %s, %s)"
        rows = self._change(done, values, lambda: left()[0][0] < count)
        return int(rows[0][0] if rows else count)

    def _decide_chosen(self, state: State, to: State, chosen: Chosen) -> int:
        """Cut the spans here; the database looks whether they still are as they were read."""
        change, at = DecisionPlan(), self.moment()
        for bucket, ranges in chosen.items():
            spans = self._read(sql.SPANS_IN_STATE, (bucket, state.value))
            found = choose(bucket, spans, ranges, state=state, to=to, at=at)
            change.forgotten += found.forgotten
            change.fresh += found.fresh
            change.attempts += found.attempts
            change.records += found.records
        resend = state is State.UNKNOWN and to is State.PENDING
        decided = (change.attempts, change.forgotten, change.fresh)
        first = [(*each, state.value) for each in change.forgotten[:1]]
        self._change(
            _DECIDE_CHOSEN,
            (*map(json.dumps, decided), resend),
            lambda: any(not self._read(_AS_READ, each) for each in first),
        )
        return change.records

    # --- small facts -------------------------------------------------------------------------

    def quiet_until(self) -> float:
        """Before when nothing may be sent, by the clock of this machine; 0 where nobody asked."""
        until = super().quiet_until()
        return until and until - self.moment() + self._wall()

    def set_quiet_until(self, epoch: float, asked_at: float | None = None) -> None:
        """Remember it by the database's clock: those of other machines may be hours away."""
        moment = self.moment()
        seconds = epoch - (self._wall() if asked_at is None else asked_at)
        super().set_quiet_until(moment + seconds, moment)

    def set_facts(self, facts: Mapping[str, str]) -> None:
        self._change(
            "INSERT INTO fact SELECT * FROM jsonb_each_text(%s::jsonb)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING 1",
            (json.dumps(facts),),
        )

    def get_meta(self, key: str) -> str | None:
        """A small fact, or None where it was never remembered."""
        rows = self._session.rows("SELECT value FROM fact WHERE name = %s", (key,))
        return str(rows[0][0]) if rows else None

    # --- parts -------------------------------------------------------------------------------

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        lost = LOST_AS_UNKNOWN if self._settles_lost else ""
        return self._session.rows(lost + statement.replace("?", "%s"), values)

    def _now(self) -> float | None:
        """Seconds since the epoch by our own clock; None for the database's."""
        return None if self._clock is None else self._clock()

    def moment(self) -> float:
        if (now := self._now()) is not None:
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
            raise LedgerVersionError(
                f"the ledger has version {version}, and this backfill understands {VERSION}",
                where=self.where,
                hint=f"Use the {age} backfill that made it.",
            )

    def _refuse_difference(self) -> None:
        found, noted = self._session.at_one_moment(FOUND, sql.NOTED)
        difference = first_difference(found, noted)
        if difference is not None:
            raise LedgerError(
                f"THE BOOKS DO NOT BALANCE: {difference}", where=self.where, hint=DAMAGED
            )
