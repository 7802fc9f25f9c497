"""Servers that limit requests, each in its own way, and a pacer that sends to one of them.

Here the pacer's decisions run without an event loop, so minutes at thousands of requests a
second take a moment.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Grant, Pacer

__all__ = ["Bucket", "FixedWindow", "Server", "SlidingWindow", "Steady", "simulate"]

_OPEN = 10_000  # lanes, more than any simulation needs


class Server:
    """Counts requests. `limit` a second may change while it runs."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def asks_to_wait(self, now: float) -> float | None:
        """Seconds until a refused request would be taken; None for one that is taken."""
        raise NotImplementedError


class Bucket(Server):
    """A token bucket that holds `burst` seconds' worth of requests."""

    def __init__(self, limit: float, burst: float) -> None:
        super().__init__(limit)
        self.burst = burst
        self.tokens, self.at = max(1.0, limit * burst), 0.0

    def asks_to_wait(self, now: float) -> float | None:
        most = max(1.0, self.limit * self.burst)
        self.tokens = min(most, self.tokens + (now - self.at) * self.limit)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return None
        return (1 - self.tokens) / self.limit


class FixedWindow(Server):
    """So many requests in each window of `seconds`, which begins anew at once."""

    def __init__(self, limit: float, seconds: float) -> None:
        super().__init__(limit)
        self.seconds = seconds
        self.window, self.count = -1, 0

    def asks_to_wait(self, now: float) -> float | None:
        window = int(now / self.seconds)
        if window != self.window:
            self.window, self.count = window, 0
        if self.count < round(self.limit * self.seconds):
            self.count += 1
            return None
        return (window + 1) * self.seconds - now


class SlidingWindow(Server):
    """So many requests in any `seconds`."""

    def __init__(self, limit: float, seconds: float) -> None:
        super().__init__(limit)
        self.seconds = seconds
        self.taken: deque[float] = deque()

    def asks_to_wait(self, now: float) -> float | None:
        while self.taken and self.taken[0] <= now - self.seconds:
            self.taken.popleft()
        if len(self.taken) < round(self.limit * self.seconds):
            self.taken.append(now)
            return None
        return self.taken[0] + self.seconds - now


@dataclass(frozen=True)
class Steady:
    """What happened from some moment on: accepted a second, and the share of refusals."""

    accepted: float
    refused: float
    learned: float | None


def simulate(
    server: Server,
    *,
    latency: float,
    seconds: float,
    settled: float,
    says_when: bool = False,
    learned: float | None = None,
    changes: tuple[float, float] | None = None,
    seed: int = 0,
) -> Steady:
    """Send for `seconds`, and look at what happened after `settled`.

    Half of the latency, which varies by a tenth, lies before the server counts. With
    `says_when` it sends Retry-After, in whole seconds rounded up. `changes` is a moment and
    the limit from then on.
    """
    rng = random.Random(seed)
    now = 0.0
    health = Health(concurrency=_OPEN, patience=30.0, max_wait=600.0)
    health.concurrency_limit = _OPEN
    pacer = Pacer(
        None, health=health, learned=learned, rng=rng, clock=lambda: now, wall=lambda: now
    )
    taken = Verdict(Flow.DELIVERED, http_status=200)
    ticket = itertools.count()
    arriving: list[tuple[float, int, Grant, float]] = []
    answers: list[tuple[float, int, Grant, Verdict]] = []
    accepted = refused = 0
    while now < seconds:
        if changes is not None and now >= changes[0]:
            server.limit = changes[1]
        pause = pacer.until_next()
        # The rate changes as time goes by, so no look ahead is longer than half a second.
        moments = [now + min(pause, 0.5)]
        moments += [queue[0][0] for queue in (arriving, answers) if queue]
        soonest = min(moments)
        if answers and answers[0][0] == soonest:
            now, _, grant, verdict = heapq.heappop(answers)
            if now >= settled:
                accepted += verdict is taken
                refused += verdict is not taken
            pacer.on_verdict(grant, verdict)
        elif arriving and arriving[0][0] == soonest:
            now, _, grant, back = heapq.heappop(arriving)
            wait = server.asks_to_wait(now)
            verdict = taken if wait is None else _slow_down(wait, says_when=says_when)
            heapq.heappush(answers, (now + back, next(ticket), grant, verdict))
        else:
            # A rounding error must not keep time from moving on.
            now = max(soonest, now + 1e-9) if pause else now
            granted = pacer.try_acquire()
            if granted is not None:
                half = latency / 2 * rng.uniform(0.9, 1.1)
                heapq.heappush(arriving, (now + half, next(ticket), granted, half))
    return Steady(
        accepted / (seconds - settled), refused / max(1, accepted + refused), pacer.learned
    )


def _slow_down(wait: float, *, says_when: bool) -> Verdict:
    return Verdict(
        Flow.AGAIN,
        reason="slow down",
        http_status=429,
        retry_after=float(int(wait) + 1) if says_when else None,
        throttled=True,
    )
