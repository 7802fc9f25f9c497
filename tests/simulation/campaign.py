"""Many lives, on as many cores as there are: what they came to, and what they found."""

from __future__ import annotations

import gc
import logging
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from tests.promises import Finding
from tests.simulation.life import live
from tests.simulation.plan import Plan, make_plan
from tests.simulation.several.life import live_shared
from tests.simulation.several.plan import SharedPlan, make_shared_plan

__all__ = ["Batch", "Lived", "bounded", "hear_nothing", "kind_of", "live_many", "live_one", "plans"]

_PART = 25  # lives that a core is given at a time
_EVERY = 20  # lives, of which one is lived by several deliverers, too
_LONGEST = 60.0  # seconds of CPU, of which the longest lives take one


@dataclass(frozen=True)
class Batch:
    """Lives one after another, from a seed on; none begins after `until`, a monotonic moment."""

    first: int
    count: int
    most: int | None = None  # records of a life
    without: frozenset[str] = frozenset()
    until: float | None = None
    database: str | None = None  # the address of a PostgreSQL, for lives of several deliverers
    several: bool = False  # whether all lives are of several


@dataclass
class Lived:
    """What some lives came to: findings by plan, marks, and seconds of CPU.

    `several` counts those of several deliverers among them.
    """

    lives: int = 0
    several: int = 0
    findings: list[tuple[Plan, str]] = field(default_factory=list)
    marks: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Lived) -> None:
        """Count others, too."""
        self.lives += other.lives
        self.several += other.several
        self.findings += other.findings
        self.marks.update(other.marks)
        self.seconds += other.seconds

    def live(self, plan: Plan, tell: Callable[[str], None] | None = None) -> None:
        """Live one more."""
        found = live_one(plan, self.marks, tell)
        self.lives += 1
        self.several += isinstance(plan, SharedPlan)
        if found is not None:
            self.findings.append((plan, found))


def live_many(batch: Batch, place: Path, jobs: int) -> Iterator[Lived]:
    """The lives of a large batch, in parts and in any order."""
    parts = (
        replace(batch, first=first, count=min(_PART, batch.first + batch.count - first))
        for first in range(batch.first, batch.first + batch.count, _PART)
    )
    if jobs == 1:
        _enter(place)
        yield from map(_live_batch, parts)
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _enter, (place,))
    try:
        waiting = {pool.submit(_live_batch, part) for part in islice(parts, 2 * jobs)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= {pool.submit(_live_batch, part) for part in islice(parts, len(done))}
            for each in done:
                yield each.result()
    finally:
        pool.shutdown(cancel_futures=True)


def hear_nothing() -> None:
    """Keep what deliverers and the driver tell those who watch them from between the findings."""
    for name in ("backfill", "psycopg"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def _enter(place: Path) -> None:
    """Keep all files of this process in a place; what is loaded by now is never garbage."""
    tempfile.tempdir = str(place)
    hear_nothing()
    gc.collect()
    gc.freeze()
    gc.disable()


def _live_batch(batch: Batch) -> Lived:
    began = time.process_time()
    lived = Lived()
    for plan in plans(batch):
        lived.live(plan)
    gc.collect()
    lived.seconds = time.process_time() - began
    return lived


def plans(batch: Batch) -> Iterable[Plan]:
    """What is lived: each seed by one process, and some by several deliverers, too."""
    most, without = batch.most, batch.without
    for seed in range(batch.first, batch.first + batch.count):
        if batch.until is not None and time.monotonic() > batch.until:
            return
        if not batch.several:
            yield make_plan(seed, most=most, without=without)
        if batch.database is not None and (batch.several or seed % _EVERY == 0):
            yield make_shared_plan(seed, database=batch.database, most=most, without=without)


def live_one(
    plan: Plan, marks: Counter[str], tell: Callable[[str], None] | None = None
) -> str | None:
    """One life; what was found in it. `tell` hears all that happens, and the hash of that."""
    try:
        with bounded(_LONGEST), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            if isinstance(plan, SharedPlan):
                summary = live_shared(plan, Path(place), tell)
            else:
                summary = live(plan, Path(place), tell)
    except Finding as finding:
        return str(finding)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        return traceback.format_exc()
    marks.update(summary.marks)
    if tell is not None:
        tell(summary.digest)
    return None


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise Finding in the midst of whatever takes more seconds of CPU than these."""

    def over(*_: object) -> None:
        raise Finding("a life does not end", f"in {seconds:g} s of CPU")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)  # again, where it is taken for another
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def kind_of(plan: Plan) -> str | None:
    """The kind of what is found in a life."""
    found = live_one(plan, Counter())
    return found and found.partition(":")[0]
