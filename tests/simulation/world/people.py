"""Those who run a job, look on, and decide: the settings, and what is said at random moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl

from backfill.core.errors import BackfillError, BusyError, JobError, LedgerError
from backfill.core.model import StopKind
from backfill.jobdir.pace_file import read_pace
from backfill.jobs.status import Phase
from tests.simulation.checks.standings import Standing
from tests.simulation.world.job import SOURCE

if TYPE_CHECKING:
    from tests.simulation.checks.pace_check import PaceCheck
    from tests.simulation.life import Life

__all__ = ["People"]

_FIELD_OF_KEY = {"pristo-events": "contact.id"}
_OF = {"retry": "failed", "resend": "unknown", "delivered": "unknown", "failed": "unknown"}


class People:
    """The people of a life."""

    def __init__(self, life: Life) -> None:
        self.busy = 0  # decisions that are being carried out
        self._life = life
        self._chance = life.plan.stream("people")

    def settings(self) -> dict[str, Any]:
        """How the next run is started."""
        life, chance = self._life, self._chance
        slow = (2, 20) if life.plan.records <= 40 else ()  # a long job would take a long life
        found: dict[str, Any] = {
            "rate": chance.choice(("auto", *slow, 200, 1000, 1000)),
            "concurrency": chance.choice((1, 2, 8, 8, 64)),
            "timeout": chance.choice((0.2, 1, 30)),
            "max_wait": chance.choice((0, 5, 100)),
            "patience": chance.choice((1, 10, 30)),
            "max_errors": chance.choice(("100%", "100%", "1%", 0, 3)),
        }
        if life.has("limits") and chance.random() < 0.5:
            found["limit"] = chance.randint(1, 2 * life.plan.records)
        if life.has("limits") and chance.random() < 0.3:
            found["max_duration"] = chance.choice((0.1, 1, 10))
        if life.has("only") and chance.random() < 0.3:
            field = _FIELD_OF_KEY.get(life.plan.destination, "target.value")
            found["only"] = {field: [chance.choice(life.witness.keys)]}
        if life.has("guarantee") and chance.random() < 0.3:
            found["guarantee"] = chance.choice(("at-most-once", "at-least-once"))
            if found["guarantee"] != life.plan.guarantee:
                life.witness.mixed()
        return found

    def run_begins(self, pace: PaceCheck) -> None:
        """Put what people do beside this run into the agenda."""
        life, chance, clock = self._life, self._chance, self._life.clock
        said = read_pace(life.directory)
        pace.pause(clock.now, paused=said.paused)

        def soon(action: Callable[[], None], most: int = 5) -> None:
            clock.after(2 ** chance.uniform(-8, most), action)

        if life.has("look"):
            for _ in range(chance.randint(0, 2)):
                soon(self.look)
        if life.has("decide") and chance.random() < 0.5:
            soon(self._decide)
        if life.has("pace") and chance.random() < 0.8:
            soon(self._say_pace, 1)
        if life.has("halt") and chance.random() < 0.4:
            kind = chance.choice((StopKind.INTERRUPTED, StopKind.TERMINATED))
            soon(lambda: life.halted(kind))
        if life.has("clock_jump") and chance.random() < 0.5:
            soon(life.machine.jump)

    def between_runs(self) -> None:
        """What is done while no run goes on."""
        life, chance = self._life, self._chance
        if life.has("look") and chance.random() < 0.4:
            self.look()
        if life.has("decide"):
            for _ in range(chance.choice((0, 1, 1, 2))):
                self._decide()
        if life.has("pace") and chance.random() < 0.3:
            self._say_pace()
        if life.has("abandon") and chance.random() < 0.15:
            self._abandon()
        if life.has("clock_jump") and chance.random() < 0.3:
            life.machine.jump()

    def calm(self) -> None:
        """Take back what was said for a while."""
        life = self._life
        said = read_pace(life.directory)
        if said.paused:
            life.job().pace(go_on=True)
        if said.rate is not None:
            life.job().pace(rate="500/s", concurrency=64)

    def end(self) -> None:
        """Abandon the job, after which nothing more is sent of it."""
        life = self._life
        if "abandon" not in life.plan.faults or self._chance.random() < 0.5:
            return
        self._abandon()
        try:
            life.job().retry()
        except JobError:
            life.marks["an abandoned job refuses to go on"] += 1
        else:
            raise life.witness.found("an abandoned job can be retried")

    # --- looking -----------------------------------------------------------------------------

    def look(self) -> None:
        """Somebody looks at the books."""
        life = self._life
        if life.machine.dead:
            return
        before = life.witness.book
        try:
            status = life.job().status()
        except BackfillError as error:
            raise life.witness.found("looking failed", str(error)) from error
        life.compare(status, running=life.running)
        if life.witness.book is not before:
            raise life.witness.found("looking changed the ledger")
        life.marks["looked beside a run" if life.running else "looked between runs"] += 1

    # --- deciding ----------------------------------------------------------------------------

    def _decide(self) -> None:
        life, chance = self._life, self._chance
        if life.machine.dead:
            return
        known = life.witness.counts()
        useful = [each for each, state in _OF.items() if known[state]]
        decision = chance.choice(useful if useful and chance.random() < 0.8 else tuple(_OF))
        options, chosen = self._choice(_OF[decision])
        life.tell("decides", decision, sorted(options.items()))
        job, witness = life.job(), life.witness
        if not life.running and not self.busy:
            witness.decide(decision, chosen)
        torn, before, began = witness.torn, witness.book, life.clock.now
        self.busy += 1
        try:
            if "source" in options:
                options = {"source": _rows(options["source"])}
            if decision == "retry":
                count = job.retry(**options)
            else:
                count = job.resolve(decision, **options)  # type: ignore[arg-type]
        except BackfillError as error:
            self._expects(error)
            return
        finally:
            self.busy -= 1
            # Waiting for the lock took time.
            life.machine.pace.freeze(life.clock.now, life.clock.now - began)
            if not self.busy:
                witness.decide(None)
        if life.running:
            raise witness.found("a decision beside a run")
        source = _OF[decision]
        expected = sum(
            chosen(number, each) and (each.state or ("unknown" if each.in_flight else "")) == source
            for number, each in enumerate(before)
        )
        if int(count) != expected and not torn:
            raise witness.found("a decision moved others", f"{count}, not {expected}")
        life.marks[f"decided {decision}"] += count > 0
        life.marks["decided by a choice"] += count > 0 and bool(options)

    def _choice(self, source: str) -> tuple[dict[str, Any], Callable[[int, Standing], bool]]:
        """Which records of a state a decision is for: all, or those of a status, or some rows."""
        life, chance = self._life, self._chance
        match chance.randrange(4):
            case 0:
                status = chance.choice((400, 413, 422, 500))
                return {"status": status}, lambda _, each: each.status == status
            case 1:
                share = chance.choice((0.1, 0.5))
                numbers = [n for n in range(life.plan.records) if chance.random() < share]
                return {"source": numbers}, lambda number, _: number in numbers
        return {}, lambda number, each: True

    def _abandon(self) -> None:
        """Say that nothing more is to be sent of the job."""
        life = self._life
        life.tell("abandons")
        try:
            status = life.job().abandon()
        except BaseException as error:  # what is written down counts, whatever happened
            life.abandoned = life.job().status().phase is Phase.ABANDONED
            if not isinstance(error, BackfillError):
                raise
            self._expects(error)
            return
        life.abandoned = True
        life.compare(status, running=False)

    def _expects(self, error: BackfillError) -> None:
        """A refusal that a person meets; only these are right."""
        life = self._life
        busy = isinstance(error, BusyError) and (life.running or self.busy > 0)
        gone = life.abandoned and type(error) is JobError
        broken = isinstance(error, LedgerError) and life.machine.suffered
        if not busy and not gone and not broken:
            raise life.witness.found("a decision failed", f"{type(error).__name__}: {error}")
        life.tell("refused", type(error).__name__)

    # --- the pace ----------------------------------------------------------------------------

    def _say_pace(self) -> None:
        life, chance, clock = self._life, self._chance, self._life.clock
        if life.machine.dead:
            return
        job = life.job()
        if chance.random() < 0.4:
            job.pace(pause=True)
            life.machine.pace.pause(clock.now, paused=True)
            life.tell("pause")
            clock.after(chance.choice((0.1, 4, 30)), self._go_on)
            life.marks["paused beside a run" if life.running else "paused between runs"] += 1
            return
        rate, concurrency = chance.choice((2, 20, 500)), chance.choice((1, 4, 64))
        job.pace(rate=rate, concurrency=concurrency)
        life.machine.pace.change(clock.now, rate, concurrency)
        life.tell("pace", rate, concurrency)

    def _go_on(self) -> None:
        life = self._life
        life.job().pace(go_on=True)
        life.machine.pace.pause(life.clock.now, paused=False)
        life.tell("go on")


def _rows(numbers: list[int]) -> pl.DataFrame:
    """Records as the rows of a file that `records` wrote."""
    return pl.DataFrame(
        {"_file": [SOURCE] * len(numbers), "_row": [number + 1 for number in numbers]},
        schema={"_file": pl.String(), "_row": pl.UInt64()},
    )
