"""Those who run a job, look on, and decide: the settings, and what is said at random moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backfill.core.errors import BackfillError, JobError
from backfill.core.model import StopKind
from backfill.jobdir.pace_file import read_pace

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.pace_check import PaceCheck

__all__ = ["People"]


class People:
    """The people of a life."""

    def __init__(self, life: Life) -> None:
        self.busy = 0  # decisions that are being carried out
        self._life = life
        self._chance = life.plan.stream("people")

    def settings(self) -> dict[str, Any]:
        """How the next run is started."""
        life, chance = self._life, self._chance
        found: dict[str, Any] = {
            "rate": chance.choice(("auto", 2, 20, 200, 1000)),
            "concurrency": chance.choice((1, 2, 8, 64)),
            "timeout": chance.choice((0.2, 1, 30)),
            "max_wait": chance.choice((0, 5, 100)),
            "patience": chance.choice((1, 10, 30)),
            "max_errors": chance.choice(("100%", "100%", "1%", 3)),
        }
        if life.has("limits") and chance.random() < 0.5:
            found["limit"] = chance.randint(1, 2 * life.plan.records)
        if life.has("limits") and chance.random() < 0.3:
            found["max_duration"] = chance.choice((0.1, 1, 10))
        if life.has("guarantee") and chance.random() < 0.3:
            found["guarantee"] = chance.choice(("at-most-once", "at-least-once"))
            if found["guarantee"] != life.plan.guarantee:
                life.witness.mixed()
        return found

    def run_begins(self, pace: PaceCheck) -> None:
        """Put what people do beside this run into the agenda."""
        life, chance, clock = self._life, self._chance, self._life.clock
        said = read_pace(life.disk.place)
        pace.pause(clock.now, paused=said.paused)

        def soon() -> float:
            return float(2 ** chance.uniform(-8, 5))

        if life.has("look"):
            for _ in range(chance.randint(0, 3)):
                clock.after(soon(), self.look)
        if life.has("decide") and chance.random() < 0.5:
            clock.after(soon(), self._decide)
        if life.has("pace") and chance.random() < 0.6:
            clock.after(soon(), self._say_pace)
        if life.has("halt") and chance.random() < 0.4:
            kind = chance.choice((StopKind.INTERRUPTED, StopKind.TERMINATED))
            clock.after(soon(), lambda: life.halted(kind))
        if life.has("clock_jump") and chance.random() < 0.5:
            clock.after(soon(), self._jump)

    def between_runs(self) -> None:
        """What is done while no run goes on."""
        life, chance = self._life, self._chance
        if life.has("look"):
            self.look()
        if life.has("decide") and chance.random() < 0.5:
            self._decide()
        if life.has("clock_jump") and chance.random() < 0.3:
            self._jump()

    def calm(self) -> None:
        """Take back what was said for a while."""
        place = self._life.disk.place
        if read_pace(place).paused:
            self._life.job().pace(paused=False)
        if read_pace(place).rate is not None:
            self._life.job().pace(rate="500/s", concurrency=64)

    def end(self) -> None:
        """Abandon the job, after which nothing more is sent of it."""
        life = self._life
        if "abandon" not in life.plan.faults:
            return
        job = life.job()
        status = job.abandon()
        life.compare(status, running=False)
        try:
            job.retry()
        except JobError:
            life.marks["an abandoned job refuses to go on"] += 1
        else:
            raise life.witness.found("an abandoned job can be retried")

    def look(self) -> None:
        """Somebody looks at the books."""
        life = self._life
        if life.dead:
            return
        before = list(life.witness.book)
        try:
            status = life.job().status()
        except BackfillError as error:
            raise life.witness.found("looking failed", str(error)) from error
        life.compare(status, running=life.running)
        if life.witness.book != before:
            raise life.witness.found("looking changed the ledger")
        life.marks["looked beside a run" if life.running else "looked between runs"] += 1

    def _decide(self) -> None:
        life, chance = self._life, self._chance
        if life.dead:
            return
        decision = chance.choice(("retry", "resend", "delivered", "failed"))
        life.tell("decides", decision)
        job = life.job()
        if not life.running and not self.busy:
            life.witness.decision = decision
        torn, before = life.witness.torn, list(life.witness.book)
        self.busy += 1
        try:
            count = job.retry() if decision == "retry" else job.resolve(decision)  # type: ignore[arg-type]
        except BackfillError as error:
            life.expects(error)
            return
        finally:
            self.busy -= 1
            life.pace.freeze(life.clock.now)  # waiting for the lock took time
            if not self.busy:
                life.witness.decision = None
        if life.running:
            raise life.witness.found("a decision beside a run")
        source = "failed" if decision == "retry" else "unknown"
        expected = sum(
            each.state == source or (each.in_flight and source == "unknown") for each in before
        )
        if int(count) != expected and not torn:
            raise life.witness.found("a decision moved others", f"{count}, not {expected}")
        life.marks[f"decided {decision}"] += count > 0

    def _say_pace(self) -> None:
        life, chance, clock = self._life, self._chance, self._life.clock
        if life.dead:
            return
        job = life.job()
        if chance.random() < 0.4:
            job.pace(paused=True)
            life.pace.pause(clock.now, paused=True)
            life.tell("pause")
            clock.after(chance.choice((0.1, 2, 30)), self._go_on)
            return
        rate, concurrency = chance.choice((2, 20, 500)), chance.choice((1, 4, 64))
        job.pace(rate=rate, concurrency=concurrency)
        life.pace.change(clock.now, rate, concurrency)
        life.tell("pace", rate, concurrency)

    def _go_on(self) -> None:
        life = self._life
        life.job().pace(paused=False)
        life.pace.pause(life.clock.now, paused=False)
        life.tell("go on")

    def _jump(self) -> None:
        if self._life.network.calm:
            return
        seconds = self._chance.choice((-3600.0, -5.0, 5.0, 3600.0))
        self._life.clock.offset += seconds
        self._life.tell("the clock jumps", seconds)
