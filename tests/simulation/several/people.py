"""Those who start deliverers, look on and decide, from a machine of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from backfill.core.errors import BusyError, LedgerError
from backfill.core.model import StopKind
from backfill.deliver import StopRequest
from tests.simulation.several.plan import UNHEARD
from tests.simulation.several.process import Process

if TYPE_CHECKING:
    from tests.simulation.several.life import SharedLife

__all__ = ["SharedPeople"]

_LIMITS = frozenset({"limit", "max_duration"})
_OF = {
    "retry": ("failed", "pending"),
    "resend": ("unknown", "pending"),
    "delivered": ("unknown", "delivered"),
    "failed": ("unknown", "failed"),
}


class SharedPeople:
    """The people of a life."""

    def __init__(self, life: SharedLife) -> None:
        self.decided = False  # whether anybody ever tried to
        self._life = life
        self._chance = life.plan.stream("people")
        self._count = 0
        self._saying = False  # how fast to go
        self._usual = self._chance.randint(1, life.plan.records + 1)  # the limit of most

    def settings(self) -> dict[str, Any]:
        """How the next deliverer is started."""
        life, chance = self._life, self._chance
        found: dict[str, Any] = {
            "rate": chance.choice(("auto", 5, 20, 200)),
            "concurrency": chance.choice((1, 2, 8)),
            "timeout": life.plan.timeout,
            "max_wait": max(chance.choice((0, 3, 10, 60)), 60 * (life.plan.faults >= UNHEARD)),
            "patience": chance.choice((1, 5)),
            "max_errors": chance.choice(("100%", "100%", "1%", 3)),
        }
        if life.fates.has("limits") and chance.random() < 0.6:
            other = chance.randint(1, life.plan.records + 1)
            found["limit"] = self._usual if chance.random() < 0.8 else other
        if life.fates.has("limits") and chance.random() < 0.2:
            found["max_duration"] = chance.choice((0.5, 3))
        if life.fates.has("guarantee") and chance.random() < 0.3:
            found["guarantee"] = chance.choice(("at-most-once", "at-least-once"))
            if found["guarantee"] != life.plan.guarantee:
                life.witness.at_most_once = False
                life.witness.resends = True
        return found

    def types_again(self, error: BaseException, settings: dict[str, Any]) -> bool:
        """Whether somebody types a command again without its limits, which were refused."""
        if not isinstance(error, BusyError) or error.where not in _LIMITS & settings.keys():
            return False
        self._life.marks["a limit that the run does not have was refused"] += 1
        self._life.begin_after(1.0, {name: settings[name] for name in settings.keys() - _LIMITS})
        return True

    def begin(self) -> None:
        """Put into the agenda what people do meanwhile."""
        life, chance = self._life, self._chance
        for fault, act in (("look", self._look), ("decide", self._decide), ("pace", self._pace)):
            if life.fates.has(fault):
                for _ in range(chance.choice((1, 2))):
                    life.world.after(2 ** chance.uniform(-5, 4), act)

    def run_begins(self, process: Process, halt: StopRequest) -> None:
        """Somebody may stop it."""
        life, chance = self._life, self._chance
        if life.fates.has("halt") and chance.random() < 0.3:
            kind = chance.choice((StopKind.INTERRUPTED, StopKind.TERMINATED))

            def stop() -> None:
                if not process.ended and not life.fates.calm:
                    life.tell(process.name, "is halted", kind)
                    process.hurries = True
                    process.call_soon(halt.request, kind)

            life.world.after(2 ** chance.uniform(-6, 3), stop)

    def between_runs(self) -> None:
        """What is done while nobody delivers."""
        life, chance = self._life, self._chance
        if life.fates.has("decide"):
            if chance.random() < 0.5:
                life.world.sleep(2 * life.plan.hold)
            for _ in range(chance.choice((0, 1, 2))):
                self._decide()
                self._life._until_over()

    def calm(self) -> None:
        """Take back what was said for a while."""
        if "pace" in self._life.plan.faults:
            self._life.rules.paced()
            self._do(lambda: self._life.job().pace(rate="500/s", concurrency=64, go_on=True))
            self._life._until_over()

    def look(self) -> None:
        """Somebody looks at the end."""
        self._look()
        self._life._until_over()

    # --- what they do ------------------------------------------------------------------------

    def _do(
        self, work: Callable[[], Any], ended: Callable[[Process], None] | None = None
    ) -> Process:
        self._count += 1
        self._life.progress = self._life.world.now
        process = self._life.process(f"P{self._count}")

        def over() -> None:
            self._life.world.wake(self._life.world.main)
            if ended is not None:
                ended(process)
            elif process.error is not None and not process.suffered:
                raise self._life.witness.found("a person's command failed", str(process.error))

        process.at_end = over
        process.do(work)
        return process

    def _look(self) -> None:
        life = self._life
        work = life.job().status

        def ended(process: Process) -> None:
            if process.error is not None:
                if not process.suffered:
                    raise life.witness.found("looking failed", str(process.error))
                return
            life._compare(process.result)
            life.marks["looked"] += 1

        self._do(work, ended)

    def _decide(self) -> None:
        life, chance = self._life, self._chance
        known = life.witness.counts()
        useful = [each for each, (state, _) in _OF.items() if known[state]]
        decision = chance.choice(useful or list(_OF))
        job = life.job()
        life.tell("decides", decision)
        self.decided = True
        life.decisions += 1

        def ended(process: Process) -> None:
            life.decisions -= 1
            error = process.error
            if error is not None and not isinstance(error, (BusyError, LedgerError)):
                raise life.witness.found("a decision failed", repr(error))
            life.tell("decided", decision, type(error).__name__ if error else process.result)
            life.marks["a decision was refused"] += error is not None
            life.marks[f"decided {decision}"] += error is None and bool(process.result)

        work = job.retry if decision == "retry" else partial(job.resolve, decision)  # type: ignore[arg-type]
        life.witness.decisions[self._do(work, ended)] = _OF[decision]

    def _pace(self) -> None:
        chance = self._chance
        if chance.random() < 0.4:
            self._life.marks["paused"] += 1
            seconds = chance.choice((0.5, 4))
            self._say({"pause": True}, lambda: self._life.world.after(seconds, self._go_on))
        else:
            self._life.rules.paced()
            rate, concurrency = chance.choice((20, 500)), chance.choice((1, 4, 64))
            self._say({"rate": rate, "concurrency": concurrency})

    def _go_on(self) -> None:
        self._say({"go_on": True})

    def _say(self, pace: dict[str, Any], then: Callable[[], object] = lambda: None) -> None:
        """Say how fast to go, until it is written down; of two at a time one would be lost."""
        life = self._life
        if self._saying:
            life.world.after(0.5, partial(self._say, pace, then))
            return
        self._saying = True
        job = life.job()

        def ended(process: Process) -> None:
            self._saying = False
            if process.error is None:
                then()
            else:
                life.world.after(1.0, partial(self._say, pace, then))

        self._do(lambda: job.pace(**pace), ended)
