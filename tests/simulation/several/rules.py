"""What holds for all deliverers together: the deadline, whose a bucket is, one rate, one quiet."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.several.connection import Session
from tests.simulation.several.database import Answered
from tests.simulation.several.fates import LifeFates
from tests.simulation.several.fibers import World
from tests.simulation.several.plan import SharedPlan
from tests.simulation.several.process import Process
from tests.simulation.several.witness import SharedWitness

__all__ = ["Rules"]

_MARGIN = 0.1  # of the lease
_SAME = 0.06  # seconds by which two ends of one quiet period may differ
_CALM = 2.0  # seconds after which a disturbance shows in no pace any more
_HEARD = 1.0  # seconds within which all hear of a quiet period, if nothing disturbs them
_AT_ONCE = 2  # requests that may begin together, whatever the rate
_SPREAD = 0.6  # seconds that may lie between permission and intent, and for one not for another


@dataclass
class _Quiet:
    """A quiet period by the world's clock, and who knows of it."""

    at: float  # when somebody was asked for it
    until: float
    asked: Process
    knows: dict[Process, float] = field(default_factory=dict)  # since when
    drawn: set[Process] = field(default_factory=set)  # who knows by a draw alone


class Rules:
    """Follows what deliverers draw, hear and send."""

    def __init__(
        self, plan: SharedPlan, world: World, witness: SharedWitness, fates: LifeFates
    ) -> None:
        self._plan = plan
        self._world = world
        self._witness = witness
        self._fates = fates
        self._quiets: list[_Quiet] = []
        self._rate: float | None = None  # that was set for the run; None for none
        self._paced = False  # whether somebody said another one
        self._tokens = math.inf
        self._counted_at = 0.0  # what of the rate was used
        self._runs: set[Process] = set()  # who took part in one
        self.losers: set[Process] = set()  # who were told that a bucket of theirs is another's

    def too_late(self, process: Process) -> bool:
        """Whether the process was not heard of within the lease."""
        return self._world.now >= process.heard_at + self._plan.lease * (1 - _MARGIN)

    def withheld(self, process: Process) -> None:
        """A process has looked, and may not send."""
        mark = "the lease was lost between an intent and its bytes"
        self._witness.marks[mark] += self.too_late(process)
        mark = "a quiet period that a draw alone told called a request back"
        self._witness.marks[mark] += not self.too_late(process) and any(
            process in each.drawn and self._world.now < each.until for each in self._quiets
        )

    def cut_off(self, session: Session) -> None:
        """A session was ended so that what it held could be taken over."""
        silent = self._world.wall() - session.heard_at
        self._witness.marks["one that was silent was cut off"] += 1
        if silent < self._plan.lease - _SAME:
            raise self._witness.found(
                "one that was heard of was cut off", f"{silent:.3f} s after a command of its"
            )

    # --- one quiet period --------------------------------------------------------------------

    def asked(self, process: Process, seconds: float) -> None:
        """A process has heard that nobody is to send for so long."""
        self._quiets = [each for each in self._quiets if each.until > self._world.now]
        self._witness.marks["two were asked to wait in one quiet period"] += any(
            process not in each.knows for each in self._quiets
        )
        now = self._world.now
        self._quiets.append(_Quiet(now, now + seconds, process, {process: now}))

    def told(self, process: Process, seconds: float, *, drawn: bool) -> None:
        """A process was told by the ledger that it is quiet for so long: by a draw or a notice."""
        until = self._world.now + seconds
        for each in [each for each in self._quiets if each.until <= until + _SAME]:
            if process not in each.knows:
                each.knows[process] = self._world.now
                each.drawn |= {process} if drawn else set()
                self._witness.marks["a quiet period was heard of by another"] += 1
            elif not drawn:
                each.drawn.discard(process)

    def _in_quiet(self, process: Process) -> None:
        now = self._world.now
        for each in self._quiets:
            if (
                max(self._known_since(each, process), process.frozen_until)
                < now
                < each.until - _SAME
            ):
                raise self._witness.found(
                    "sent within a quiet period",
                    f"{process.name}, {each.until - now:.3f} s before its end",
                )

    def _known_since(self, quiet: _Quiet, process: Process) -> float:
        """When a process had heard of it, or must have, because nothing was wrong since."""
        told = quiet.knows.get(process, math.inf)
        undisturbed = self._fates.disturbed_at < quiet.at - _CALM
        return min(told, quiet.at + _HEARD) if undisturbed else told

    def dies(self, process: Process) -> None:
        """A process was killed, maybe before it told anybody."""
        since = self._world.now - _HEARD
        self._quiets = [
            each for each in self._quiets if each.asked is not process or each.at < since
        ]

    # --- one rate ----------------------------------------------------------------------------

    def begins(self, process: Process) -> None:
        """A request has its permission and its intent."""
        del process
        now, rate = self._world.now, self._rate
        if rate is None or self._paced or now < self._fates.disturbed_at + _CALM:
            self._tokens = math.inf
            return
        most = _AT_ONCE + rate * _SPREAD
        self._tokens = min(most, self._tokens + (now - self._counted_at) * rate) - 1
        self._counted_at = now
        if self._tokens < 0:
            raise self._witness.found("sent faster than the rate", f"{rate:g}/s of all")

    def leaves(self, process: Process) -> None:
        """A request is about to leave."""
        if process in self.losers:
            raise self._witness.found("sent by one that had lost a bucket", process.name)
        self._in_quiet(process)

    def paced(self) -> None:
        """Somebody says how fast to go: each deliverer hears of it when it does."""
        self._paced = True

    # --- the database ------------------------------------------------------------------------

    def carried_out(
        self, process: Process, statement: str, values: Sequence[Any], answered: Answered
    ) -> None:
        """The database has carried out a statement."""
        rows = answered.rows or []
        if " join_run(" in statement and rows[0][0]:
            self._witness.fresh = set()
            self._witness.limit = rows[0][1]["limit"]
            self._witness.marks["a limit was shared"] += self._witness.limit is not None
            self._rate, self._tokens = rows[0][1]["rate"], math.inf

    def answered(
        self, process: Process, statement: str, values: Sequence[Any], answered: Answered
    ) -> None:
        """A process has the answer to a statement."""
        rows = answered.rows or []
        if " join_run(" in statement:
            # One that begins anew, and is alone, may not where a limit was spent in part.
            first, terms = rows[0]
            partly_spent = first and process in self._runs and (terms["limit"] or terms["seconds"])
            process.joined = not partly_spent
            self._runs.add(process)
            self.losers.discard(process)
        if " retake(" in statement:
            bucket, epoch = values
            if self._witness.owners[bucket][0] != epoch:
                if rows[0][0]:
                    raise self._witness.found("took back what another one had had", process.name)
                self.losers.add(process)  # which begins anew
                self._witness.marks["a bucket was gone when its owner came back"] += 1
        if " draw(" in statement and answered.rows:
            self.told(process, float(answered.rows[0][0]["quiet"]), drawn=True)

    def noticed(self, process: Process, payload: str) -> None:
        """A process has heard of what was announced."""
        self.told(process, float(json.loads(payload)[1]), drawn=False)
