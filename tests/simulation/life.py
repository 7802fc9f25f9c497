"""One life: a job from its plan to its end, with everything that can happen on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import Any

from backfill.core.errors import JobError, LedgerError
from backfill.core.model import StopKind
from backfill.core.secret import Secret
from backfill.deliver import Snapshot, StopRequest
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from backfill.jobs.status import Status
from tests.promises import Finding
from tests.simulation.checks.pace_check import PaceCheck
from tests.simulation.checks.standings import counts_of
from tests.simulation.checks.witness import Call, Witness
from tests.simulation.plan import Plan
from tests.simulation.world.clock import Clock, VirtualLoop
from tests.simulation.world.death import DeathError
from tests.simulation.world.job import make
from tests.simulation.world.machine import Machine
from tests.simulation.world.people import People
from tests.simulation.world.server import CREDENTIAL, Network
from tests.simulation.world.system import simulated

__all__ = ["Life", "Summary", "live"]

_STALLED = 2000.0  # seconds without a step after which nothing will come any more
_BETWEEN = (0.0, 0.0, 0.1, 1.0, 3.0, 100.0, 1000.0)  # seconds from one run to the next
_REST = 5000.0  # seconds after which no wait is left that a server asked for
_CALM_RUNS = 4  # within which everything settles once the world is calm
_CALM = {"rate": 500, "max_errors": "100%", "max_wait": 1000, "timeout": 1000}


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
    with simulated(life.clock, life.machine.disk, life.simulated_job, life.machine.in_thread):
        return life.play()


class Life:
    """The state of one life: a machine, a server and people around one job."""

    def __init__(self, plan: Plan, place: Path, tell: Callable[[str], None] | None) -> None:
        self.plan = plan
        self.clock = Clock()
        self.running = False
        self.halt = StopRequest()
        self.runs = 0
        self.abandoned = False
        self.marks: Counter[str] = Counter()
        self._told = tell
        self._digest = hashlib.blake2b(digest_size=16)
        self._root = str(place)
        self.simulated_job = make(plan, place / "0.job")
        starts = [0]
        for bucket in self.simulated_job.manifest.buckets:
            starts.append(starts[-1] + bucket.rows)
        once = plan.guarantee == "at-most-once"
        self.witness = Witness(self.simulated_job.keys, starts, at_most_once=once, marks=self.marks)
        self.machine = Machine(plan, self.clock, self.witness, place, self.tell)
        self.network = Network(
            plan, self.clock, self.witness, step=self.machine.step, tell=self.tell
        )
        self.network.asked = self._asked
        self.machine.died = self.network.client_dies
        self.people = People(self)
        self._chance = plan.stream("life")

    @property
    def directory(self) -> Path:
        """The job's directory, as the last death has left it."""
        return self.machine.disk.place

    def has(self, fault: str) -> bool:
        """Whether this life knows a fault, at this moment."""
        return self.machine.has(fault)

    def tell(self, *event: object) -> None:
        """Something happened."""
        words = f"{self.clock.now - 1000:.6f} {' '.join(map(str, event))}"
        if self._root in words:
            words = words.replace(self._root, "")
        self._digest.update(words.encode())
        if self._told is not None:
            self._told(words)

    def job(self) -> Job:
        """The job as a process finds it."""
        job = Job(self.directory, self.simulated_job.manifest, unchanged=True)
        rng = self.plan.stream(f"jitter {self.runs}")
        job.surroundings = Surroundings(self.network, rng, self.clock.wall, shared=False)
        return job

    # --- from beginning to end ---------------------------------------------------------------

    def play(self) -> Summary:
        """All runs until nothing is pending. Raises Finding."""
        self.tell("plan", self.plan)
        for _ in range(self.plan.most_runs):
            self._run(self.people.settings())
            self._guarded(self.people.between_runs)
            if self.witness.is_settled() or self.abandoned:
                break
            self._wait(self._chance.choice(_BETWEEN))
        self.network.calm = self.machine.calm = True
        self.machine.mend()
        calm_runs = 0
        while not (self.witness.is_settled() or (self.abandoned and calm_runs)):
            if calm_runs == _CALM_RUNS:
                raise Finding("pending records that nothing settles", self.witness.counted())
            calm_runs += 1
            self._wait(_REST if calm_runs > 1 else self._chance.choice((0.0, 1.0, _REST)))
            self.people.calm()
            self._run(_CALM)
        self.people.look()
        self.people.end()
        self.witness.ends()
        self._nothing_leaks()
        self.tell("end", self.witness.counted())
        return Summary(
            self._digest.hexdigest(),
            self.marks,
            self.runs,
            self.witness.counts(),
            self.clock.now - 1000,
        )

    def _wait(self, seconds: float) -> None:
        """Let time pass while no run goes on."""
        self._guarded(lambda: self.clock.advance(self.clock.now + seconds))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something that a death may interrupt."""
        try:
            action()
        except DeathError:
            pass
        finally:
            self._process_ends()

    # --- a run -------------------------------------------------------------------------------

    def _run(self, changes: dict[str, Any]) -> Status | None:
        """One run of the program. None where it did not come to its end."""
        self.runs += 1
        self.tell("run", self.runs, sorted(changes.items()))
        self.machine.arm()
        guarantee = changes.get("guarantee", self.plan.guarantee)
        self.witness.run_begins(
            resends=guarantee == "at-least-once",
            at_most_once=self.plan.guarantee == "at-most-once",
            limit=changes.get("limit"),
            only=changes.get("only"),
        )
        self.halt = StopRequest()
        job = self.job()
        settings = job.settings(changes)
        pace = PaceCheck(self.witness, self.clock.now, settings.rate, settings.concurrency)
        pace.ends_after(settings.max_duration)
        self.machine.pace = pace
        self.people.run_begins(pace)
        loop = VirtualLoop(self.clock, self._idle)
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        secret = Secret(CREDENTIAL)
        task = loop.create_task(job._run(self._observe, self.halt, secret, settings))
        status = self._carry_out(loop, task)
        if faults and not self.machine.dead and self.witness.first is None:
            raise Finding("unhandled in the loop", str(faults[0]))
        if status is not None and self.witness.first is None:
            self._ended(status)
        self._process_ends()
        return status

    def _carry_out(self, loop: VirtualLoop, task: asyncio.Task[Status]) -> Status | None:
        """Bring a run to its end; what it raised must have had a reason."""
        self.running = True
        try:
            return loop.run_until_complete(task)
        except Finding:
            raise
        except LedgerError as error:
            self.tell("fails", error)
            if self.witness.first is not None:  # which the run took for a fault of its ledger
                raise self.witness.first from None
            if not self.machine.suffered and not self.machine.dead:
                raise Finding("a run failed without a reason", str(error)) from error
        except BaseException as error:
            if self.witness.first is not None:
                raise self.witness.first from None
            refused = self.abandoned and isinstance(error, JobError)
            self.marks["an abandoned job refused to run"] += refused
            if not self.machine.dead and not refused:
                raise Finding("a run raised", "".join(format_exception(error))) from error
        finally:
            self.running = False
            self._clear(loop, task)
        return None

    def _clear(self, loop: VirtualLoop, task: asyncio.Task[Any]) -> None:
        """Bring what is left of a process to its end, which nobody sees."""
        if not task.done():
            self.machine.dead = True
            for _ in range(3):
                task.cancel()
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(task)
                if task.done():
                    break
        loop.close()

    def _process_ends(self) -> None:
        """The process is gone, in whichever way."""
        if self.witness.first is not None:
            raise self.witness.first
        self.witness.process_ends()
        self.machine.dead = False

    def _ended(self, status: Status) -> None:
        """A run says how it ended."""
        self.tell("ended", status.phase, status.stop, self.witness.counted())
        if status.stop is not None:
            self.marks[f"stopped: {status.stop.kind}"] += 1
        self.compare(status, running=False)
        if self.abandoned:
            raise Finding("an abandoned job was run")
        if status.stop is None and status.books.pending:
            raise Finding("a run ended early without a reason")
        # A wait that a clock set back has made longer may outlast the calm before the run.
        if self.machine.calm and status.stop is not None and status.stop.come_back_at is None:
            raise Finding("a run stopped in a calm world", str(status.stop))

    def compare(self, status: Status, *, running: bool) -> None:
        """The books against what the ledger was seen to hold."""
        if not status.books.balanced or status.books.input != self.plan.records:
            raise self.witness.found("the books do not balance", str(status))
        own = running and self.machine.entered and not self.witness.lost
        said = {name: n for name, n in status.books.as_dict().items() if n and name != "input"}
        books = [self.witness.book, *([self.witness.before] if self.witness.torn else [])]
        counted = [counts_of(book, in_flight="pending" if own else "unknown") for book in books]
        if said not in counted:
            raise self.witness.found("the books are not what was written", f"{said}, {counted}")
        if (sent := status.requests.sent) < self.witness.left:
            raise self.witness.found("requests are not counted", f"{sent} of {self.witness.left}")

    def _nothing_leaks(self) -> None:
        secret = CREDENTIAL.encode()
        for path in self.directory.rglob("*"):
            if path.is_file() and secret in path.read_bytes():
                raise Finding("the credential was written", path.name)

    # --- who hears what ----------------------------------------------------------------------

    def _idle(self) -> None:
        if self.clock.now - self.machine.progress > _STALLED and not self.machine.dead:
            raise self.witness.found("nothing happens any more")

    def _observe(self, snapshot: Snapshot) -> None:
        """A run tells how far it is, never more than is written down, and how fast it goes."""
        self.witness.waits.hold()
        if not self.machine.dead:
            self.machine.pace.told(self.clock.now, snapshot.limit, paused=snapshot.paused)
        counts = self.witness.counts()
        for state in ("delivered", "failed", "unknown"):
            if getattr(snapshot, state) > counts[state] and not self.machine.dead:
                raise self.witness.found("counted before it was written down", state)

    def _asked(self, seconds: float, call: Call) -> None:
        """The client has heard that it is to wait; what a wait survives is worth a try."""
        self.marks["asked to wait"] += 1
        self.witness.waits.hear(self.clock.now, self.clock.wall(), seconds, call.numbers)
        self.machine.die_soon(0.3)
        if self._chance.random() < self.machine.jumps_in_a_wait:
            most = min(seconds, self._chance.choice((5, 5000)))
            self.clock.after(self._chance.uniform(0, most), self.machine.jump)

    def halted(self, kind: StopKind) -> None:
        """Somebody stops the run that goes on."""
        if self.running and not self.machine.calm:
            self.tell("halt", kind)
            self.halt.request(kind)
