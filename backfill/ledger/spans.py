"""Working out what one commit writes: which spans grow, which are new. No SQL here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backfill.core.model import Batch, Cause, Outcome, Range, Settlement, State

__all__ = [
    "CommitPlan",
    "ContradictionError",
    "Key",
    "Span",
    "Words",
    "has_left",
    "plan_commit",
]

Key = tuple[int, int]
"""A lane: (bucket, number)."""

Words = tuple[str, int | None, str, str | None, str]
"""What is said of a record that came to rest: state, HTTP status, reason, request id, cause."""

Span = tuple[int, int, Words]
"""Positions `start` up to, not including, `stop` that came to rest in the same way."""

# SQLite's driver binds plain text several times faster than an enum, and an enum's `value` costs
# more than a look into a table.
_AT_REST = {state: state.value for state in (State.DELIVERED, State.FAILED, State.UNKNOWN)}
_CAUSES = {cause: cause.value for cause in Cause}


class ContradictionError(Exception):
    """What is to be written down does not agree with what stands in the ledger."""


@dataclass(slots=True)
class CommitPlan:
    """What one commit changes, worked out before anything is written.

    Rows begin with their bucket. One in `extended` has a span's start, the stop that is stored,
    and the one that it gets; one in `fresh` is a span that was not there.
    """

    settled_intents: list[tuple[int, int, int, int]] = field(default_factory=list)
    fresh: list[tuple[int, int, int, Words]] = field(default_factory=list)
    extended: list[tuple[int, int, int, int, Words]] = field(default_factory=list)
    tails: dict[Key, Span] = field(default_factory=dict)
    flights: dict[Key, tuple[Range, ...]] = field(default_factory=dict)
    new_intents: list[tuple[int, int, int, int]] = field(default_factory=list)
    attempts: list[tuple[int, int, int, int | None, str, str | None]] = field(default_factory=list)


def plan_commit(
    settled: Sequence[Settlement],
    started: Sequence[Batch],
    *,
    flights: dict[Key, tuple[Range, ...]],
    tails: dict[Key, Span],
    read_tail: Callable[[int, int], Span | None],
) -> CommitPlan:
    """Work out a commit. Neither `flights` nor `tails` is changed.

    `tails` has the last span of a lane; `read_tail(bucket, position)` reads, for a lane that is not
    in it, the last one that begins before a position. Raises ContradictionError for records that
    are settled without being in flight, or twice, and for a lane that starts a second request
    before its first has ended.
    """
    result = CommitPlan()
    ended: set[Key] = set()
    for settlement in settled:
        batch = settlement.batch
        bucket, lane, ranges = batch.bucket, batch.lane, batch.ranges
        key = (bucket, lane)
        if flights.get(key) != ranges or key in ended:
            raise ContradictionError(f"{_name(batch)} is settled, and it is not in flight")
        ended.add(key)
        for start, stop in ranges:
            result.settled_intents.append((bucket, start, stop, lane))
        if (attempt := settlement.attempt) is not None:
            said = (attempt.http_status, attempt.reason, attempt.request_id)
            result.attempts += [(bucket, *each, *said) for each in ranges]
        rested = _rested(settlement)
        if not rested:
            continue
        start, stop, words = rested[0]
        last = tails.get(key) or read_tail(bucket, start)
        if last is not None and last[1] == start and last[2] == words:
            begin, stored, _ = last
            result.extended.append((bucket, begin, stored, stop, words))
            result.tails[key] = begin, stop, words
            del rested[0]
        if rested:
            result.fresh += [(bucket, *each) for each in rested]
            result.tails[key] = rested[-1]
    for batch in started:
        bucket, lane, ranges = batch.bucket, batch.lane, batch.ranges
        key = (bucket, lane)
        if key in result.flights or (key in flights and key not in ended):
            raise ContradictionError(f"{_name(batch)} starts while its lane is in flight")
        _check_ranges(ranges, batch)
        result.flights[key] = ranges
        for start, stop in ranges:
            result.new_intents.append((bucket, start, stop, lane))
    return result


def has_left(settlement: Settlement) -> bool:
    """Whether the request that ended so had left; else its intent was taken back."""
    return bool(settlement.outcomes) or settlement.attempt is not None


def _rested(settlement: Settlement) -> list[Span]:
    """What came to rest with a settlement as spans, ascending; none could be one with the next."""
    ranges, outcomes = settlement.batch.ranges, settlement.outcomes
    if len(outcomes) == 1 and ranges == outcomes[0].ranges:  # nearly always, all of it
        words = _words(outcomes[0])
        if len(ranges) == 1:
            ((start, stop),) = ranges
            return [(start, stop, words)]
        return _joined([(start, stop, words) for start, stop in ranges])
    rested = []
    for outcome in outcomes:
        words = _words(outcome)
        for start, stop in outcome.ranges:
            rested.append((start, stop, words))
    rested.sort(key=lambda each: each[0])
    end = 0
    for start, stop, _ in rested:
        inside = any(low <= start and stop <= high for low, high in ranges)
        if not inside or start >= stop:
            raise ContradictionError(
                f"an outcome of {_name(settlement.batch)} is for {start} to {stop}, "
                "which is not a part of it"
            )
        if start < end:
            raise ContradictionError(
                f"position {start} of {_name(settlement.batch)} is settled twice"
            )
        end = stop
    return _joined(rested)


def _joined(rested: Sequence[Span]) -> list[Span]:
    """The same spans, each with those that go on from it in the same way."""
    joined: list[Span] = []
    for start, stop, words in rested:
        if joined and joined[-1][1] == start and joined[-1][2] == words:
            joined[-1] = joined[-1][0], stop, words
        else:
            joined.append((start, stop, words))
    return joined


def _words(outcome: Outcome) -> Words:
    state = _AT_REST.get(outcome.state)
    if state is None:
        raise ContradictionError(f"no record comes to rest as {outcome.state.value!r}")
    cause = _CAUSES[outcome.cause]
    return state, outcome.http_status, outcome.reason, outcome.request_id, cause


def _check_ranges(ranges: tuple[Range, ...], batch: Batch) -> None:
    end = 0
    for start, stop in ranges:
        if not end <= start < stop:
            raise ContradictionError(f"{_name(batch)} is not made of ascending ranges")
        end = stop
    if not ranges:
        raise ContradictionError(f"{_name(batch)} holds no records")


def _name(batch: Batch) -> str:
    ranges = ", ".join(f"{start} to {stop}" for start, stop in batch.ranges) or "nothing"
    return f"the batch of bucket {batch.bucket}, lane {batch.lane} ({ranges})"
