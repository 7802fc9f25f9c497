"""A pacer that sends to a limiter, without an event loop, so that minutes take a moment."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.budget import Budget
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.turns import Grant
from tests.deliver.pacing.limiters import Limiter

__all__ = ["Outcome", "simulate"]

_SAME = 0.001  # seconds by which the ends of two waits may differ and be one
_MOSTLY = 0.97  # of the timers are not later than they may be
_TAKEN = Verdict(Flow.DELIVERED, http_status=200)


@dataclass
class Outcome:
    """What happened: when each request was accepted or refused, as the client saw it."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    early: int = 0  # requests that left before a Retry-After had passed
    learned: float | None = None
    rates: list[tuple[float, float]] = field(default_factory=list)

    def share(self, limit: float, since: float = 0.0) -> float:
        """What was accepted a second, of `limit`, until the last was."""
        count = sum(at >= since for at in self.accepted)
        return count / (limit * (self.accepted[-1] - since))

    def first(self, accepted: int) -> Outcome:
        """What had happened when so many were accepted: as if no more were to be sent."""
        end = self.accepted[accepted - 1]
        return Outcome(self.accepted[:accepted], [at for at in self.refused if at <= end])

    def refusals(self, since: float = 0.0) -> float:
        """The share of refusals among all answers."""
        refused = sum(at >= since for at in self.refused)
        return refused / max(1, refused + sum(at >= since for at in self.accepted))


def simulate(  # noqa: PLR0912, PLR0915 - one loop over all kinds of events
    limiter: Limiter,
    *,
    requests: float = math.inf,
    seconds: float = math.inf,
    latency: float = 0.02,
    jitter: float = 0.1,
    late: float = 0.001,
    says_when: bool = False,
    learned: float | None = None,
    concurrency: int = 64,
    seed: int = 0,
    trace: bool = False,
    headers: Callable[[Limiter, float], dict[str, str]] | None = None,
    shared: Callable[[Callable[[], float]], Sequence[Budget | None]] = lambda wall: [None],
    rate: float | None = None,
    dies: float = math.inf,
    commit: float = 0.0,
) -> Outcome:
    """Send until so many are accepted, or so many seconds have passed.

    Half of the latency, which varies by `jitter`, lies before the server counts. Timers are up to
    `late` seconds late, and some ten times as much, as on a machine that has other work. With
    `says_when` a refusal has a Retry-After, in whole seconds. There is a run for each of the
    `shared` budgets, which are given the wall clock; the first of them `dies` at a moment.
    """
    rng = random.Random(seed)
    now = 0.0
    pacers = [
        Pacer(
            rate,
            health=Health(concurrency=concurrency, patience=30.0, max_wait=600.0),
            learned=learned,
            rng=rng,
            clock=lambda: now,
            wall=lambda: now,
            shared=budget,
        )
        for budget in shared(lambda: now)
    ]
    looks = [0.0 for _ in pacers]
    lines: list[deque[Grant]] = [deque() for _ in pacers]  # those whose intents are written down
    leave = [math.inf for _ in pacers]  # when the first one of each looks
    writing: list[tuple[float, int, int, Grant]] = []
    ticket = itertools.count()
    arriving: list[tuple[float, int, int, Grant, float]] = []
    answers: list[tuple[float, int, int, Grant, Verdict, dict[str, str]]] = []
    found = Outcome()
    shut_until = 0.0

    def timer(seconds: float, early: float = 0.0) -> float:
        """When one goes off that is waited for by looking in its last `early` seconds. The rate
        changes as time goes by, so no look ahead is long.
        """
        slip = late * rng.uniform(0.0, 1.0 if rng.random() < _MOSTLY else 10.0)
        return now + min(seconds, 0.25) + max(0.0, slip - early)

    while now < seconds and len(found.accepted) < requests:
        if trace and (not found.rates or now > found.rates[-1][0] + 0.25):
            found.rates.append((now, pacers[0].rate))
        if now >= dies:
            looks[0] = math.inf
        soonest = min(*looks, *leave)
        for queue in (writing, arriving, answers):
            if queue and queue[0][0] < soonest:
                soonest = queue[0][0]
        now = max(now, soonest)
        if answers and answers[0][0] <= now:
            _, _, who, grant, verdict, said = heapq.heappop(answers)
            (found.accepted if verdict is _TAKEN else found.refused).append(now)
            if verdict.retry_after is not None:
                shut_until = max(shut_until, now + verdict.retry_after)
            pacers[who].on_verdict(grant, verdict)
            if said:
                pacers[who].listen(said)
            looks[who] = now
            leave[who] = now if lines[who] else math.inf
        elif arriving and arriving[0][0] <= now:
            _, _, who, grant, back = heapq.heappop(arriving)
            wait = limiter.take(now)
            words = headers(limiter, now) if headers else {}
            if wait:
                after = float(math.ceil(wait)) if says_when else None
                verdict = Verdict(
                    Flow.AGAIN, "slow down", http_status=429, retry_after=after, throttled=True
                )
                heapq.heappush(answers, (now + back / 8, next(ticket), who, grant, verdict, words))
            else:
                done = now + limiter.work(now, back)
                heapq.heappush(answers, (done, next(ticket), who, grant, _TAKEN, words))
        elif writing and writing[0][0] <= now:
            _, _, who, grant = heapq.heappop(writing)
            pacers[who].departures.written(grant)
            lines[who].append(grant)
            leave[who] = min(leave[who], now) if lines[who][0] is not grant else now
        elif min(leave) <= now:
            who = leave.index(min(leave))
            grant = lines[who][0]
            leaves = pacers[who].departures.leave(grant)
            if leaves is None:
                departures = pacers[who].departures
                leave[who] = timer(departures.until_next(), departures.early)
                continue
            lines[who].popleft()
            leave[who] = now if lines[who] else math.inf
            if leaves:
                found.early += now < shut_until - _SAME
                half = latency / 2
                there = half / 4 * rng.uniform(1 - jitter, 1 + jitter) + rng.expovariate(5000)
                back = (latency - half / 4) * rng.uniform(1 - jitter, 1 + jitter)
                heapq.heappush(arriving, (now + there, next(ticket), who, grant, back))
            else:
                pacers[who].withdraw(grant)
        else:
            who = looks.index(min(looks))
            granted = pacers[who].try_acquire()
            if granted is not None:
                took = rng.expovariate(1 / commit) if commit else 0.0
                heapq.heappush(writing, (now + took, next(ticket), who, granted))
                looks[who] = now
            else:
                looks[who] = timer(pacers[who].until_next())
    found.learned = pacers[0].learned
    return found
