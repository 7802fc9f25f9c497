"""A commit as the one document that the function in the database takes."""

from __future__ import annotations

from typing import Any

from backfill.core.model import Tick
from backfill.ledger.spans import CommitPlan
from backfill.ledger.totals import changes

__all__ = ["document"]


def document(
    change: CommitPlan, tick: Tick | None, owned: list[list[int]], longest: int
) -> dict[str, Any]:
    """Every change of a commit as JSON has it; `owned` are buckets with their epochs.

    `longest` is the number of records in the longest range of any intent in these buckets.
    """
    ticks, latency = [], []
    if tick is not None:
        counts = (tick.sent, tick.throttled, tick.retried)
        ticks.append((tick.at, *counts, tick.delivered, tick.failed, tick.unknown))
        latency += [(tick.at, slot, replies) for slot, replies in tick.latency.items()]
    return {
        "owned": owned,
        "settled": change.settled_intents,
        "extended": [
            (stop, bucket, start, stored) for bucket, start, stored, stop, _ in change.extended
        ],
        "fresh": [(bucket, start, stop, *words) for bucket, start, stop, words in change.fresh],
        "started": change.new_intents,
        "longest": longest,
        "totals": changes(change),
        "tick": ticks,
        "latency": latency,
        "attempts": change.attempts,
        "facts": [],
    }
