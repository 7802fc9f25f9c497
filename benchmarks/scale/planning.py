"""A simulated plan: its tasks on so many workers, a scheduler, a storage, and who asks for it.

Time goes from event to event. A worker of one thread does one task at a time; the scheduler hands
out one after another; reading and writing share one storage. A stage begins when the one before
it is over, as in `backfill.prepare.partition_stages`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from backfill.prepare.partition import ROWS_OF_A_BUCKET
from benchmarks.scale.tasks import Cost

__all__ = ["Cluster", "Plan", "simulated"]

_RANGES = 3  # for each worker, as in the Dask engine
_CONTACTS = 0.1  # of the events
_SPREAD = 0.15  # standard deviation of a task's time, of its mean
_MESSAGES = 6  # of a task: to the scheduler, the worker, back, to the client, and two to forget it
_OPEN = 128  # parts beyond which rows are written twice


@dataclass(frozen=True)
class Cluster:
    """What a plan runs on: bytes a second of the storage, and of one worker's way to it; seconds
    of the scheduler's processor for each task and for each byte that it passes on.
    """

    workers: int
    storage: float = 2e9
    way: float = 400e6
    task: float = 0.001
    byte: float = 5e-9


@dataclass
class Plan:
    """What a simulated plan took, in seconds and bytes; `files` are those on the way."""

    workers: int
    rows: int
    wall: float = 0.0
    alone: float = 0.0  # seconds in which only the process that asks is at work
    tasks: int = 0
    files: int = 0
    busy: float = 0.0  # seconds of all workers
    moved: float = 0.0  # bytes
    passed_on: float = 0.0  # bytes through the scheduler
    scheduling: float = 0.0  # seconds of the scheduler
    storing: float = 0.0  # seconds of the storage
    parts: int = 0
    ranges: int = 0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def messages(self) -> float:
        """Of the scheduler, a second."""
        return self.tasks * _MESSAGES / self.wall

    @property
    def limit(self) -> str:
        """What is busy for the largest share of the time."""
        shares = {
            "the process that asks": self.alone / self.wall,
            "the scheduler": self.scheduling / self.wall,
            "the storage": self.storing / self.wall,
            "the workers": self.busy / self.workers / self.wall,
        }
        name = max(shares, key=lambda each: shares[each])
        return f"{name}, {shares[name]:.0%}"


def simulated(costs: Mapping[str, Cost], rows: int, cluster: Cluster, *, seed: int = 1) -> Plan:
    """A plan of so many events; of two passes where the costs are those of two."""
    ranges = min(_RANGES * cluster.workers, max(1, rows // 1_000))
    parts = max(1, -(-rows // ROWS_OF_A_BUCKET))
    contacts = rows * _CONTACTS
    plan = Plan(cluster.workers, rows, parts=parts, ranges=ranges)
    chance = random.Random(seed)  # noqa: S311 - it decides nothing but how much tasks differ
    of_one = rows / parts
    inside = 2 * ranges  # files of a part: of the events, and of the contacts
    client = costs["client"]

    def stage(kind: str, count: int, each: float, files: float, made: int) -> None:
        twice = 2 if made > _OPEN and kind.startswith("split") else 1
        cost = costs[kind]
        seconds = cost.seconds(each, files)
        if twice == 2:
            seconds += each * cost.row / 3  # measured: a third more for the second level
        size = each * (cost.read + cost.written) * twice
        _run(plan, kind, cluster, chance, (count, seconds, size, cost.sent * (files + 1)))
        plan.files += made * count

    stage("split_events", ranges, rows / ranges, parts, parts)
    stage("split_contacts", ranges, contacts / ranges, parts, parts)
    if "settle_part" in costs:
        stage("settle_part", parts, of_one, inside + 1, 1)
    else:
        stage("make_part", parts, of_one, inside + 1, 1)
        portions = min(ranges, parts)
        stage("split_items", portions, rows / portions, parts + parts / portions, parts)
        stage("settle_gathered", parts, of_one, portions + 1, 1)
    portions = min(max(ranges, 2), parts)
    stage("seal_files", portions, rows / portions, parts / portions, 0)
    plan.alone = client.seconds(rows, parts)
    plan.wall += plan.alone
    plan.stages["the process that asks"] = plan.alone
    return plan


def _run(
    plan: Plan,
    kind: str,
    cluster: Cluster,
    chance: random.Random,
    given: tuple[int, float, float, float],
) -> None:
    """So many tasks of so many CPU seconds, bytes to read and write, and bytes to pass on."""
    count, seconds, size, sent = given
    began = plan.wall
    workers = [began] * cluster.workers
    handing, storage, last = began, began, began
    for _ in range(count):
        handing += cluster.task + sent * cluster.byte
        begins = max(heapq.heappop(workers), handing)
        storage = max(storage, begins) + size / cluster.storage
        moved = max(storage, begins + size / cluster.way)
        took = seconds * max(0.3, chance.gauss(1.0, _SPREAD))
        heapq.heappush(workers, moved + took)
        last = max(last, moved + took)
        plan.busy += moved + took - begins
    plan.wall = last
    plan.stages[kind] = last - began
    plan.tasks += count
    plan.moved += count * size
    plan.passed_on += count * sent
    plan.scheduling += count * (cluster.task + sent * cluster.byte)
    plan.storing += count * size / cluster.storage
