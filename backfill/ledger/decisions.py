"""Settling records by hand: all records of one state, or those at chosen positions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backfill.core.model import Cause, Range, State
from backfill.ledger import statements as sql

__all__ = ["Choice", "Chosen", "by_hand", "choose", "decide"]

Chosen = Mapping[int, Sequence[Range]]
"""Positions by bucket: ascending, disjoint ranges."""


def decide(
    connection: sqlite3.Connection, state: State, to: State, at: float, chosen: Chosen | None
) -> int:
    """Move records of one state to another inside a transaction; returns how many.

    PENDING is to know nothing of them but the requests that they were in. What was known stays in
    the reason otherwise. Without `chosen` all records of `state` are moved, else those of them at
    these positions. `at` is now, in seconds since the epoch.
    """
    execute = connection.execute
    if chosen is None:
        count: int = execute(sql.COUNT_IN_STATE, (state.value,)).fetchone()[0]
        if to is State.PENDING:
            execute(sql.KEEP_ATTEMPTS, (by_hand(to), state.value))
            execute(sql.FORGET, (state.value,))
        else:
            execute(sql.REWRITE, (to.value, at, by_hand(to), state.value))
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


def by_hand(to: State) -> str:
    """What is said of a record that a person settled."""
    return f"settled by hand as {to.value}"


@dataclass(slots=True)
class Choice:
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
) -> Choice:
    """Cut the spans of one state where `ranges` begin and end; no SQL here."""
    change = Choice()
    for (start, stop, status, reason, request_id, cause, when), pieces in _cut(spans, ranges):
        if not any(inside for _, _, inside in pieces):
            continue
        change.forgotten.append((bucket, start, stop))
        before = f"{by_hand(to)} (before: {reason})" if reason else by_hand(to)
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
