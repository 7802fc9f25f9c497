"""Servers that limit requests, each in its own way. They know the time only as an argument."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable

__all__ = [
    "Bucket",
    "ConcurrencyLimit",
    "FixedWindow",
    "LeakyQueue",
    "Limiter",
    "Scheduled",
    "SlidingWindow",
]


class Limiter:
    """Counts requests, and takes at most `limit` a second in the long run."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def take(self, now: float) -> float:
        """0 where a request is taken, else the seconds until one would be."""
        raise NotImplementedError

    def work(self, now: float, seconds: float) -> float:
        """How long the request that was just taken is worked on; alone it takes `seconds`."""
        return seconds

    @property
    def left(self) -> tuple[float, float] | None:
        """Requests left and seconds until all are there again, for the headers that tell it."""
        return None


class Bucket(Limiter):
    """A token bucket that holds `burst` requests."""

    def __init__(self, limit: float, burst: float) -> None:
        super().__init__(limit)
        self.burst = burst
        self.tokens, self.at = burst, 0.0

    def take(self, now: float) -> float:
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.limit)
        self.at = max(self.at, now)
        if self.tokens >= 1 - 1e-9:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.limit

    @property
    def left(self) -> tuple[float, float]:
        return math.floor(self.tokens), (self.burst - self.tokens) / self.limit


class FixedWindow(Limiter):
    """So many requests in each window of `seconds`, which begins anew at once."""

    def __init__(self, limit: float, seconds: float, phase: float = 0.0) -> None:
        super().__init__(limit)
        self.seconds, self.phase = seconds, phase
        self.window, self.count, self.now = -1, 0, 0.0

    def take(self, now: float) -> float:
        window = int((now + self.phase) / self.seconds)
        if window != self.window:
            self.window, self.count = window, 0
        self.now = now
        if self.count < round(self.limit * self.seconds):
            self.count += 1
            return 0.0
        return self._rest()

    def _rest(self) -> float:
        return max(1e-9, (self.window + 1) * self.seconds - self.phase - self.now)

    @property
    def left(self) -> tuple[float, float]:
        return round(self.limit * self.seconds) - self.count, self._rest()


class SlidingWindow(Limiter):
    """So many requests in any `seconds`."""

    def __init__(self, limit: float, seconds: float) -> None:
        super().__init__(limit)
        self.seconds = seconds
        self.taken: deque[float] = deque()
        self.now = 0.0

    def take(self, now: float) -> float:
        self.now = now
        while self.taken and self.taken[0] <= now - self.seconds:
            self.taken.popleft()
        if len(self.taken) < round(self.limit * self.seconds):
            self.taken.append(now)
            return 0.0
        return max(1e-9, self.taken[0] + self.seconds - now)

    @property
    def left(self) -> tuple[float, float]:
        return round(self.limit * self.seconds) - len(self.taken), self.seconds


class LeakyQueue(Limiter):
    """Works on one request every `1 / limit` seconds, lets `room` wait, and refuses the others."""

    def __init__(self, limit: float, room: int) -> None:
        super().__init__(limit)
        self.room = room
        self.free = 0.0  # when all that was taken is done

    def take(self, now: float) -> float:
        over = (self.free - now) * self.limit - self.room
        if over > 0:
            return over / self.limit
        self.free = max(self.free, now) + 1 / self.limit
        return 0.0

    def work(self, now: float, seconds: float) -> float:
        return max(0.0, self.free - now) + seconds


class ConcurrencyLimit(Limiter):
    """At most `most` requests at a time, each of which takes `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        super().__init__(most / seconds)
        self.most, self.seconds = most, seconds
        self.ends: list[float] = []

    def take(self, now: float) -> float:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        return 0.0 if len(self.ends) < self.most else max(1e-9, self.ends[0] - now)

    def work(self, now: float, seconds: float) -> float:
        heapq.heappush(self.ends, now + seconds)
        return seconds


class Scheduled(Limiter):
    """A limiter whose limit is another one at other times."""

    def __init__(self, inner: Limiter, limit_at: Callable[[float], float]) -> None:
        super().__init__(inner.limit)
        self.inner, self.limit_at = inner, limit_at

    def take(self, now: float) -> float:
        self.limit = self.inner.limit = self.limit_at(now)
        return self.inner.take(now)

    def work(self, now: float, seconds: float) -> float:
        return self.inner.work(now, seconds)
