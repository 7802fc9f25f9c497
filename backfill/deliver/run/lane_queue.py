"""Hands out the lanes of a job, one at a time, with what is pending in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

import anyio
import anyio.to_thread

from backfill.core.model import Lane, Range
from backfill.deliver.run.lanes import pending_ranges
from backfill.deliver.run.selection import Selection
from backfill.jobdir.manifest import Manifest

__all__ = ["AnyFeed", "Feed", "Settled"]


class Settled(Protocol):
    """The part of the ledger that knows what is done."""

    def settled(self, bucket: int) -> list[Range]: ...


class AnyFeed(Protocol):
    """Hands out lanes with what is pending in them."""

    async def next(self) -> tuple[Lane, list[Range]] | None:
        """A lane and its pending ranges, or None when there are no more for this run."""

    def asks(self, lane: Lane) -> None:
        """A lane that was handed out asks for its turn to send."""

    def keeps(self, lane: Lane) -> bool:
        """Whether more of a lane that was handed out is to be sent from here."""

    def done(self, lane: Lane) -> None:
        """Nothing more of a lane that was handed out will be sent."""


class Feed:
    """Every lane with pending records, once, bucket after bucket.

    The ledger is asked about a bucket when its turn comes, so a job of any size begins at once.
    With a `selection` only what it chooses is handed out.
    """

    def __init__(
        self, manifest: Manifest, ledger: Settled, selection: Selection | None = None
    ) -> None:
        self._ledger = ledger
        self._selection = selection
        self._buckets: Iterator[list[Lane]] = (
            list(lanes) for _, lanes in groupby(manifest.lanes(), key=lambda lane: lane.bucket)
        )
        self._found: deque[tuple[Lane, list[Range]]] = deque()
        self._turn = anyio.Lock()

    async def next(self) -> tuple[Lane, list[Range]] | None:
        """A lane and its pending ranges, or None when all were handed out."""
        async with self._turn:
            while not self._found:
                lanes = next(self._buckets, None)
                if lanes is None:
                    return None
                bucket = lanes[0].bucket
                settled = await anyio.to_thread.run_sync(self._ledger.settled, bucket)
                found = [
                    (lane, ranges) for lane in lanes if (ranges := pending_ranges(lane, settled))
                ]
                if found and self._selection is not None:
                    found = await anyio.to_thread.run_sync(self._selection.choose, bucket, found)
                self._found.extend(found)
            return self._found.popleft()

    def asks(self, lane: Lane) -> None:
        """Do nothing: no other process takes lanes of this job."""

    def keeps(self, lane: Lane) -> bool:
        """Always, for the same reason."""
        del lane
        return True

    def done(self, lane: Lane) -> None:
        """Do nothing, as in `asks`."""
