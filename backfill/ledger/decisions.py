"""Settling records by hand: all records of one state, or those at chosen positions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from backfill.core.model import Cause, Range, State
from backfill.ledger import statements as sql

__all__ = ["Chosen", "decide"]

Chosen = Mapping[int, Sequence[Range]]
"""Positions by bucket: ascending, disjoint ranges."""

_BY_HAND = "settled by hand"


def decide(
    connection: sqlite3.Connection, state: State, to: State, at: float, chosen: Chosen | None
) -> int:
    """Move records of one state to another inside a transaction; returns how many.

    PENDING is to know nothing of them. What was known stays in the reason otherwise. Without
    `chosen` all records of `state` are moved, else those of them at these positions. `at` is now,
    in seconds since the epoch.
    """
    words = f"{_BY_HAND} as {to.value}"
    execute = connection.execute
    if chosen is None:
        count: int = execute(sql.COUNT_IN_STATE, (state.value,)).fetchone()[0]
        if to is State.PENDING:
            execute(sql.FORGET, (state.value,))
        else:
            execute(sql.REWRITE, (to.value, at, words, state.value))
        return count
    count = 0
    for bucket, ranges in chosen.items():
        spans = execute(sql.SPANS_IN_STATE, (bucket, state.value)).fetchall()
        for (start, stop, status, reason, request_id, cause, when), pieces in _cut(spans, ranges):
            if not any(inside for _, _, inside in pieces):
                continue
            execute(sql.FORGET_SPAN, (bucket, start, stop))
            before = f"{words} (before: {reason})" if reason else words
            for low, high, inside in pieces:
                if not inside:
                    row = (state.value, status, reason, request_id, cause, when)
                else:
                    count += high - low
                    if to is State.PENDING:
                        continue
                    row = (to.value, status, before, request_id, Cause.BY_HAND.value, at)
                execute(sql.SETTLE, (bucket, low, high, *row))
    return count


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
