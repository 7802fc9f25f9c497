"""Settling records by hand: all records of one state, or those at chosen positions."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backfill.core.model import Cause, Range, State
from backfill.ledger import statements as sql

__all__ = ["Chosen", "DecisionPlan", "LedgerDecisions", "choose", "decide", "words_for"]

Chosen = Mapping[int, Sequence[Range]]
"""Positions by bucket: ascending, disjoint ranges."""


class LedgerDecisions(ABC):
    """The part of a ledger that settles records by hand. Every method raises LedgerError."""

    @abstractmethod
    def _decide(
        self, state: State, to: State, chosen: Chosen | None, *, cause: Cause | None = None
    ) -> int:
        """Move records of one state to another: those at `chosen` positions, else all, or all with
        this `cause`. Returns how many.
        """

    def retry(self, chosen: Chosen | None = None) -> int:
        """Make failed records pending again, all or those at `chosen` positions.

        Returns how many.
        """
        return self._decide(State.FAILED, State.PENDING, chosen)

    def resend_lost(self) -> int:
        """Make those unknown records pending again that were in flight when a process ended.

        For a run that is to deliver at least once; other unknown records stay as they are.
        Returns how many.
        """
        return self._decide(State.UNKNOWN, State.PENDING, None, cause=Cause.LOST)

    def resolve(self, to: State, chosen: Chosen | None = None) -> int:
        """Settle unknown records: PENDING to send them again, DELIVERED or FAILED.

        All of them, or those at `chosen` positions. Returns how many. What was known about them
        stays in the reason.
        """
        if to not in (State.PENDING, State.DELIVERED, State.FAILED):
            raise ValueError(f"an unknown record cannot be settled as {to.value}")
        return self._decide(State.UNKNOWN, to, chosen)


def decide(
    connection: sqlite3.Connection,
    state: State,
    to: State,
    chosen: Chosen | None,
    *,
    at: float,
    cause: Cause | None,
) -> int:
    """Do in SQLite, inside a transaction, what `LedgerDecisions` decides; returns how many.

    PENDING is to know nothing of records but the requests that they were in. Otherwise what was
    known stays in the reason. `at` is now, in seconds since the epoch.
    """
    execute = connection.execute
    if chosen is None:
        which, words = (state.value, cause and cause.value), words_for(to, cause)
        count: int = execute(sql.COUNT_DECIDED, which).fetchone()[0]
        if to is State.PENDING:
            execute(sql.KEEP_ATTEMPTS, (words, *which))
            execute(sql.FORGET, which)
        else:
            execute(sql.REWRITE, (to.value, at, words, *which))
        return count
    count = 0
    for bucket, ranges in chosen.items():
        spans = execute(sql.SPANS_IN_STATE, (bucket, state.value)).fetchall()
        change = choose(bucket, spans, ranges, state=state, to=to, at=at)
        connection.executemany(sql.FORGET_SPAN, change.forgotten)
        connection.executemany(sql.SETTLE, change.fresh)
        connection.executemany(sql.ADD_ATTEMPT, change.attempts)
        count += change.records
    return count


def words_for(to: State, cause: Cause | None) -> str | None:
    """What is said of records that a person settled; None of those that a run sends again by
    itself, for their `cause`.
    """
    return _by_hand(to) if cause is None else None


def _by_hand(to: State) -> str:
    return f"settled by hand as {to.value}"


@dataclass(slots=True)
class DecisionPlan:
    """What a decision about chosen positions of a bucket changes, and for how many records.

    `attempts` are the requests that those were in which are pending again.
    """

    forgotten: list[tuple[int, int, int]] = field(default_factory=list)
    fresh: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    records: int = 0


def choose(
    bucket: int,
    spans: Sequence[tuple[int, int, int | None, str, str | None, str, float]],
    ranges: Sequence[Range],
    *,
    state: State,
    to: State,
    at: float,
) -> DecisionPlan:
    """Cut the spans of one state where `ranges` begin and end; no SQL here."""
    change = DecisionPlan()
    for (start, stop, status, reason, request_id, cause, when), pieces in _cut(spans, ranges):
        if not any(inside for _, _, inside in pieces):
            continue
        change.forgotten.append((bucket, start, stop))
        before = f"{_by_hand(to)} (before: {reason})" if reason else _by_hand(to)
        for low, high, inside in pieces:
            row: tuple[Any, ...] = (state.value, status, reason, request_id, cause, when)
            if inside:
                change.records += high - low
                if to is State.PENDING:
                    change.attempts.append((bucket, low, high, status, before, request_id, when))
                    continue
                row = (to.value, status, before, request_id, Cause.BY_HAND.value, at)
            change.fresh.append((bucket, low, high, *row))
    return change


def _cut(
    spans: Sequence[tuple[int, int, int | None, str, str | None, str, float]],
    ranges: Sequence[Range],
) -> Iterator[tuple[tuple[int, int, int | None, str, str | None, str, float],
                    list[tuple[int, int, bool]]]]:  # fmt: skip
    """Each span with its pieces: (start, stop, whether it is inside one of the ranges)."""
    first = 0
    for span in spans:
        start, stop = span[:2]
        while first < len(ranges) and ranges[first][1] <= start:
            first += 1
        pieces, position, number = [], start, first
        while number < len(ranges) and ranges[number][0] < stop:
            low, high = max(ranges[number][0], start), min(ranges[number][1], stop)
            if position < low:
                pieces.append((position, low, False))
            pieces.append((low, high, True))
            position, number = high, number + 1
        if position < stop:
            pieces.append((position, stop, False))
        yield span, pieces
