"""The same batch again and again: how long its lane rests between two tries, and when it gives up.

A server that is well may choke on one record, always. Its lane comes round as fast as the others,
so without a rest it would take a share of the rate for nothing; and under at-least-once, where the
server may have stored it each time, it would arrive there without end.
"""

from __future__ import annotations

import random

from backfill.core.model import Flow, Verdict

__all__ = ["MOST_AMBIGUOUS", "Backoff", "BatchRetries"]

MOST_AMBIGUOUS = 10
"""Ambiguous answers to one batch after which it is `unknown` under at-least-once, too."""

_AT_ONCE = 2  # tries after which the next one waits: one bad moment is no reason to


class Backoff:
    """How long to wait when the destination does not say: exponential, with full jitter.

    `first` and `most` bound a wait, in seconds. A destination that would have it longer can say
    so, and one that gave up its limit early is not left idle for a minute. Of full jitter see
    "Exponential Backoff And Jitter" in the AWS Architecture Blog, 2015.
    """

    def __init__(self, rng: random.Random, *, first: float = 0.5, most: float = 10.0) -> None:
        self._rng = rng
        self._first = first
        self._most = most
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait now; longer on average with every call since the last reset."""
        ceiling = min(self._most, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """A request succeeded."""
        self._failures = 0


class BatchRetries:
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
            if self._count:
                self._count = self._ambiguous = 0
                self._backoff.reset()
            return 0.0
        if verdict.throttled:
            return 0.0
        self._count += 1
        self._ambiguous += verdict.flow is Flow.AMBIGUOUS
        return self._backoff.next() if self._count > _AT_ONCE else 0.0
