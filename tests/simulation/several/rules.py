"""What holds for all deliverers together: the deadline, one rate, one limit, one quiet period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.several.database import Answered
from tests.simulation.several.fates import LifeFates
from tests.simulation.several.fibers import World
from tests.simulation.several.plan import SharedPlan
from tests.simulation.several.process import Process
from tests.simulation.several.witness import SharedWitness

__all__ = ["Rules"]

_MARGIN = 0.1  # of the lease


class Rules:
    """Follows what deliverers draw, hear and send."""

    def __init__(
        self, plan: SharedPlan, world: World, witness: SharedWitness, fates: LifeFates
    ) -> None:
        self._plan = plan
        self._world = world
        self._witness = witness
        self._fates = fates

    def too_late(self, process: Process) -> bool:
        """Whether the process was not heard of within the lease."""
        return self._world.now >= process.heard_at + self._plan.lease * (1 - _MARGIN)

    def leaves(self, process: Process) -> None:
        """A request is about to leave."""

    def asked(self, process: Process, seconds: float) -> None:
        """A process has heard that nobody is to send for so long."""

    def withheld(self, process: Process) -> None:
        """A process has looked, and may not send."""
        self._witness.marks["the lease was lost between an intent and its bytes"] += self.too_late(
            process
        )

    def carried_out(
        self, process: Process, statement: str, values: Sequence[Any], answered: Answered
    ) -> None:
        """The database has carried out a statement."""
        rows = answered.rows or []
        if " join_run(" in statement and rows[0][0]:
            self._witness.fresh = set()
            self._witness.limit = rows[0][1]["limit"]
