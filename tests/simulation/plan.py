"""What a life is made of, all of it drawn from the seed before the life begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["FAULTS", "Plan", "make_plan"]

FAULTS = (
    # the network
    "refuse_connection",
    "lose_request",
    "lose_reply",
    "cut_reply",
    "late",
    "outage",
    # the server
    "throttle",
    "ask_wait",
    "server_error",
    "odd_yes",
    "unavailable",
    "poison",
    "too_large",
    "credential",
    "echo",
    # the machine
    "death",
    "power",
    "freeze",
    "clock_jump",
    "disk_full",
    "disk_error",
    "slow_disk",
    # people
    "look",
    "decide",
    "pace",
    "halt",
    "limits",
    "only",
    "abandon",
    "guarantee",
)
"""What each life has, or is spared: the common ones would drown the rare."""

_LARGE = 0.04
"""The share of jobs with more than a few records: each takes as long as ten small ones."""

_DESTINATIONS = ("pristo-events", "watch-events", "watch-feedbacks")


@dataclass(frozen=True)
class Plan:
    """A life. `lanes` are the lengths of the lanes of each bucket, `keys` the keys of a lane."""

    seed: int
    destination: str
    lanes: tuple[tuple[int, ...], ...]
    keys: int
    faults: frozenset[str]
    intensity: float  # the share of requests that meet a fault
    guarantee: str
    most_runs: int  # with faults; after them the world is calm
    records: int = field(default=0)

    def stream(self, name: str) -> random.Random:
        """A stream of chance of its own, so that one part of a life leaves the others alone."""
        return random.Random(f"{self.seed}/{name}")

    def __str__(self) -> str:
        return (
            f"{self.destination}, {self.records} records in lanes {self.lanes} of {self.keys} keys,"
            f" {self.guarantee}, {self.intensity:.0%} of {', '.join(sorted(self.faults)) or 'none'}"
        )


def make_plan(seed: int, *, most: int | None = None, without: frozenset[str] = frozenset()) -> Plan:
    """The plan of a seed; with at most `most` records and `without` some faults when it shrinks."""
    chance = random.Random(f"{seed}/plan")
    records = int(2 ** (5.5 * chance.random()))  # to 45; small jobs tell the most
    if chance.random() < _LARGE:
        records = int(2 ** chance.uniform(5.5, 8.25))  # to 304
    lanes = chance.choice((1, 2, 3, 5, 8))
    buckets = chance.choice((1, 1, 2, 3))
    keys = chance.choice((1, 2, 5, 40))
    share = chance.choice((0.2, 0.4, 0.7))
    faults = frozenset(each for each in FAULTS if chance.random() < share) - without
    records = min(records, most or records)
    destination = chance.choice(_DESTINATIONS)
    intensity = chance.choice((0.03, 0.1, 0.3, 0.6))
    guarantee = chance.choice(("at-most-once", "at-most-once", "at-least-once"))
    most_runs = chance.choice((1, 2, 3, 5))
    lengths = [[0] * lanes for _ in range(buckets)]
    for _ in range(records):  # last, so that a shorter life is like the long one in all else
        lengths[chance.randrange(buckets)][chance.randrange(lanes)] += 1
    shaped = tuple(tuple(each for each in bucket if each) for bucket in lengths)
    return Plan(
        seed=seed,
        destination=destination,
        lanes=tuple(bucket for bucket in shaped if bucket),
        keys=keys,
        faults=faults,
        intensity=intensity,
        guarantee=guarantee,
        most_runs=most_runs,
        records=records,
    )
