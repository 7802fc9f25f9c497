"""What a run shares with others that deliver the same job, and what stands for it without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backfill.core.model import Tick, Verdict
from backfill.deliver.pacing import Grant
from backfill.deliver.run.lane_queue import AnyFeed
from backfill.deliver.run.stopping import StopState

__all__ = ["AnyLimit", "Company", "RecordLimit"]


class AnyLimit(Protocol):
    """Hands out records of the limit; what is not used of them is given back."""

    @property
    def spent(self) -> bool:
        """Whether none are left, and none will come back."""

    async def reserve(self, most: int) -> int | None:
        """Take up to so many, and wait while others have them all. 0 once the limit is spent or
        the run stops, None where there is no limit.
        """

    def give_back(self, records: int) -> None: ...


class Company(AnyFeed, Protocol):
    """The buckets, the budget and the judgements that deliverers of one job share.

    It hands out lanes of buckets that are this process's own by then.
    """

    @property
    def limit(self) -> AnyLimit: ...

    @property
    def away(self) -> bool:
        """Whether the ledger that they share is out of reach, and waited for."""

    async def keep(self, stop_state: StopState) -> None:
        """Take part until cancelled: draw and report, take buckets, and those of dead owners.

        Pulls the stop_state where all are to stop, or the ledger fails.
        """

    def permission(self, grant: Grant) -> Callable[[], bool]:
        """What is asked right before the bytes of a request are written: may it still leave?"""

    def note(self, verdict: Verdict) -> None:
        """Take note of what an answer says of the destination."""

    def count(self, tick: Tick) -> None:
        """Take note of records that came to rest."""

    def pending(self) -> int:
        """How many records of the job are pending, whoever has their buckets."""

    def stop(self) -> None:
        """This run ends: keep nobody waiting."""


class RecordLimit:
    """The limit of a run that delivers a job alone."""

    def __init__(self, records: int) -> None:
        self._left = records

    @property
    def spent(self) -> bool:
        return self._left == 0

    async def reserve(self, most: int) -> int:
        taken = min(most, self._left)
        self._left -= taken
        return taken

    def give_back(self, records: int) -> None:
        self._left += records
