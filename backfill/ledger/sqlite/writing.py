"""Writing one commit into the file: what was reckoned, and what happened meanwhile.

Each statement says how many rows it changed, and another number than expected means that the
file is not what memory takes it for: then nothing of the commit stays.
"""

from __future__ import annotations

import sqlite3

from backfill.core.model import Tick
from backfill.ledger import statements as sql
from backfill.ledger.spans import CommitPlan, ContradictionError
from backfill.ledger.totals import changes

__all__ = ["add_tick", "write_change"]


def write_change(connection: sqlite3.Connection, change: CommitPlan, at: float) -> None:
    """Write a plan inside a transaction; `at` is now, in seconds since the epoch.

    Raises ContradictionError where the file does not agree.
    """
    execute = connection.executemany
    if change.settled_intents and execute(
        sql.DELETE_INTENT, change.settled_intents
    ).rowcount != len(change.settled_intents):
        raise ContradictionError("an intent that was written down is not there any more")
    extended = [
        (stop, at, bucket, start, stored) for bucket, start, stored, stop, _ in change.extended
    ]
    if extended and execute(sql.EXTEND, extended).rowcount != len(extended):
        raise ContradictionError("a span that was written down is not there any more")
    if change.fresh:
        fresh = [(bucket, start, stop, *words, at) for bucket, start, stop, words in change.fresh]
        execute(sql.SETTLE, fresh)
    intents = [
        (bucket, start, stop, bucket, stop, start, bucket, stop, start, lane)
        for bucket, start, stop, lane in change.new_intents
    ]
    if intents and execute(sql.INSERT_INTENT, intents).rowcount != len(intents):
        raise ContradictionError(_obstacle(connection, change))
    if change.attempts:
        execute(sql.ADD_ATTEMPT, [(*each, at) for each in change.attempts])
    execute(sql.ADD_TOTAL, changes(change))


def _obstacle(connection: sqlite3.Connection, change: CommitPlan) -> str:
    """Why an intent could not be written down."""
    for bucket, start, stop, lane in change.new_intents:
        found = connection.execute(sql.OBSTACLE, (bucket, start, stop)).fetchone()
        if found is not None and found != (start, stop, "in flight"):
            low, high, state = found
            return (
                f"bucket {bucket}, lane {lane} starts {start} to {stop}, "
                f"and {low} to {high} is {state}"
            )
    return "two started batches overlap"


def add_tick(connection: sqlite3.Connection, tick: Tick) -> None:
    """Add a slice of time to what is known of it."""
    counts = (tick.sent, tick.throttled, tick.retried)
    ends = (tick.delivered, tick.failed, tick.unknown)
    connection.execute(sql.TICK, (tick.at, *counts, *ends))
    if tick.latency:
        slots = [(tick.at, slot, replies) for slot, replies in tick.latency.items()]
        connection.executemany(sql.LATENCY, slots)
