"""A lane's way: pending ranges become batches, and a verdict decides what comes next.

Pure: no clock, no network, no ledger. A lane is walked in portions that fit into memory. All
records of a portion come to rest before the next one begins, so their order is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from backfill.core.model import (
    Attempt,
    Batch,
    Flow,
    Lane,
    Outcome,
    Range,
    Settlement,
    State,
    Verdict,
)

__all__ = ["LaneCursor", "pending_ranges", "portions"]

_WIDEST = 65_536  # positions that a portion may span, where most of them are settled already


def pending_ranges(lane: Lane, settled: Iterable[Range]) -> list[Range]:
    """What of the lane is not settled. `settled` is ascending and disjoint."""
    ranges = []
    start = lane.start
    for settled_start, settled_stop in settled:
        if settled_stop <= start:
            continue
        if settled_start >= lane.stop:
            break
        if settled_start > start:
            ranges.append((start, settled_start))
        start = settled_stop
    if start < lane.stop:
        ranges.append((start, lane.stop))
    return ranges


def portions(ranges: Iterable[Range], most: int) -> Iterator[tuple[Range, ...]]:
    """Cut ascending ranges into portions of at most `most` records and a bounded span."""
    portion: list[Range] = []
    room = most
    for first, stop in ranges:
        start = first
        while start < stop:
            if portion and (room == 0 or start - portion[0][0] >= _WIDEST):
                yield tuple(portion)
                portion, room = [], most
            end = min(stop, start + room)
            portion.append((start, end))
            room -= end - start
            start = end
    if portion:
        yield tuple(portion)


class LaneCursor:
    """The way through one portion of a lane.

    Call `next` for a batch, send it, and call `settle` with the verdict before the next one.
    A batch has at most `size` records.
    """

    def __init__(self, lane: Lane, portion: Sequence[Range], size: int) -> None:
        self.lane = lane
        self._fresh = deque(portion)
        self._first: deque[Batch] = deque()  # what was sent or cut before; goes first
        self._size = size

    @property
    def needs_fresh(self) -> bool:
        """Whether the next batch holds records that were in none before."""
        return not self._first

    def next(self, allowance: int | None = None) -> tuple[Batch, int] | None:
        """The next batch, and how many of its records were never in a batch before.

        That number is at most `allowance`. None when nothing is left or none is allowed.
        """
        if self._first:
            return self._first.popleft(), 0
        room = self._size if allowance is None else min(self._size, allowance)
        if not self._fresh or room <= 0:
            return None
        ranges: list[Range] = []
        fresh = 0
        while room and self._fresh:
            start, stop = self._fresh[0]
            if stop - start > room:
                stop = start + room
                self._fresh[0] = (stop, self._fresh[0][1])
            else:
                self._fresh.popleft()
            ranges.append((start, stop))
            fresh += stop - start
            room -= stop - start
        return Batch(self.lane.bucket, self.lane.number, tuple(ranges)), fresh

    def put_back(self, batch: Batch) -> None:
        """The batch was not sent, or to no effect: it goes first."""
        self._first.appendleft(batch)

    def settle(self, batch: Batch, verdict: Verdict, *, at_least_once: bool) -> Settlement:
        """Decide what the verdict does to the batch, and line up what must be sent again."""
        if verdict.flow is Flow.DELIVERED:  # nearly always
            return _settlement(batch, State.DELIVERED, verdict)
        settlement = self._settle(batch, verdict, at_least_once=at_least_once)
        if settlement.outcomes and settlement.outcomes[0].ranges is batch.ranges:
            return settlement
        rested = sum(stop - start for each in settlement.outcomes for start, stop in each.ranges)
        if rested == len(batch):
            return settlement
        attempt = Attempt(verdict.reason, verdict.http_status, verdict.request_id)
        return replace(settlement, attempt=attempt)

    def _settle(self, batch: Batch, verdict: Verdict, *, at_least_once: bool) -> Settlement:
        match verdict.flow:
            case Flow.FAILED:
                return _settlement(batch, State.FAILED, verdict)
            case Flow.UNKNOWN:
                return _settlement(batch, State.UNKNOWN, verdict)
            case Flow.AMBIGUOUS if not at_least_once:
                return _settlement(batch, State.UNKNOWN, verdict)
            case Flow.ISOLATE if verdict.bad:
                return self._isolate(batch, verdict)
            case Flow.ISOLATE | Flow.SPLIT:
                return self._halve(batch, verdict)
        self.put_back(batch)  # AGAIN, AMBIGUOUS under at-least-once, STOP
        return Settlement(batch)

    def _isolate(self, batch: Batch, verdict: Verdict) -> Settlement:
        """The named items fail, each with the server's words; the rest goes again."""
        positions = batch.positions()
        rest = [at for index, at in enumerate(positions) if index not in verdict.bad]
        if rest:
            self.put_back(Batch(batch.bucket, batch.lane, _ranges(rest)))
        return Settlement(
            batch,
            tuple(
                Outcome(
                    ((positions[index], positions[index] + 1),),
                    State.FAILED,
                    message or verdict.reason,
                    verdict.http_status,
                    verdict.request_id,
                )
                for index, message in sorted(verdict.bad.items())
            ),
        )

    def _halve(self, batch: Batch, verdict: Verdict) -> Settlement:
        """Nobody says which item it is: the batch is halved until a bad one stands alone."""
        if len(batch) == 1:
            return _settlement(batch, State.FAILED, verdict)
        positions = batch.positions()
        middle = len(positions) // 2
        for part in (positions[middle:], positions[:middle]):
            self.put_back(Batch(batch.bucket, batch.lane, _ranges(part)))
        return Settlement(batch)


def _settlement(batch: Batch, state: State, verdict: Verdict) -> Settlement:
    outcome = Outcome(batch.ranges, state, verdict.reason, verdict.http_status, verdict.request_id)
    return Settlement(batch, (outcome,))


def _ranges(positions: Iterable[int]) -> tuple[Range, ...]:
    """Merge ascending positions into ranges."""
    ranges: list[Range] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + 1)
        else:
            ranges.append((position, position + 1))
    return tuple(ranges)
