"""What a ledger keeps in memory of its lanes, so that a commit reads next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from backfill.core.model import Batch, Range, Settlement
from backfill.ledger.spans import CommitPlan, Key, Span, plan_commit

__all__ = ["LaneCache", "SettledTwiceError", "merged"]

MOST_TAILS = 16_384
"""Lanes whose last span is kept."""


class LaneCache:
    """The intents in flight, and the last span of each lane, as they stand in the ledger.

    `read_tail(bucket, position)` reads the last span that begins before a position.
    """

    def __init__(self, read_tail: Callable[[int, int], Span | None]) -> None:
        self.flights: dict[Key, tuple[Range, ...]] = {}
        self.tails: dict[Key, Span] = {}
        self._read_tail = read_tail

    def plan(self, settled: Sequence[Settlement], started: Sequence[Batch]) -> CommitPlan:
        """Work out a commit; nothing changes here. Raises ContradictionError."""
        return plan_commit(
            settled, started, flights=self.flights, tails=self.tails, read_tail=self._read_tail
        )

    def follow(self, settled: Sequence[Settlement], change: CommitPlan) -> None:
        """Follow a commit that is now in the ledger."""
        for settlement in settled:
            del self.flights[settlement.batch.bucket, settlement.batch.lane]
        self.flights.update(change.flights)
        self.tails.update(change.tails)
        if len(self.tails) > MOST_TAILS:
            self.tails = {key: span for key, span in self.tails.items() if key in self.flights}

    def forget(self, bucket: int) -> None:
        """Keep nothing of a bucket that is no longer ours to write to."""
        self.flights = {key: flight for key, flight in self.flights.items() if key[0] != bucket}
        self.tails = {key: span for key, span in self.tails.items() if key[0] != bucket}

    def forget_spans(self) -> None:
        """Read spans anew: a decision changed them."""
        self.tails.clear()


class SettledTwiceError(Exception):
    """Two spans of a bucket overlap; `position` is the first that stands in both."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(position)


def merged(spans: Iterable[Range]) -> list[Range]:
    """Ascending spans as ranges that do not touch. Raises SettledTwiceError."""
    ranges: list[Range] = []
    for start, stop in spans:
        if ranges and start < ranges[-1][1]:
            raise SettledTwiceError(start)
        if ranges and start == ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            ranges.append((start, stop))
    return ranges
