"""What the rest of the program may ask of a ledger, whichever database it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from backfill.core.model import (
    Attempt,
    Batch,
    Outcome,
    Range,
    RequestCounts,
    Settlement,
    State,
    Tick,
)
from backfill.ledger.decisions import Chosen
from backfill.ledger.sharing import BucketProgress, RunBudget

__all__ = ["AnyLedger", "Ownership", "SharedLedger"]


class AnyLedger(Protocol):
    """What is known about every record of a job, durably. Everything else is pending.

    Every method raises LedgerError, with what to do about it, where the database cannot be read
    or written, and leaves the ledger as it was. Calls may come from any thread.
    """

    recovered: int  # records that a process which ended left in flight, and are unknown now

    @property
    def where(self) -> str: ...

    def moment(self) -> float:
        """Now, in seconds since the epoch: of several machines by one clock."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...

    def commit(
        self, settled: Sequence[Settlement], started: Sequence[Batch], tick: Tick | None = None
    ) -> None:
        """Write down, in one durable transaction, what came in and what is about to go out.

        Only once this has returned may a started batch be sent.
        """

    def settled(self, bucket: int) -> list[Range]: ...

    def counts(self) -> dict[State, int]: ...

    def in_flight(self) -> int: ...

    def requests(self) -> RequestCounts: ...

    def ticks(self) -> list[Tick]: ...

    def outcomes(self, state: State | None = None) -> Iterator[tuple[int, Outcome, float]]: ...

    def outcome_columns(self, state: State | None = None) -> dict[str, list[Any]]: ...

    def attempts(self, bucket: int, position: int) -> list[tuple[float, int, Attempt]]: ...

    def retry(self, chosen: Chosen | None = None) -> int: ...

    def resend_lost(self) -> int: ...

    def resolve(self, to: State, chosen: Chosen | None = None) -> int: ...

    def address(self) -> str | None: ...

    def bind_address(self, address: str) -> None: ...

    def release_address(self) -> None: ...

    def quiet_until(self) -> float: ...

    def set_quiet_until(self, epoch: float, asked_at: float | None = None) -> None: ...

    def set_meta(self, key: str, value: str) -> None: ...

    def set_facts(self, facts: Mapping[str, str]) -> None: ...

    def get_meta(self, key: str) -> str | None: ...


class Ownership(Protocol):
    """Which buckets this process may write for, where several processes share a ledger.

    On one machine the job's lock is what this is here.
    """

    @property
    def away(self) -> bool:
        """Whether the database is out of reach for long enough to be spoken of, and waited for."""

    def may_send(self) -> bool:
        """Whether this process may send at this very moment: it was heard of within the lease.

        Ask right before the bytes are written, after connecting.
        """

    def take(self, bucket: int) -> int | None:
        """Make a bucket ours and settle what its last owner left in flight as unknown.

        Returns how many records that were; None where the bucket has a living owner.
        """

    def take_one(self, buckets: Sequence[int]) -> tuple[int, int] | None:
        """Make the first of these buckets ours that has no living owner, as `take` does.

        Returns which, and how many records its last owner had left in flight.
        """

    def release(self, bucket: int) -> bool:
        """Let another process have the bucket. False while something of it is in flight."""

    def orphans(self) -> list[int]:
        """Buckets whose owner is gone without giving them back."""

    def held(self, bucket: int) -> dict[int, float]:
        """Lanes in which a request of a lost owner may still arrive, and for how many seconds."""

    def resend_lost_in(self, bucket: int, lane: Range) -> int:
        """Make pending again what a lost owner of our bucket left in flight within this range."""

    def progress(self) -> dict[int, BucketProgress]:
        """How far each bucket is that was begun."""


class SharedLedger(AnyLedger, Ownership, Protocol):
    """A ledger that several processes write to, each for the buckets that it took."""

    @property
    def budget(self) -> RunBudget: ...
