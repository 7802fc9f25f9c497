"""One life of a job that several deliverers share, from its plan to its end."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Any

# Before a life begins: a library that is imported in one would find its threads and locks.
import backfill.deliver.delivery  # noqa: F401
from backfill.core.errors import BackfillError, BusyError
from backfill.core.job_files import LEDGER
from backfill.core.secret import Secret
from backfill.deliver import Snapshot, StopRequest
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import fingerprint
from backfill.jobs.audit import BOUND_TO
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from backfill.jobs.status import Status
from tests.promises import Finding
from tests.simulation.life import Summary
from tests.simulation.several.connection import Server, Session
from tests.simulation.several.database import Answered, Database
from tests.simulation.several.fates import LifeFates
from tests.simulation.several.fibers import World
from tests.simulation.several.hand_overs import HandOvers
from tests.simulation.several.line import Line
from tests.simulation.several.marks import SEVERAL
from tests.simulation.several.people import SharedPeople
from tests.simulation.several.plan import SharedPlan
from tests.simulation.several.process import Process
from tests.simulation.several.rules import Rules
from tests.simulation.several.system import simulated
from tests.simulation.several.witness import SharedWitness
from tests.simulation.world.death import DeathError
from tests.simulation.world.job import make
from tests.simulation.world.server import CREDENTIAL, Network

__all__ = ["SharedLife", "live_shared"]

_CHANGES = ("write_down", "take", "resend_lost", "decide_chosen", "decide")
_STALLED = 200.0  # seconds without a step after which nothing will come any more
_CALM = {"rate": 500, "max_errors": "100%", "max_wait": 1000}
_REST = 20_000.0  # seconds after which no wait is left, also for a clock that is hours behind
_HOUR = 3600.0


def live_shared(
    plan: SharedPlan, place: Path, tell: Callable[[str], None] | None = None
) -> Summary:
    """Live a life in a directory of its own. Raises Finding."""
    life = SharedLife(plan, place, Database.at(plan.database), tell)
    try:
        with simulated(life.world, life.server, life.simulated_job, plan.stream("names")):
            return life.play()
    finally:
        life.close()


class SharedLife:
    """The state of one life: processes, a database, a server and people around one job."""

    def __init__(
        self,
        plan: SharedPlan,
        place: Path,
        database: Database,
        tell: Callable[[str], None] | None,
    ) -> None:
        self.plan = plan
        self.world = World()
        self.marks: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.begun = 0
        self.to_begin = 0
        self.decisions = 0  # that are being carried out
        self.directory = place / "shared.job"
        self.progress = self.world.now
        self._told = tell
        self._digest = hashlib.blake2b(digest_size=16)
        self._root = str(place)
        self._chance = plan.stream("life")
        self.simulated_job = make(plan, self.directory)
        self._share(database)
        self.witness = self._witness()
        self.fates = LifeFates(plan, self.world, self.marks, self.tell)
        self.server = Server(database, self.world, self.fates)
        self.server.watch = self._watch
        database.reset(self.server.moment)
        database.remember({BOUND_TO: fingerprint(self.directory)})
        self.network = Network(
            plan,
            self.world,  # type: ignore[arg-type]
            self.witness,  # type: ignore[arg-type]
            step=lambda name: None,
            tell=self.tell,
        )
        self.rules = Rules(plan, self.world, self.witness, self.fates)
        self.hand_overs = HandOvers(self.marks, self.witness.pending_in)
        self.server.heard, self.server.noticed = self.rules.answered, self.rules.noticed
        self.server.cut_off = self.rules.cut_off
        self.people = SharedPeople(self)

    def _share(self, database: Database) -> None:
        """Make the job one whose ledger is in a database."""
        for path in self.directory.glob(f"{LEDGER}*"):
            path.unlink()
        place = LedgerPlace(database.address, database.schema, self.plan.lease, self.plan.hold)
        place.write(self.directory)

    def _witness(self) -> SharedWitness:
        starts, lanes = [0], []
        for number, bucket in enumerate(self.simulated_job.manifest.buckets):
            starts.append(starts[-1] + bucket.rows)
            for lane, length in enumerate(bucket.lanes):
                lanes += [(number, lane)] * length
        return SharedWitness(
            self.simulated_job.keys,
            starts,
            lanes,
            lambda: self.world.now,
            at_most_once=self.plan.guarantee == "at-most-once",
            lease=self.plan.lease,
            hold=self.plan.hold,
            marks=self.marks,
            resends=self.plan.guarantee == "at-least-once",
        )

    def close(self) -> None:
        """End whatever is left of it."""
        self.world.close()
        self.server.close()

    def tell(self, *event: object) -> None:
        """Something happened."""
        words = f"{self.world.elapsed:.6f} {' '.join(map(str, event))}".replace(self._root, "")
        self._digest.update(words.encode())
        if self._told is not None:
            self._told(words)

    def job(self, line: Line | None = None, name: str = "") -> Job:
        """The job as a process finds it."""
        job = Job(self.directory, self.simulated_job.manifest, unchanged=True)
        rng = self.plan.stream(f"jitter {name}")
        job.surroundings = Surroundings(line, rng, time.time, shared=False)
        return job

    def process(self, name: str) -> Process:
        """A process on a machine of its own."""
        chance, apart = self._chance, 0.0
        if self.fates.has("clocks"):
            apart = chance.choice((-2 * _HOUR, -30.0, 0.0, 30.0, 2 * _HOUR))
        found = Process(
            name,
            self.world,
            apart=apart,
            begin=float(chance.randrange(50_000)),
            crosses=self.fates.crosses,
            delay=self.fates.in_thread,
        )
        self.processes.append(found)
        return found

    # --- from beginning to end ---------------------------------------------------------------

    def play(self) -> Summary:
        """All runs until nothing is pending. Raises Finding."""
        self.tell("plan", self.plan)
        for number in range(self.plan.deliverers + self.plan.more):
            late = number >= self.plan.deliverers
            self.begin_after(self._chance.choice((0.0, 0.0, 0.1, 1.0, 3.0)) + 4 * late * number)
        self.people.begin()
        self._strikes()
        self._until_over()
        self.people.between_runs()
        self._calm()
        self.witness.ends()
        self._nothing_leaks()
        self.tell("end", self.witness.counted())
        return Summary(
            self._digest.hexdigest(),
            Counter({f"{SEVERAL}: {mark}": count for mark, count in self.marks.items()}),
            self.begun,
            self.witness.counts(),
            self.world.elapsed,
        )

    def _strikes(self) -> None:
        """What befalls the database, at moments of chance."""
        for fault, strike in (("restart", self.fates.strike), ("cut", self.fates.cut)):
            if self.fates.has(fault):
                for _ in range(self._chance.choice((1, 2))):
                    self.world.after(2 ** self._chance.uniform(-6, 4), partial(strike, self.server))

    def _calm(self) -> None:
        """Nothing goes wrong any more, but that all deliverers but one die."""
        self.fates.calm = self.network.calm = True
        self.world.sleep(_REST)
        self.people.calm()
        last = self._chance.randrange(self.plan.deliverers)
        for number in range(self.plan.deliverers):
            process = self._deliverer(dict(_CALM))
            if number != last:
                self.fates.die_soon(process)
        finisher = self.processes[last - self.plan.deliverers]
        self._until_over()
        if not isinstance(finisher.result, Status) or finisher.result.stop is not None:
            told = finisher.error or getattr(finisher.result, "stop", None)
            raise Finding("the last one did not finish", f"{finisher.name}: {told}")
        if not self.witness.is_settled():
            raise Finding("pending records that nothing settles", self.witness.counted())
        self.people.look()
        look = self.processes[-1]  # whom nothing befalls any more
        seen = look.result
        if not isinstance(seen, Status):
            raise Finding("the last look failed", f"{look.name}: {look.error}")
        if seen.requests.sent < self.witness.left:
            counted = f"{seen.requests.sent} of {self.witness.left}"
            raise Finding("requests are not counted", counted)

    def _until_over(self) -> None:
        """Let time pass until no process is left."""
        while self.to_begin or any(not each.ended for each in self.processes):
            self.world.wait(self.world.now + _STALLED)
            if self.witness.first is not None:
                raise self.witness.first
            if self.world.now - self.progress > _STALLED:
                raise Finding("nothing happens any more", self.witness.counted())

    # --- a deliverer -------------------------------------------------------------------------

    def begin_after(self, seconds: float, settings: dict[str, Any] | None = None) -> None:
        self.to_begin += 1

        def begin() -> None:
            self.to_begin -= 1
            self.world.wake(self.world.main)
            if self.witness.is_settled() and self.begun >= self.plan.deliverers:
                return
            running = any(not each.ended for each in self.processes)
            self.marks["one joined late"] += running and seconds > 1
            self.fates.arm(self._deliverer(settings or self.people.settings()))

        self.world.after(seconds, begin)

    def _deliverer(self, changes: dict[str, Any]) -> Process:
        """One run of the program, beside others."""
        self.begun += 1
        process = self.process(f"D{self.begun}")
        self.tell(process.name, "begins", sorted(changes.items()))
        self.progress = self.world.now
        halt = StopRequest()
        line = Line(
            self.network,
            process,
            world=self.world,
            witness=self.witness,
            rules=self.rules,
            connecting=self.fates.connecting,
            tell=self.tell,
        )
        job = self.job(line, process.name)
        secret = Secret(CREDENTIAL)
        process.at_end = partial(self._ended, process, changes)
        self.people.run_begins(process, halt)

        async def main() -> Status:
            observe = partial(self._observe, process)
            return await job._run(observe, halt, secret, job.settings(changes))

        process.begin(main)
        return process

    def _observe(self, process: Process, snapshot: Snapshot) -> None:
        lost = process in self.rules.losers or self.marks["a take-over found requests in flight"]
        if process.dead or lost:
            return  # one that lost a bucket counts what was left out there, until it begins anew
        counts = self.witness.counts()
        for state in ("delivered", "failed"):  # unknown ones may be sent again meanwhile
            if getattr(snapshot, state) > counts[state] and not self.people.decided:
                raise self.witness.found("counted before it was written down", state)

    def _ended(self, process: Process, changes: dict[str, Any]) -> None:
        """A process is gone, in whichever way."""
        self.world.wake(self.world.main)
        self.progress = self.world.now
        self.witness.dies(process)
        self._drop_requests(process)
        error, status = process.error, process.result
        if isinstance(error, DeathError):
            self.rules.dies(process)
        if isinstance(error, Finding):
            raise error
        if self.witness.first is not None:
            raise self.witness.first
        if isinstance(error, DeathError):
            return
        if error is not None:
            self.tell(process.name, "fails", type(error).__name__, getattr(error, "message", ""))
            if not self.people.types_again(error, changes) and not self._excuses(process, error):
                raise Finding("a run failed without a reason", "".join(format_exception(error)))
            return
        if process.faults:
            raise Finding("unhandled in the loop", str(process.faults[0]))
        if isinstance(status, Status):
            self.tell(process.name, "ended", status.phase, status.stop, self.witness.counted())
            self._compare(status)

    def _excuses(self, process: Process, error: BaseException) -> bool:
        """Whether a run may fail so: no database is away for longer than a run waits for it."""
        if isinstance(error, BusyError) and (self.decisions or self.people.decided):
            return True  # somebody decides, or did while this one waited for the lock
        waits = process.joined and not process.hurries
        return isinstance(error, BackfillError) and process.suffered and not waits

    def _drop_requests(self, process: Process) -> None:
        """What is on its way arrives, or does not, and maybe later."""
        for number, (call, arrive) in list(self.network.open_calls.items()):
            if getattr(call, "by", None) is process:
                match self._chance.randrange(3):
                    case 0:
                        self.network.open_calls.pop(number, None)
                    case 1:
                        arrive()

    def _compare(self, status: Status) -> None:
        if not status.books.balanced or status.books.input != self.plan.records:
            raise self.witness.found("the books do not balance", str(status))

    # --- the ledger --------------------------------------------------------------------------

    def _watch(
        self,
        process: Process,
        session: Session,
        statement: str,
        values: Sequence[Any],
        answered: Answered,
    ) -> None:
        """A statement was carried out."""
        does = next((name for name in _CHANGES if f" {name}(" in statement), None)
        if does is not None and not (does == "take" and answered.rows[0][0] is None):  # type: ignore[index]
            seen = self.server.database.look(session.real)
            self.witness.changed(process, does, seen, answered.rows[0][0])  # type: ignore[index]
            self.progress = self.world.now
            self.tell(process.name, does, self.witness.counted())
        self.rules.carried_out(process, statement, values, answered)
        self.hand_overs.carried_out(process, statement, values, answered)

    def _nothing_leaks(self) -> None:
        secret = CREDENTIAL.encode()
        for path in self.directory.rglob("*"):
            if path.is_file() and secret in path.read_bytes():
                raise Finding("the credential was written", path.name)
