"""Double entry: what each bucket's spans and intents must add up to, kept beside them.

Every transaction changes both, so a span that was lost, cut or moved afterwards shows as a
difference when the ledger is opened. The number of records does not change with where they lie,
so a weight of each span's ends, state and cause goes into a sum of its own: one flipped bit in
any of them, or in its bucket, changes at least one of the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from backfill.core.model import Cause, State
from backfill.ledger.spans import CommitPlan

__all__ = ["FLIGHT_WEIGHT", "SPAN_WEIGHT", "Row", "changes", "first_difference"]

_STATES = " ".join((State.DELIVERED, State.FAILED, State.UNKNOWN))
_CAUSES = " ".join(Cause)
_IN_FLIGHT = 9_999  # the kind of an intent

_A, _B, _C, _MASK = 1_000_003, 998_244_353, 7_919, 2**31 - 1
_FLIGHT = _IN_FLIGHT * _C

_KIND = f"(instr('{_STATES}', state) * 64 + instr('{_CAUSES}', cause))"
SPAN_WEIGHT = f"((start * {_A} + stop * {_B} + {_KIND} * {_C}) & {_MASK})"
"""The weight of one span, in SQL: the factors are odd, so that every bit of either end counts."""

FLIGHT_WEIGHT = f"((start * {_A} + stop * {_B} + {_FLIGHT}) & {_MASK})"
"""The weight of one range of an intent, in SQL."""

_PLACES = {
    (state, cause.value): (
        column,
        ((_STATES.index(state) + 1) * 64 + _CAUSES.index(cause) + 1) * _C,
    )
    for column, state in enumerate(_STATES.split(), start=1)
    for cause in Cause
}
"""Of a state and a cause: where its records are counted in a row, and its part of a weight."""

Row = tuple[int, int, int, int, int, int, int]
"""Of one bucket: its number, its spans, the records delivered, failed, unknown and in flight, and
the sum of all weights."""

_FIGURES = ("ranges", "records delivered", "failed", "unknown", "in flight", "weight")


def changes(change: CommitPlan) -> list[Row]:
    """What a commit adds to the totals."""
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0] * 6)
    for bucket, start, stop, _ in change.settled_intents:
        row = sums[bucket]
        row[4] -= stop - start
        row[5] -= (start * _A + stop * _B + _FLIGHT) & _MASK
    for bucket, start, stop, _ in change.new_intents:
        row = sums[bucket]
        row[4] += stop - start
        row[5] += (start * _A + stop * _B + _FLIGHT) & _MASK
    for bucket, start, stored, stop, words in change.extended:
        row = sums[bucket]
        column, weight = _PLACES[words[0], words[4]]
        weight += start * _A
        row[column] += stop - stored
        row[5] += ((weight + stop * _B) & _MASK) - ((weight + stored * _B) & _MASK)
    for bucket, start, stop, words in change.fresh:
        row = sums[bucket]
        column, weight = _PLACES[words[0], words[4]]
        row[0] += 1
        row[column] += stop - start
        row[5] += (weight + start * _A + stop * _B) & _MASK
    return [
        (bucket, row[0], row[1], row[2], row[3], row[4], row[5])
        for bucket, row in sums.items()
        if any(row)
    ]


def first_difference(found: Iterable[Row], noted: Iterable[Row]) -> str | None:
    """Where the figures differ first, in words; None where all agree."""
    has = {row[0]: row[1:] for row in found}
    had = {row[0]: row[1:] for row in noted if any(row[1:])}
    for bucket in sorted(has.keys() | had.keys(), key=str):
        before, now = had.get(bucket, (0,) * 6), has.get(bucket, (0,) * 6)
        for name, old, new in zip(_FIGURES, before, now, strict=True):
            if old != new and name == "weight":
                return f"the ranges of bucket {bucket} are not those that were written down"
            if old != new:
                return f"bucket {bucket} has {new} {name}, where {old} were written down"
    return None
