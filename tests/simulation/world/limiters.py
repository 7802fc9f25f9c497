"""Rate limiters as servers have them."""

from __future__ import annotations

import random
from collections import deque
from typing import Protocol

__all__ = ["Limiter", "limiter_of"]


class Limiter(Protocol):
    """One way to count requests."""

    def refuses(self, now: float) -> float | None:
        """Seconds to wait where a request is refused now, None where it may pass."""


class _Bucket:
    """A token bucket."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, 0.0

    def refuses(self, now: float) -> float | None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        return (1 - self._tokens) / self._rate


class _Window:
    """So many requests in each window of time; a sliding one looks back from every request."""

    def __init__(self, rate: float, seconds: float, *, sliding: bool) -> None:
        self._most = max(1, int(rate * seconds))
        self._seconds = seconds
        self._sliding = sliding
        self._passed: deque[float] = deque()

    def refuses(self, now: float) -> float | None:
        begin = now - self._seconds if self._sliding else now // self._seconds * self._seconds
        while self._passed and self._passed[0] <= begin:
            self._passed.popleft()
        if len(self._passed) < self._most:
            self._passed.append(now)
            return None
        return (self._passed[0] if self._sliding else begin) + self._seconds - now


def limiter_of(chance: random.Random) -> Limiter:
    """A limiter of one kind or another."""
    rate = chance.choice((0.5, 2.0, 20.0, 200.0))
    match chance.randrange(3):
        case 0:
            return _Bucket(rate, chance.choice((1.0, 5.0, 50.0)))
        case 1:
            return _Window(rate, chance.choice((1.0, 10.0, 60.0)), sliding=False)
        case _:
            return _Window(rate, chance.choice((1.0, 10.0)), sliding=True)
