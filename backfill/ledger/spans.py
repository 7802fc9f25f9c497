"""Working out what one commit writes: which spans grow, which are new. No SQL here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backfill.core.model import Batch, Outcome, Range, Settlement, State

__all__ = ["CommitPlan", "ContradictionError", "Key", "Span", "Words", "plan_commit"]

Key = tuple[int, int]
"""A lane: (bucket, number)."""

Words = tuple[str, int | None, str, str | None, str]
"""What is said of a record that came to rest: state, HTTP status, reason, request id, cause."""

_AT_REST = frozenset({State.DELIVERED, State.FAILED, State.UNKNOWN})


class ContradictionError(Exception):
    """What is to be written down does not agree with what stands in the ledger."""


@dataclass(slots=True)
class Span:
    """Positions that came to rest in the same way. `stored` is their end as the file has it."""

    start: int
    stop: int
    words: Words
    stored: int | None = None


@dataclass(slots=True)
class CommitPlan:
    """What one commit changes, worked out before anything is written."""

    settled_intents: list[tuple[int, int, int, int]] = field(default_factory=list)
    spans: dict[tuple[int, int], Span] = field(default_factory=dict)  # by (bucket, start)
    tails: dict[Key, Span] = field(default_factory=dict)
    flights: dict[Key, tuple[Range, ...]] = field(default_factory=dict)
    new_intents: list[tuple[int, int, int, int]] = field(default_factory=list)
    attempts: list[tuple[int, int, int, int | None, str, str | None]] = field(default_factory=list)


def plan_commit(
    settled: Sequence[Settlement],
    started: Sequence[Batch],
    *,
    flights: dict[Key, tuple[Range, ...]],
    tail: Callable[[int, int, int], Span | None],
) -> CommitPlan:
    """Work out a commit. Neither `flights` nor what `tail` returns is changed.

    `tail(bucket, lane, position)` returns the span that ends where a lane goes on, if there is
    one. Raises ContradictionError for records that are settled without being in flight, or twice,
    and for a lane that starts a second request before its first has ended.
    """
    result = CommitPlan()
    settled_intents: set[Key] = set()
    for settlement in settled:
        batch = settlement.batch
        key = (batch.bucket, batch.lane)
        if flights.get(key) != batch.ranges or key in settled_intents:
            raise ContradictionError(f"{_name(batch)} is settled, and it is not in flight")
        settled_intents.add(key)
        for start, stop in batch.ranges:
            result.settled_intents.append((batch.bucket, start, stop, batch.lane))
        if (attempt := settlement.attempt) is not None:
            said = (attempt.http_status, attempt.reason, attempt.request_id)
            result.attempts += [(batch.bucket, *each, *said) for each in batch.ranges]
        for start, stop, words in _rested(settlement):
            last = result.tails.get(key) or tail(batch.bucket, batch.lane, start)
            if last is not None and last.stop == start and last.words == words:
                span = Span(last.start, stop, words, last.stored)
            else:
                span = Span(start, stop, words)
            result.tails[key] = span
            result.spans[batch.bucket, span.start] = span
    for batch in started:
        key = (batch.bucket, batch.lane)
        if key in result.flights or (key in flights and key not in settled_intents):
            raise ContradictionError(f"{_name(batch)} starts while its lane is in flight")
        _check_ranges(batch.ranges, batch)
        result.flights[key] = batch.ranges
        for start, stop in batch.ranges:
            result.new_intents.append((batch.bucket, start, stop, batch.lane))
    return result


def _rested(settlement: Settlement) -> list[tuple[int, int, Words]]:
    """The settlement's outcomes as (start, stop, words), ascending."""
    ranges = settlement.batch.ranges
    rested = []
    for outcome in settlement.outcomes:
        words = _words(outcome)
        for start, stop in outcome.ranges:
            rested.append((start, stop, words))
    if len(rested) == 1 and ranges == settlement.outcomes[0].ranges:
        return rested
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
    return rested


def _words(outcome: Outcome) -> Words:
    if outcome.state not in _AT_REST:
        raise ContradictionError(f"no record comes to rest as {outcome.state.value!r}")
    # `.value`, because SQLite's driver binds plain text several times faster than an enum.
    return (
        outcome.state.value,
        outcome.http_status,
        outcome.reason,
        outcome.request_id,
        outcome.cause.value,
    )


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
