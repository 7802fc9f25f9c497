"""A simulated delivery: deliverers that send, one database that takes their commits and draws.

A deliverer has one commit under way at a time; the next one holds what came back meanwhile, so
commits grow while the database is slow. A database has processors, each with one commit at a time,
and flushes before it answers. Draws are changes of one row, one after another.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

__all__ = ["Delivery", "PostgreSQL", "delivered"]

_DRAWS = 4.0  # of each deliverer, a second
_SECONDS = 20.0  # that are simulated


@dataclass(frozen=True)
class PostgreSQL:
    """A database: its processors, seconds of one for each commit and each intent in it, and of a
    draw; seconds of a flush, and of the way there and back.
    """

    commit: float
    intent: float
    draw: float
    cores: int = 8
    flush: float = 0.001
    way: float = 0.0005


@dataclass(frozen=True)
class Delivery:
    deliverers: int
    requests: float  # a second, of all
    commits: float  # a second
    batch: float  # intents of one commit
    draws: float  # a second
    busy: float  # share of the database's processors
    row: float  # share of the time in which the budget's row is being changed
    limit: str


def delivered(
    deliverers: int, database: PostgreSQL, *, reply: float, at_once: int, own: float
) -> Delivery:
    """Deliverers with so many requests in flight each, replies after `reply` seconds, each of which
    sends at most `own` requests a second.
    """
    cores = [0.0] * database.cores
    turns = [(number / deliverers / 100, number, 0.0, 0.0) for number in range(deliverers)]
    heapq.heapify(turns)
    requests = commits = 0
    worked = 0.0
    while turns:
        now, number, before, latency = heapq.heappop(turns)
        if now > _SECONDS:
            continue
        # What is in a commit is not on its way, so a slow one slows its deliverer.
        rate = min(own, at_once / (reply + latency))
        intents = max(1, min(at_once, round((now - before) * rate)))
        takes = database.commit + database.intent * intents
        begins = max(heapq.heappop(cores), now + database.way / 2)
        heapq.heappush(cores, begins + takes)
        worked += takes
        commits += 1
        requests += intents
        done = begins + takes + database.flush + database.way / 2
        heapq.heappush(turns, (max(done, now + 1 / rate), number, now, done - now))
    draws = deliverers * _DRAWS
    worked += draws * database.draw * _SECONDS
    busy = worked / _SECONDS / database.cores
    row = draws * (database.draw + database.flush)
    rate = requests / _SECONDS
    share = rate / deliverers / min(own, at_once / reply)
    limit = "the database" if busy > 0.9 else "the budget's row" if row > 0.9 else "the deliverers"
    if limit == "the deliverers" and share < 0.9:
        limit = "waiting for commits"
    return Delivery(
        deliverers, rate, commits / _SECONDS, requests / commits, draws, busy, row, limit
    )
