"""What holds for all deliverers together: the deadline, one rate, one quiet period."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
_LATE = 1.5  # seconds that a permission which was drawn lasts at most, and its intent takes
_LEAST = 8  # requests that may leave together, whatever the rate


@dataclass
class _Quiet:
    """A quiet period by the world's clock, and who knows of it."""

    until: float
    knows: dict[Process, float] = field(default_factory=dict)  # since when


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
        self._since = -math.inf  # when it began to hold
        self._left: list[float] = []  # moments at which requests left

    def too_late(self, process: Process) -> bool:
        """Whether the process was not heard of within the lease."""
        return self._world.now >= process.heard_at + self._plan.lease * (1 - _MARGIN)

    def withheld(self, process: Process) -> None:
        """A process has looked, and may not send."""
        mark = "the lease was lost between an intent and its bytes"
        self._witness.marks[mark] += self.too_late(process)

    # --- one quiet period --------------------------------------------------------------------

    def asked(self, process: Process, seconds: float) -> None:
        """A process has heard that nobody is to send for so long."""
        self._quiets = [each for each in self._quiets if each.until > self._world.now]
        self._witness.marks["two were asked to wait in one quiet period"] += any(
            process not in each.knows for each in self._quiets
        )
        now = self._world.now
        self._quiets.append(_Quiet(now + seconds, {process: now}))

    def told(self, process: Process, seconds: float) -> None:
        """A process was told by the ledger that it is quiet for so long."""
        until = self._world.now + seconds
        for each in self._quiets:
            if each.until <= until + _SAME and process not in each.knows:
                each.knows[process] = self._world.now
                self._witness.marks["a quiet period was heard of by another"] += 1

    def _in_quiet(self, process: Process) -> None:
        now = self._world.now
        for each in self._quiets:
            since = max(each.knows.get(process, math.inf), process.frozen_until)
            if since < now < each.until - _SAME:
                raise self._witness.found(
                    "sent within a quiet period",
                    f"{process.name}, {each.until - now:.3f} s before its end",
                )

    # --- one rate ----------------------------------------------------------------------------

    def leaves(self, process: Process) -> None:
        """A request is about to leave."""
        self._in_quiet(process)
        now = self._world.now
        if self._rate is None or self._paced or now < self._fates.disturbed_at + _CALM:
            self._left.clear()
            return
        self._left = [each for each in self._left if each > now - 2 * _LATE]
        self._left.append(now)
        most = _LEAST + self._rate * (2 * _LATE + _LATE)
        if len(self._left) > most and now > self._since + _CALM:
            raise self._witness.found("sent faster than the rate", f"{self._rate:g}/s of all")

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
            self._rate, self._since = rows[0][1]["rate"], self._world.now
            self._left.clear()

    def answered(self, process: Process, statement: str, answered: Answered) -> None:
        """A process has the answer to a statement."""
        if " draw(" in statement and answered.rows:
            self.told(process, float(answered.rows[0][0]["quiet"]))

    def noticed(self, process: Process, payload: str) -> None:
        """A process has heard of what was announced."""
        self.told(process, float(json.loads(payload)[1]))
