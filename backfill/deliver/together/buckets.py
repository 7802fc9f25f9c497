"""Hands out the lanes of buckets that this process takes, one bucket after another.

Nothing is taken where no worker waits for a lane, nor while lanes wait for their turn to send: more
lanes would send no more, and what is left goes to those who have room. Whether they wait is known
once each lane that was handed out has asked for its turn, so another bucket is taken only then, and
whoever begins first does not take them all. A bucket whose owner died is recovered within a second,
and then free for whoever has room. A lane in which a request of a lost owner may still arrive waits
that time out.

Where another deliverer has room and finds no bucket, this one gives back what it holds beyond its
share: nothing more of those lanes is begun, and the bucket is released once all that was sent of it
is written down.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import anyio
import anyio.to_thread

from backfill.core.model import Lane, Range, State
from backfill.deliver.run.lanes import pending_ranges
from backfill.deliver.run.selection import Selection
from backfill.deliver.together.fair_share import Line
from backfill.jobdir.manifest import Manifest
from backfill.ledger.protocol import SharedLedger
from backfill.ledger.sharing import BucketProgress

__all__ = ["SharedBuckets"]

log = logging.getLogger("backfill.deliver")

_EVERY = 0.25  # seconds between two looks
_PATIENCE = 5.0  # seconds without a bucket until somebody is told why
_IDLE = BucketProgress()

Pending = list[tuple[Lane, list[Range]]]


@dataclass(slots=True)
class _Step:
    """What one look at the ledger is to do, and what it came to."""

    closing: Sequence[int] = ()
    due: Sequence[Lane] = ()
    hungry: bool = False
    line: Line = field(default_factory=Line)
    ours: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    visited: frozenset[int] = frozenset()
    released: list[int] = field(default_factory=list)
    opened: dict[int, tuple[Pending, list[tuple[Lane, float]]]] = field(default_factory=dict)
    again: Pending = field(default_factory=list)
    progress: dict[int, BucketProgress] = field(default_factory=dict)
    left: int = 0  # buckets with something to send, whoever has them
    waits: bool = False  # for a bucket, with room for it
    taken_by_others: int = 0  # buckets with something to send, where we have none
    over: bool = False


class SharedBuckets:
    """Every lane with pending records of the buckets that nobody else has.

    With `resends` what a lost owner left in flight is sent again. With a `selection` only what it
    chooses is handed out. `crowded` tells whether lanes wait for their turn to send, `line` who
    else delivers, and `progressed` is called with the records in each state, over all.
    """

    def __init__(
        self,
        manifest: Manifest,
        ledger: SharedLedger,
        selection: Selection | None = None,
        *,
        resends: bool = False,
        clock: Callable[[], float] = anyio.current_time,
        crowded: Callable[[], bool] = lambda: False,
        line: Callable[[], Line] = Line,
        progressed: Callable[[dict[State, int]], None] = lambda _: None,
    ) -> None:
        self.waits = False  # for a bucket, with room for it, and too few or none
        self._rows = [bucket.rows for bucket in manifest.buckets]
        self._lanes = {
            bucket: list(lanes)
            for bucket, lanes in groupby(manifest.lanes(), key=lambda lane: lane.bucket)
        }
        self._ledger = ledger
        self._selection = selection
        self._resends = resends
        self._clock = clock
        self._crowded = crowded
        self._line = line
        self._progressed = progressed
        self._found: deque[tuple[Lane, list[Range]]] = deque()
        self._starting: set[Lane] = set()  # handed out, and no turn to send was asked for yet
        self._held: list[tuple[float, Lane]] = []  # from when on each may be handed out
        self._open: dict[int, int] = {}  # lanes of our buckets that are not done
        self._leaving: set[int] = set()  # of them those that are given back unfinished
        self._closing: set[int] = set()
        self._visited: set[int] = set()
        self._hungry = 0
        self._waits_since = math.inf
        self._said = False
        self._over = False
        self._news = anyio.Event()
        self._kick = anyio.Event()

    async def next(self) -> tuple[Lane, list[Range]] | None:
        """A lane and its pending ranges; None once no bucket has anything left for this run."""
        while not self._found and not self._over:
            self._hungry += 1
            self._kick.set()
            try:
                await self._news.wait()
            finally:
                self._hungry -= 1
        if self._over:
            return None
        found = self._found.popleft()
        self._starting.add(found[0])
        return found

    def keeps(self, lane: Lane) -> bool:
        """Whether more of a lane is to be sent from here."""
        return lane.bucket not in self._leaving

    def asks(self, lane: Lane) -> None:
        """A lane that was handed out asks for its turn to send."""
        if lane in self._starting:
            self._starting.remove(lane)
            if not self._starting:
                self._kick.set()

    def done(self, lane: Lane) -> None:
        """Nothing more of a lane that was handed out will be sent."""
        self.asks(lane)
        self._ended(lane.bucket, 1)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._over = True
        self._tell()

    def pending(self) -> int:
        """How many records of the job are pending, whoever has their buckets."""
        settled = sum(each.settled for each in self._ledger.progress().values())
        return sum(self._rows) - settled

    async def keep(self) -> None:
        """Take, release and recover buckets until cancelled. Raises BackfillError."""
        while True:
            step = self._next_step()
            await anyio.to_thread.run_sync(self._look, step)
            self._follow(step)
            with anyio.move_on_after(_EVERY):
                await self._kick.wait()
            self._kick = anyio.Event()

    # --- one look, in a thread -----------------------------------------------------------------

    def _next_step(self) -> _Step:
        now = self._clock()
        due = [lane for at, lane in self._held if at <= now]
        self._held = [(at, lane) for at, lane in self._held if at > now]
        return _Step(
            closing=tuple(self._closing),
            due=due,
            hungry=self._has_room(),
            line=self._line(),
            ours=frozenset(self._open),
            leaving=frozenset(self._leaving),
            visited=frozenset(self._visited),
        )

    def _has_room(self) -> bool:
        """Whether more lanes would send more."""
        starting = bool(self._found or self._starting)
        return self._hungry > 0 and not starting and not self._crowded()

    def _look(self, step: _Step) -> None:
        for bucket in step.closing:
            if self._ledger.release(bucket):
                step.released.append(bucket)
        for lane in step.due:
            step.again += self._pending_of(lane.bucket, [lane])
        step.progress = self._ledger.progress()
        for bucket in self._ledger.orphans():
            if bucket not in step.ours and self._ledger.take_one([bucket]) is not None:
                self._ledger.release(bucket)  # recovered, and free for who has room
        ours = step.ours - set(step.released)
        step.visited |= set(step.released) - step.leaving
        left = [bucket for bucket in self._lanes if self._has_work(bucket, step)]
        wanted = [bucket for bucket in left if bucket not in ours]
        step.left = len(left)
        if step.hungry and not step.again and wanted:
            self._take(wanted, ours, step)
        step.over = not wanted and not ours

    def _take(self, wanted: Sequence[int], ours: frozenset[int], step: _Step) -> None:
        kept, line = len(ours - step.leaving), step.line
        taken = None
        if not line.waiting or kept < line.share(step.left):
            taken = self._ledger.take_one(wanted)
        if taken is not None:
            self._open_bucket(taken[0], step)
            return
        step.waits = kept < line.enough(step.left)
        if not ours:
            step.taken_by_others = len(wanted)

    def _has_work(self, bucket: int, step: _Step) -> bool:
        """Whether a bucket may hold something to send, as far as the ledger tells by its totals."""
        known = step.progress.get(bucket, _IDLE)
        if known.settled == self._rows[bucket] and not known.in_flight:
            return self._resends and known.unknown > 0 and bucket not in step.visited
        return self._selection is None or known.in_flight > 0 or bucket not in step.visited

    def _open_bucket(self, bucket: int, step: _Step) -> None:
        held = self._ledger.held(bucket)
        free = [lane for lane in self._lanes[bucket] if lane.number not in held]
        waiting = [(lane, held[lane.number]) for lane in self._lanes[bucket] if lane.number in held]
        step.opened[bucket] = (self._pending_of(bucket, free), waiting)

    def _pending_of(self, bucket: int, lanes: Sequence[Lane]) -> Pending:
        if self._resends:
            for lane in lanes:
                self._ledger.resend_lost_in(bucket, (lane.start, lane.stop))
        settled = self._ledger.settled(bucket)
        found = [(lane, ranges) for lane in lanes if (ranges := pending_ranges(lane, settled))]
        if found and self._selection is not None:
            found = self._selection.choose(bucket, found)
        return found

    # --- what it came to -----------------------------------------------------------------------

    def _follow(self, step: _Step) -> None:
        now = self._clock()
        for bucket in step.released:
            del self._open[bucket]
            self._closing.discard(bucket)
            self._leaving.discard(bucket)
        self._visited |= step.visited
        for bucket, (pending, waiting) in step.opened.items():
            self._open[bucket] = len(pending) + len(waiting)
            self._found.extend(pending)
            self._held += [(now + seconds, lane) for lane, seconds in waiting]
            if not self._open[bucket]:
                self._closing.add(bucket)
        self._found.extend(step.again)
        for lane in set(step.due) - {lane for lane, _ in step.again}:
            self.done(lane)  # nothing of it was pending
        totals = {
            state: sum(getattr(each, state.value) for each in step.progress.values())
            for state in (State.DELIVERED, State.FAILED, State.UNKNOWN)
        }
        self._progressed(totals)
        self.waits = step.waits
        if step.line.waiting:
            self._keep_a_share(step.line.share(step.left))
        self._tell_of_a_wait(step.taken_by_others, now)
        self._over = self._over or step.over
        if self._found or self._over:
            self._tell()

    def _keep_a_share(self, most: int) -> None:
        """Give back what we hold beyond it: the newest, of which most is left."""
        kept = [each for each in self._open if each not in self._closing | self._leaving]
        for bucket in kept[most:]:
            log.info("bucket %s is given back for a deliverer that has room", bucket)
            self._leaving.add(bucket)
            found = [each for each in self._found if each[0].bucket != bucket]
            held = [each for each in self._held if each[1].bucket != bucket]
            dropped = len(self._found) - len(found) + len(self._held) - len(held)
            self._found, self._held = deque(found), held
            self._ended(bucket, dropped)

    def _ended(self, bucket: int, lanes: int) -> None:
        """Nothing more will be sent of so many lanes of a bucket."""
        self._open[bucket] -= lanes
        if not self._open[bucket]:
            self._closing.add(bucket)
            self._kick.set()

    def _tell_of_a_wait(self, buckets: int, now: float) -> None:
        """Say once why nothing is sent from here, where that lasts."""
        if not buckets:
            self._waits_since = math.inf
            return
        began = self._waits_since = min(self._waits_since, now)
        if now - began > _PATIENCE and not self._said:
            self._said = True
            log.warning(
                "this one waits: other deliverers hold %s, each as a whole; it takes the next that"
                " is given back, or whose deliverer is lost",
                "the last bucket" if buckets == 1 else f"the {buckets} buckets that are left",
            )

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()
