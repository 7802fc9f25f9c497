"""What a life of several deliverers is made of, drawn from the seed before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.simulation.plan import Plan

__all__ = ["FAULTS", "UNHEARD", "SharedPlan", "make_shared_plan"]

FAULTS = (
    # the network
    "refuse_connection",
    "lose_request",
    "lose_reply",
    "cut_reply",
    "late",
    "outage",
    "connect",
    # the server
    "throttle",
    "ask_wait",
    "server_error",
    "odd_yes",
    "unavailable",
    "poison",
    "too_large",
    # the machines
    "death",
    "freeze",
    "clocks",
    # the database
    "slow_database",
    "restart",
    "lose_call",
    "lose_answer",
    "cut",
    "stall",
    "notice",
    # people
    "look",
    "decide",
    "pace",
    "halt",
    "limits",
    "guarantee",
)
"""What each life has, or is spared."""

UNHEARD = frozenset({"ask_wait", "connect", "notice"})
"""What all must come together before a request that waits for its connection, and was permitted,
is called back by a quiet period of which a draw alone tells. Chance alone seldom brings it about.
"""

_UNHEARD = 0.15
"""The share of lives that have these faults, and few others."""

_FEWEST, _MOST = 12, 30  # records of such a life

_DESTINATIONS = ("pristo-events", "watch-events", "watch-feedbacks")


@dataclass(frozen=True)
class SharedPlan(Plan):
    """A life of so many `deliverers`, and how many more begin in place of those that ended."""

    deliverers: int = 2
    more: int = 0
    lease: float = 10.0
    timeout: float = 30.0  # seconds that the plan says
    database: str = field(default="", compare=False)  # the address of a PostgreSQL

    @property
    def hold(self) -> float:
        """Seconds for which a request of a lost owner may still be on its way."""
        return self.lease + self.timeout

    def __str__(self) -> str:
        return (
            f"{self.deliverers} deliverers and {self.more} more, a lease of {self.lease:g} s,"
            f" {super().__str__()}"
        )


def make_shared_plan(
    seed: int,
    *,
    database: str,
    most: int | None = None,
    without: frozenset[str] = frozenset(),
) -> SharedPlan:
    """The plan of a seed; with at most `most` records and `without` some faults when it shrinks."""
    chance = random.Random(f"{seed}/several")
    records = int(2 ** (1 + 5.5 * chance.random()))
    lanes = chance.choice((1, 2, 3))
    buckets = chance.choice((1, 2, 2, 3, 5))
    keys = chance.choice((1, 2, 5))
    share = chance.choice((0.0, 0.2, 0.4, 0.7))
    faults = frozenset(each for each in FAULTS if chance.random() < share)
    unheard = chance.random() < _UNHEARD
    if unheard:
        faults = frozenset(each for each in FAULTS if each in faults and chance.random() < 0.3)
        faults |= UNHEARD
        records, lanes, buckets = max(_FEWEST, min(records, _MOST)), max(2, lanes), max(2, buckets)
    faults -= without
    records = min(records, most or records)
    destination = chance.choice(_DESTINATIONS)
    intensity = 0.3 if unheard else chance.choice((0.03, 0.1, 0.3))
    guarantee = chance.choice(("at-most-once", "at-most-once", "at-least-once"))
    deliverers, more = chance.choice((2, 2, 3, 4)), chance.choice((0, 1, 2, 4))
    lease, timeout = chance.choice((2.0, 10.0)), chance.choice((1.0, 5.0))
    lengths = [[0] * lanes for _ in range(buckets)]
    for _ in range(records):
        lengths[chance.randrange(buckets)][chance.randrange(lanes)] += 1
    shaped = tuple(tuple(each for each in bucket if each) for bucket in lengths)
    return SharedPlan(
        seed=seed,
        destination=destination,
        lanes=tuple(bucket for bucket in shaped if bucket),
        keys=keys,
        faults=faults,
        intensity=intensity,
        guarantee=guarantee,
        most_runs=1,
        records=records,
        deliverers=deliverers,
        more=more,
        lease=lease,
        timeout=timeout,
        database=database,
    )
