"""Where the program runs: it dies and freezes, its clock jumps, and its disk fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests.simulation.checks.pace_check import PaceCheck
from tests.simulation.checks.witness import Witness
from tests.simulation.plan import Plan
from tests.simulation.world.clock import Clock
from tests.simulation.world.death import DeathError
from tests.simulation.world.disk import Disk

__all__ = ["Machine"]

_BOUNDARIES = ("begin", "commit", "committed", "mark", "marked", "leave", "reply", "thread")
_RECOVERY = ("begin", "commit", "committed", "mark")
_FEW = ("leave", "reply")  # boundaries that a small job seldom comes to
_ANY = "any"
_JUMPS = (-3600.0, -3600.0, -5.0, 5.0, 7200.0)  # seconds by which a clock is set


class Machine:
    """The machine of one life, with the disk in it.

    `died` is called when it dies, and `pace` is told of what takes time. `calm` keeps it well.
    """

    def __init__(
        self, plan: Plan, clock: Clock, witness: Witness, place: Path, tell: Callable[..., None]
    ) -> None:
        self.calm = False
        self.dead = False
        self.suffered = False  # from its disk
        self.entered = False  # the process at hand has opened the ledger to write to it
        self.progress = clock.now  # when something was written or sent last
        self.died: Callable[[], None] = lambda: None
        self.failed = False  # a write of the process at hand
        self.pace = PaceCheck(witness, clock.now, None, 1024)
        self.disk = Disk(self)
        self.disk.place = place / "0.job"
        self._plan = plan
        self._clock = clock
        self._witness = witness
        self._place = place
        self._tell = tell
        self._chance = plan.stream("machine")
        self._lives = 0  # directories that were used up by deaths
        self._crossed: Counter[str] = Counter()
        self._death: tuple[str, int] | None = None
        self._freeze: tuple[str, int] | None = None
        self._broken: str | None = None  # how the disk is broken now
        self._log_size = 0  # of the ledger's log, before the commit at hand
        self._jumps = self._chance.choice((_JUMPS, _JUMPS, (-3600.0,), (7200.0,)))
        self.jumps_in_a_wait = 0.5 if self._jumps is _JUMPS else 0.9  # the share of them
        self._delay = self._chance.choice((0.0, 0.002, 0.01, 0.05))  # of a thread, in seconds

    def has(self, fault: str) -> bool:
        """Whether this machine knows a fault, at this moment."""
        return fault in self._plan.faults and not self.calm

    def arm(self) -> None:
        """A process begins: decide at which boundary it dies or freezes."""
        chance = self._chance
        self.entered = self.failed = False
        self.progress = self._clock.now
        self._crossed.clear()
        self._death = self._moment(0.75) if self.has("death") else None
        self._freeze = self._moment(0.4) if self.has("freeze") else None
        recovers = any(each.in_flight for each in self._witness.book)
        if recovers and self.has("death") and chance.random() < 0.7:
            self._death = chance.choice(_RECOVERY), 1
        elif self._death is not None and self.has("power") and chance.random() < 0.4:
            self._death = "committed", self._death[1]  # whose commit may be torn
        self._broken = None
        if self.has("disk_full") or self.has("disk_error"):
            self._clock.after(2 ** chance.uniform(-9, 5), self._break_disk)

    def _moment(self, share: float) -> tuple[str, int] | None:
        chance = self._chance
        if chance.random() >= share:
            return None
        name = chance.choice(_BOUNDARIES)
        return name, int(2 ** chance.uniform(0, 3 if name in _FEW else 6))

    def die_soon(self, share: float) -> None:
        """Have a share of the processes die within their next few steps."""
        if self.has("death") and self._chance.random() < share:
            self._death = _ANY, self._crossed[_ANY] + self._chance.randint(1, 12)

    def step(self, name: str) -> None:
        """A boundary is crossed; here the machine may die."""
        if self.dead:
            raise DeathError
        clock = self._clock
        self._crossed[name] += 1
        self._crossed[_ANY] += 1
        if name != "thread":  # a run that is stuck reads its pace all the same
            self.progress = clock.now
        if name == "commit" and self.has("power"):
            self._log_size = self._size_of_log(self.disk.place)
        elif name == "leave":
            self.pace.leaves(clock.now)
        if self._is_due(self._freeze, name):
            seconds = self._chance.choice((1, 40, 1000))
            self._tell("freezes", seconds)
            self._witness.marks[f"frozen at {name}"] += 1
            clock.advance(clock.now + seconds)
            self.pace.freeze(clock.now, seconds)
        if self._is_due(self._death, name):
            self._die(name)

    def _is_due(self, moment: tuple[str, int] | None, name: str) -> bool:
        if self.calm or moment is None or moment[0] not in (name, _ANY):
            return False
        return self._crossed[moment[0]] == moment[1]

    def _die(self, name: str) -> None:
        witness = self._witness
        power = self.has("power") and self._chance.random() < 0.7
        self._tell("dies", name, "without power" if power else "")
        witness.marks[f"died at {name}"] += 1
        witness.marks["died while recovering"] += bool(witness.lost)
        witness.marks["died while somebody decided"] += witness.decision is not None
        self._lives += 1
        old, new = self.disk.place, self._place / f"{self._lives}.job"
        self.disk.copy_to(new, power_lost=power)
        size = self._size_of_log(new)
        if power and name == "committed" and size > self._log_size:
            self._tear(new / "ledger.sqlite-wal", size)
        self.dead = True
        self.died()
        self.disk.place = new
        self._clock.after(0, partial(shutil.rmtree, old, ignore_errors=True))
        raise DeathError

    def _tear(self, log: Path, size: int) -> None:
        """Leave of the last commit what had reached the disk before its sync: a part, or noise."""
        chance = self._chance
        at = chance.randint(self._log_size, size)
        with log.open("r+b") as file:
            if chance.random() < 0.5:
                file.truncate(at)
            else:
                file.seek(at)
                file.write(chance.randbytes(min(size - at, 512)))
        self._witness.tear()

    def _size_of_log(self, place: Path) -> int:
        try:
            return os.stat(f"{place}/ledger.sqlite-wal").st_size  # noqa: PTH116 - for speed
        except FileNotFoundError:
            return 0

    # --- the disk ----------------------------------------------------------------------------

    def _break_disk(self) -> None:
        if self.calm:
            return
        kinds = [each for each in ("full", "error") if self.has(f"disk_{each}")]
        self._broken = self._chance.choice(kinds)
        self._tell("the disk is broken", self._broken)
        self._clock.after(2 ** self._chance.uniform(-6, 3), self.mend)

    def mend(self) -> None:
        """The disk is well again."""
        self._broken = None

    def disk_fault(self, name: str) -> str | None:
        fault = self._broken
        if fault is None or self._chance.random() < 0.3:
            return None
        if fault == "full" and name in ("open", "read"):  # which need no room
            return None
        self.suffered = True
        self.failed |= name in ("write", "commit")
        self._witness.marks[f"disk {fault} at {name}"] += 1
        self._tell("disk", fault, name)
        return fault

    def committed(self, connection: sqlite3.Connection, *, changed: bool, synced: bool) -> None:
        if self.dead or not changed:
            return
        if not synced:
            raise self._witness.found("a commit is not synced to the disk")
        chance = self._chance
        if self.has("power") and self.has("death") and chance.random() < 0.04:
            self._death = "committed", self._crossed["committed"] + 1  # this commit may be torn
        witness, mark = self._witness, "an intent was taken back unsent"
        witness.marks["written after a write had failed"] += self.failed
        before = witness.marks[mark]
        witness.committed(connection)
        quiet = witness.waits.left(self._clock.now) > 0
        witness.marks["a quiet period began while an intent waited"] += (
            quiet and witness.marks[mark] > before
        )
        self._tell("writes", witness.counted())

    def opened(self, connection: sqlite3.Connection) -> None:
        self.entered = True
        self._witness.opened(connection)

    def recalls_wait(self) -> None:
        waits, now = self._witness.waits, self._clock.now
        if waits.left(now) > 0 and self._chance.random() < 0.5:
            self.jump()  # also between two readings of one process
        waits.read(now, self._clock.wall())

    # --- threads and the clock ---------------------------------------------------------------

    async def in_thread(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What a thread would do, later and at once."""
        limiter = options.get("limiter")
        async with limiter or contextlib.nullcontext():
            delay = self._delay * self._chance.uniform(0.5, 1.5)
            if self.has("slow_disk") and self._chance.random() < 0.15:
                delay = self._chance.choice((0.1, 1.0, 5.0))
            self.pace.delay = max(self.pace.delay, delay)
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(delay)
            self.step("thread")
            return function(*args)

    def jump(self) -> None:
        """The wall clock is set to another time."""
        if not self.has("clock_jump"):
            return
        seconds = self._chance.choice(self._jumps)
        self._clock.offset += seconds
        self._tell("the clock jumps", seconds)
        self._witness.marks[f"the clock was set {'back' if seconds < 0 else 'ahead'}"] += 1
