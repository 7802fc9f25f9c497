"""The same batch again and again: how long its lane rests between two tries, and when it gives up.

A server that is well may choke on one record, always. Its lane comes round as fast as the others,
so without a rest it would take a share of the rate for nothing; and under at-least-once, where the
server may have stored it each time, it would arrive there without end.
"""

from __future__ import annotations

import random

from backfill.deliver.budget import Backoff
from backfill.model import Flow, Verdict

__all__ = ["MOST_AMBIGUOUS", "Tries"]

MOST_AMBIGUOUS = 10
"""Ambiguous answers to one batch after which it is `unknown` under at-least-once, too."""

_AT_ONCE = 2  # tries after which the next one waits: one bad moment is no reason to


class Tries:
    """Counts the answers in a row that left a lane's batch where it was.

    Throttling is left out: all lanes wait for that together.
    """

    def __init__(self, rng: random.Random) -> None:
        self._backoff = Backoff(rng)
        self._count = 0
        self._ambiguous = 0

    @property
    def last(self) -> bool:
        """Whether the try at hand is the last one that may end in an ambiguous answer."""
        return self._ambiguous + 1 >= MOST_AMBIGUOUS

    def ended(self, verdict: Verdict, *, again: bool) -> float:
        """A try has ended, and the batch goes `again` or not. Returns the seconds to rest."""
        if not again:
            self._count = self._ambiguous = 0
            self._backoff.reset()
            return 0.0
        if verdict.throttled:
            return 0.0
        self._count += 1
        self._ambiguous += verdict.flow is Flow.AMBIGUOUS
        return self._backoff.next() if self._count > _AT_ONCE else 0.0
