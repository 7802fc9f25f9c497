"""One life: a job from its plan to its end, with everything that can happen on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Any

import anyio

from backfill.core.errors import BackfillError, BusyError, LedgerError
from backfill.core.model import StopKind
from backfill.core.secret import Secret
from backfill.deliver import Snapshot, StopRequest
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from backfill.jobs.status import Status
from tests.simulation.clock import Clock, VirtualLoop
from tests.simulation.disk import Disk
from tests.simulation.findings import DeathError, Finding
from tests.simulation.job import make
from tests.simulation.pace_check import PaceCheck
from tests.simulation.people import People
from tests.simulation.plan import Plan
from tests.simulation.server import CREDENTIAL, Network
from tests.simulation.system import simulated
from tests.simulation.witness import Call, Quiet, Witness, counts_of

__all__ = ["Life", "Summary", "live"]

_STALLED = 2000.0  # seconds without a step after which nothing will come any more
_CALM_RUNS = 4  # within which everything settles once the world is calm


@dataclass(frozen=True)
class Summary:
    """A life that ended well: what it came to, and the hash of all that happened."""

    digest: str
    marks: Counter[str]
    runs: int
    records: Counter[str]
    seconds: float  # of virtual time


def live(plan: Plan, place: Path, tell: Callable[[str], None] | None = None) -> Summary:
    """Live a life in a directory of its own. Raises Finding."""
    life = Life(plan, place, tell)
    with simulated(life.clock, life.disk, life.in_thread):
        return life.play()


class Life:
    """The state of one life, and the boundaries at which its fate is decided."""

    def __init__(self, plan: Plan, place: Path, tell: Callable[[str], None] | None) -> None:
        self.plan = plan
        self.clock = Clock()
        self.disk = Disk(self)
        self.dead = False
        self.running = False
        self.halt = StopRequest()
        self.runs = 0
        self.marks: Counter[str] = Counter()
        self._told = tell
        self._digest = hashlib.blake2b(digest_size=16)
        self._place = place
        self._lives = 0  # directories that were used up by deaths
        self.disk.place = place / "0.job"
        self.manifest, keys = make(plan, self.disk.place)
        starts = [0]
        for bucket in self.manifest.buckets:
            starts.append(starts[-1] + bucket.rows)
        once = plan.guarantee == "at-most-once"
        self.witness = Witness(keys, starts, at_most_once=once, marks=self.marks)
        self.network = Network(plan, self.clock, self.witness, step=self.step, tell=self.tell)
        self.network.asked = self._quiet
        self.pace = PaceCheck(self.witness, self.clock.now, None, 1024)
        self.people = People(self)
        self.chance = plan.stream("machine")
        self._steps = 0
        self._death_at = 0
        self._freeze_at = 0
        self._progress = self.clock.now
        self._log_size = 0
        self._entered = False  # the process at hand has opened the ledger to write to it
        self._disk_broken: str | None = None
        self._delay = self.chance.choice((0.0, 0.0005, 0.002, 0.01))
        self.disk_suffered = False

    def has(self, fault: str) -> bool:
        """Whether this life knows a fault, at this moment."""
        return fault in self.plan.faults and not self.network.calm

    def tell(self, *event: object) -> None:
        """Something happened."""
        words = f"{self.clock.now - 1000:.6f} {' '.join(map(str, event))}"
        words = words.replace(str(self._place), "")
        self._digest.update(words.encode())
        if self._told is not None:
            self._told(words)

    def job(self) -> Job:
        """The job as a process finds it."""
        job = Job(self.disk.place, self.manifest, unchanged=True)
        rng = self.plan.stream(f"jitter {self.runs}")
        job.surroundings = Surroundings(self.network, rng, self.clock.wall, shared=False)
        return job

    # --- from beginning to end ---------------------------------------------------------------

    def play(self) -> Summary:
        """All runs until nothing is pending. Raises Finding."""
        self.tell("plan", self.plan)
        for _ in range(self.plan.most_runs):
            self._run(self.people.settings())
            self.guarded(self.people.between_runs)
            self._wait(self.chance.choice((0.0, 0.1, 3.0, 100.0, 1000.0)))
        self.network.calm = True
        self._disk_broken = None
        calm = {"rate": 500, "max_errors": "100%", "max_wait": 1000, "timeout": 1000}
        for _ in range(_CALM_RUNS):
            self._wait(5000.0)
            self.people.calm()
            status = self._run(calm)
            if status is not None and not status.books.pending:
                break
        else:
            left = self.witness.counts()
            raise Finding("pending records that nothing settles", str(dict(left)))
        self.people.look()
        self.people.end()
        self._nothing_leaks()
        self.tell("end", sorted(self.witness.counts().items()))
        return Summary(
            self._digest.hexdigest(),
            self.marks,
            self.runs,
            self.witness.counts(),
            self.clock.now - 1000,
        )

    def _wait(self, seconds: float) -> None:
        """Let time pass while no run goes on."""
        self.guarded(lambda: self.clock.advance(self.clock.now + seconds))

    def guarded(self, action: Callable[[], None]) -> None:
        """Do something that a death may interrupt."""
        try:
            action()
        except DeathError:
            pass
        finally:
            self._after()

    def _run(self, changes: dict[str, Any]) -> Status | None:
        """One run of the program. None where it did not come to its end."""
        self.runs += 1
        self.tell("run", self.runs, sorted(changes.items()))
        self._arm()
        guarantee = changes.get("guarantee", self.plan.guarantee)
        self.witness.resends = guarantee == "at-least-once"
        once = self.plan.guarantee == "at-most-once"
        self.witness.at_most_once = once and self.witness.only_once
        self.halt = StopRequest()
        job = self.job()
        settings = job.settings(changes)
        self.pace = PaceCheck(self.witness, self.clock.now, settings.rate, settings.concurrency)
        self.people.run_begins(self.pace)
        self._entered = False
        self._progress = self.clock.now
        loop = VirtualLoop(self.clock, self._idle)
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        secret = Secret(CREDENTIAL)
        task = loop.create_task(job._watched(self._observe, self.halt, secret, changes))
        self.running = True
        status = None
        try:
            status = loop.run_until_complete(task)
        except Finding:
            raise
        except LedgerError as error:
            self.tell("fails", error)
            if not self.disk_suffered and not self.dead:
                raise Finding("a run failed without a reason", str(error)) from error
        except BaseException as error:
            if self.witness.first is not None:
                raise self.witness.first from None
            if not self.dead:
                raise Finding("a run raised", "".join(format_exception(error))) from error
        finally:
            self.running = False
            self._clear(loop, task)
        if faults and not self.dead and self.witness.first is None:
            raise Finding("unhandled in the loop", str(faults[0]))
        if status is not None and self.witness.first is None:
            self._ended(status)
        self._after()
        return status

    def _clear(self, loop: VirtualLoop, task: asyncio.Task[Any]) -> None:
        """Bring what is left of a process to its end, which nobody sees."""
        if not task.done():
            self.dead = True
            for _ in range(3):
                task.cancel()
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(task)
                if task.done():
                    break
        loop.close()

    def _after(self) -> None:
        """The process is gone, in whichever way."""
        if self.witness.first is not None:
            raise self.witness.first
        for call in list(self.witness.calls):
            self.witness.silent(call)
        self.witness.decision = None
        self.dead = False
        flying = {n for n, each in enumerate(self.witness.book) if each.in_flight}
        self.witness.quiets = [
            each
            for each in self.witness.quiets
            if each.durable or not flying.intersection(each.numbers)
        ]

    def _ended(self, status: Status) -> None:
        """A run says how it ended."""
        self.tell("ended", status.phase, status.stop, sorted(status.books.as_dict().items()))
        self.compare(status, running=False)
        if status.stop is None and status.books.pending:
            raise Finding("a run ended early without a reason")
        # A wait that a clock set back has made longer may outlast the calm before the run.
        if self.network.calm and status.stop is not None and status.stop.come_back_at is None:
            raise Finding("a run stopped in a calm world", str(status.stop))

    def compare(self, status: Status, *, running: bool) -> None:
        """The books against what the ledger was seen to hold."""
        if not status.books.balanced or status.books.input != self.plan.records:
            raise self.witness.found("the books do not balance", str(status))
        own = running and self._entered and not self.witness.lost
        said = {name: n for name, n in status.books.as_dict().items() if n and name != "input"}
        books = [self.witness.book, *([self.witness.before] if self.witness.torn else [])]
        counted = [counts_of(book, in_flight="pending" if own else "unknown") for book in books]
        if said not in counted:
            raise self.witness.found("the books are not what was written", f"{said}, {counted}")

    def _nothing_leaks(self) -> None:
        secret = CREDENTIAL.encode()
        for path in self.disk.place.rglob("*"):
            if path.is_file() and secret in path.read_bytes():
                raise Finding("the credential was written", path.name)

    # --- boundaries --------------------------------------------------------------------------

    def _arm(self) -> None:
        """Decide when this process dies or freezes, counted in steps from now."""
        self._steps = 0
        chance = self.chance
        dies = self.has("death") and chance.random() < 0.6
        self._death_at = int(2 ** chance.uniform(0, 9)) if dies else 0
        freezes = self.has("freeze") and chance.random() < 0.4
        self._freeze_at = int(2 ** chance.uniform(0, 9)) if freezes else 0
        self._disk_broken = None
        if self.has("disk_full") or self.has("disk_error"):
            self.clock.after(2 ** chance.uniform(-9, 5), self._break_disk)

    def _break_disk(self) -> None:
        if self.network.calm:
            return
        kinds = [each for each in ("full", "error") if self.has(f"disk_{each}")]
        self._disk_broken = self.chance.choice(kinds)
        self.tell("the disk is broken", self._disk_broken)
        self.clock.after(2 ** self.chance.uniform(-6, 3), self._mend_disk)

    def _mend_disk(self) -> None:
        self._disk_broken = None

    def disk_fault(self, name: str) -> str | None:
        fault = self._disk_broken
        if fault is None or self.chance.random() < 0.3 or (name == "read" and fault == "full"):
            return None
        self.disk_suffered = True
        self.marks[f"disk {fault} at {name}"] += 1
        self.tell("disk", fault, name)
        return fault

    def step(self, name: str) -> None:
        """A boundary is crossed; here the machine may die."""
        if self.dead:
            raise DeathError
        self._steps += 1
        self._progress = self.clock.now
        if name == "commit":
            self._log_size = self._size_of_log(self.disk.place)
        if name == "leave":
            self.pace.leaves(self.clock.now)
        if self._steps == self._freeze_at:
            seconds = self.chance.choice((1, 40, 1000))
            self.tell("freezes", seconds)
            self.marks[f"frozen at {name}"] += 1
            self.clock.advance(self.clock.now + seconds)
            self.pace.freeze(self.clock.now)
        if self._steps == self._death_at:
            self._die(name)

    def _die(self, name: str) -> None:
        power = self.has("power") and self.chance.random() < 0.5
        self.tell("dies", name, "without power" if power else "")
        self.marks[f"died at {name}"] += 1
        if self.witness.lost:
            self.marks["died while recovering"] += 1
        self._lives += 1
        old, new = self.disk.place, self._place / f"{self._lives}.job"
        self.disk.copy_to(new, power_lost=power)
        size = self._size_of_log(new)
        if power and name == "committed" and size > self._log_size:
            with (new / "ledger.sqlite-wal").open("r+b") as log:
                log.truncate(self.chance.randint(self._log_size, size))
            self.witness.torn = True
            flying = {n for n, each in enumerate(self.witness.before) if each.in_flight}
            for quiet in self.witness.quiets:
                quiet.durable &= not flying.intersection(quiet.numbers)
        self.dead = True
        self.network.client_dies()
        self.disk.place = new
        self.clock.after(0, partial(shutil.rmtree, old, ignore_errors=True))
        raise DeathError

    def _size_of_log(self, place: Path) -> int:
        log = place / "ledger.sqlite-wal"
        return log.stat().st_size if log.exists() else 0

    def committed(self, connection: sqlite3.Connection, *, changed: bool, synced: bool) -> None:
        if self.dead:
            return
        if changed and not synced:
            raise self.witness.found("a commit is not synced to the disk")
        if changed:
            self.witness.committed(connection)
            self.tell("writes", sorted(self.witness.counts().items()))

    def opened(self, connection: sqlite3.Connection) -> None:
        self._entered = True
        self.witness.opened(connection)
        self._quiets_of_the_file()

    async def in_thread(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What a thread would do, later and at once."""
        limiter = options.get("limiter")
        async with limiter or contextlib.AsyncExitStack():
            delay = self._delay * self.chance.uniform(0.5, 1.5)
            if self.has("slow_disk") and self.chance.random() < 0.05:
                delay = self.chance.choice((0.1, 1.0, 5.0))
            self.pace.delay = max(self.pace.delay, delay)
            with anyio.CancelScope(shield=True):
                await anyio.sleep(delay)
            return function(*args)

    def _idle(self) -> None:
        if self.clock.now - self._progress > _STALLED and not self.dead:
            raise self.witness.found("nothing happens any more")

    # --- who hears what ----------------------------------------------------------------------

    def _observe(self, snapshot: Snapshot) -> None:
        """A run tells how far it is: never more than is written down."""
        counts = self.witness.counts()
        for state in ("delivered", "failed", "unknown"):
            if getattr(snapshot, state) > counts[state] and not self.dead:
                raise self.witness.found("counted before it was written down", state)

    def _quiet(self, seconds: float, call: Call) -> None:
        """The client has heard that it is to wait."""
        now, wall = self.clock.now, self.clock.wall()
        self.witness.quiets.append(Quiet(now + seconds, wall + seconds, wall, call.numbers))

    def _quiets_of_the_file(self) -> None:
        """What a new process can know of the waits before it: the wall clock may have jumped."""
        now, wall = self.clock.now, self.clock.wall()
        for quiet in self.witness.quiets:
            if quiet.asked_wall > wall:  # the clock was set back: no longer than was asked for
                quiet.until_wall -= quiet.asked_wall - wall
                quiet.asked_wall = wall
            quiet.until = now + quiet.until_wall - wall
            self.marks["opened within a quiet period"] += quiet.until > now

    def halted(self, kind: StopKind) -> None:
        """Somebody stops the run that goes on."""
        if self.running:
            self.tell("halt", kind)
            self.halt.request(kind)

    def expects(self, error: BackfillError) -> None:
        """A refusal that a person meets; only these are right."""
        busy = isinstance(error, BusyError) and (self.running or self.people.busy > 0)
        if not busy and not (isinstance(error, LedgerError) and self.disk_suffered):
            raise self.witness.found("a decision failed", f"{type(error).__name__}: {error}")
        self.tell("refused", type(error).__name__)
