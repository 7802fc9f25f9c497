"""Buckets that a process may write for: taken, held by the connection that commits, given back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from backfill.core.errors import LedgerError, OwnershipError
from backfill.core.model import Batch, Range, Settlement
from backfill.ledger.lane_cache import LaneCache
from backfill.ledger.postgres.budget import Budget
from backfill.ledger.postgres.session import Session, now
from backfill.ledger.reading import LedgerReading
from backfill.ledger.sharing import BucketProgress

__all__ = ["BucketOwnership"]

_ALONE = "SELECT pg_try_advisory_lock(run_key()), last_value + is_called::integer FROM line"
"""Whether this process has the job for itself now, and a number that grows with each process that
joins a run."""


class BucketOwnership(LedgerReading):
    """The part of the ledger that takes buckets, and what is kept in memory of those.

    Every method raises LedgerError.
    """

    def __init__(self, session: Session, *, writable: bool) -> None:
        self.recovered = 0  # records that lost owners of our buckets left in flight
        self._session = session
        self._writable = writable
        self._memory = LaneCache(self._read_tail)
        self._name = uuid.uuid4().hex
        self.budget = Budget(session, self._name)
        self._lease = self._hold = 0.0  # seconds
        self._epochs: dict[int, int] = {}
        self._lost: set[int] = set()
        self._alone_since: int | None = None  # by the number that `_ALONE` tells

    def _keep_buckets(self, lease: float, hold: float) -> None:
        """Hold over a broken connection what is taken from now on."""
        self._lease, self._hold = lease, hold
        self._session.again = self._retake

    def may_send(self) -> bool:
        """Whether this process may send at this very moment: it was heard of within the lease.

        Ask right before the bytes are written, after connecting. One that lost a bucket sends
        nothing more of any.
        """
        return not self._lost and now() < self.deadline

    @property
    def deadline(self) -> float:
        """Until when this process may send, on the clock of `session.now`."""
        return self._session.deadline

    @property
    def away(self) -> bool:
        """Whether the database is out of reach for long enough to be spoken of, and waited for."""
        return self._session.away

    def hurry(self) -> None:
        """From now on wait only for some seconds for a database that is away: the run is to end."""
        self._session.hurry()

    def take(self, bucket: int) -> int | None:
        """Make a bucket ours, and settle what its last owner left in flight as unknown.

        Returns how many records that were; None where the bucket has a living owner. One that
        was not heard of for a lease is not living: its session is ended first.
        """
        found = self.take_one([bucket])
        return None if found is None else found[1]

    def take_one(self, buckets: Sequence[int]) -> tuple[int, int] | None:
        """Make the first of these buckets ours that has no living owner, as `take` does.

        Returns which, and how many records its last owner had left in flight.
        """
        with self._session.turn:
            if (own := next((b for b in buckets if b in self._epochs), None)) is not None:
                return own, 0
            values = (list(buckets), self._name, self._lease, self._hold)
            ((bucket, epoch, lost),) = self._change("SELECT * FROM take(%s, %s, %s, %s)", values)
            if bucket is None:
                return None
            self._epochs[bucket] = epoch
            self._lost.discard(bucket)
            self.recovered += lost
            return bucket, int(lost)

    def release(self, bucket: int) -> bool:
        """Let another process have a bucket of ours. False while something of it is in flight."""
        with self._session.turn:
            if any(key[0] == bucket for key in self._memory.flights):
                return False
            if (epoch := self._epochs.pop(bucket, None)) is not None:
                self._memory.forget(bucket)
                self._session.rows("SELECT give_back(%s, %s)", (bucket, epoch))
            return True

    def orphans(self) -> list[int]:
        """Buckets whose owner is gone without giving them back."""
        rows = self._session.rows("SELECT orphans(%s)", (self._lease,))
        return [bucket for (bucket,) in rows if bucket not in self._epochs]

    def held(self, bucket: int) -> dict[int, float]:
        """Lanes in which a request of a lost owner may still arrive, and for how many seconds."""
        return dict(
            self._session.rows(
                "SELECT lane, extract(epoch FROM until - clock_timestamp())::float8 FROM held"
                " WHERE bucket = %s AND until > clock_timestamp()",
                (bucket,),
            )
        )

    def resend_lost_in(self, bucket: int, lane: Range) -> int:
        """Make pending again what a lost owner of our bucket left in flight within this range.

        Returns how many records.
        """
        with self._session.turn:
            if bucket not in self._epochs:
                raise self._not_ours(bucket)
            values = (bucket, self._epochs[bucket], *lane)
            ((count,),) = self._change("SELECT resend_lost(%s, %s, %s, %s)", values)
            return int(count)

    def progress(self) -> dict[int, BucketProgress]:
        """How far each bucket is that was begun."""
        rows = self._session.rows("SELECT bucket, delivered, failed, unknown, in_flight FROM total")
        return {bucket: BucketProgress(*counts) for bucket, *counts in rows}

    def recover(self) -> int:
        """Settle what dead owners left in flight. Of one that may be alive it stays so.

        Returns how many records this ledger has settled since it was opened.
        """
        for (bucket,) in self._session.rows("SELECT DISTINCT bucket FROM flight"):
            if self.take(bucket) is not None:
                self.release(bucket)
        return self.recovered

    def be_alone(self) -> bool:
        """Take the job for oneself, as long as this ledger is open, and settle what dead deliverers
        left in flight. False while somebody works, or may come back to a request that is out.

        A deliverer that was not heard of for a lease is not waited for. One whose connection broke
        and that has nothing out begins anew when it is back.
        """
        with self._session.turn:
            self._session.rows(
                "SELECT pg_terminate_backend(pid, 1000) FROM locks()"
                " WHERE bucket = 16777215 AND pid IN (SELECT silent(%s))",
                (self._lease,),
            )
            ((alone, joined),) = self._session.rows(_ALONE)
            if not alone:
                return False
            self._alone_since = joined
            self.recover()
            if self.in_flight():
                self._alone_since = None
                self._session.rows("SELECT pg_advisory_unlock(run_key())")
                return False
            self._session.rows("UPDATE deliverer SET joined = NULL WHERE joined IS NOT NULL")
            return True

    def _retake(self) -> None:
        """After the connection was made anew: hold the same buckets, if nobody else took them.

        Raises OwnershipError for one that was taken, and where the run is another one; LedgerError
        where this process was alone with the job, and somebody has joined a run since.
        """
        since = self._alone_since
        if since is not None and self._session.rows(_ALONE) != [(True, since)]:
            raise LedgerError(
                "the connection broke, and another process has begun to deliver the job since",
                where=self.where,
                hint="Look on with `backfill status`. Once that run has ended, run the same command"
                " again.",
            )
        same_run = self.budget.rejoin()
        lost = []
        for bucket, epoch in list(self._epochs.items()):
            if not self._session.rows("SELECT retake(%s, %s)", (bucket, epoch))[0][0]:
                self._lose([bucket])  # from here on nothing is sent, whatever the others' answers
                lost.append(bucket)
        if lost:
            raise OwnershipError(
                f"another process took bucket {', '.join(map(str, lost))}, because this one was not"
                " heard of in time",
                where=self.where,
                hint="It goes on with them. What was in flight here is unknown.",
            )
        if not same_run:
            raise OwnershipError(
                "another process began a run, or was alone with the job, while this one was out of"
                " reach of the database",
                where=self.where,
                hint="What holds by now is asked anew.",
            )

    def _see_what_is_lost(self) -> None:
        """Notice which buckets others have taken though this connection still holds the locks."""
        rows = self._session.rows(
            "SELECT bucket, epoch FROM owner WHERE bucket = ANY (%s)", (list(self._epochs),)
        )
        self._lose([bucket for bucket, epoch in rows if self._epochs[bucket] != epoch])

    def _lose(self, buckets: Iterable[int]) -> None:
        for bucket in buckets:
            del self._epochs[bucket]
            self._lost.add(bucket)
            self._memory.forget(bucket)

    def _not_ours(self, bucket: int) -> OwnershipError:
        return OwnershipError(
            f"bucket {bucket} is not this process's",
            where=self.where,
            hint="Take it first; nothing of this step was written.",
        )

    def _owned(self, settled: Iterable[Settlement], started: Iterable[Batch]) -> list[list[int]]:
        batches = [*(each.batch for each in settled), *started]
        buckets = {batch.bucket for batch in batches}
        missing = buckets - self._epochs.keys()
        if missing:
            raise self._not_ours(min(missing))
        return [[bucket, self._epochs[bucket]] for bucket in sorted(buckets)]

    def _change(
        self, statement: str, values: Sequence[Any], recorded: Callable[[], bool] | None = None
    ) -> list[Any]:
        self._refuse_looking()
        # What is no commit may be called twice without harm, so it counts as not recorded.
        return self._session.change(statement, values, recorded=recorded or (lambda: False))

    def _refuse_looking(self) -> None:
        if not self._writable:
            raise LedgerError("the ledger was opened to look at it only", where=self.where)
