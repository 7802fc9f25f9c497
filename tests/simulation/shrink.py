"""A finding in fewer records and with fewer faults, for whoever is to understand it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.plan import FAULTS, Plan, make_plan
from tests.simulation.several.plan import FAULTS as OF_SEVERAL
from tests.simulation.several.plan import SharedPlan, make_shared_plan

__all__ = ["Shrunk", "shrink"]


@dataclass(frozen=True)
class Shrunk:
    """The shortest life that was found to end with the same finding."""

    seed: int
    records: int
    without: frozenset[str]
    several: bool = False

    def __str__(self) -> str:
        left_out = f" --without {','.join(sorted(self.without))}" if self.without else ""
        return (
            f"python -m tests.simulation --seed {self.seed} --records {self.records}{left_out}"
            f"{' --several' if self.several else ''} --verbose"
        )


def shrink(plan: Plan, kind: str, found: Callable[[Plan], str | None]) -> Shrunk:
    """Make a life shorter as long as `found` still says the same `kind` of finding."""

    several = isinstance(plan, SharedPlan)

    def same(records: int, without: frozenset[str]) -> bool:
        if isinstance(plan, SharedPlan):
            shorter: Plan = make_shared_plan(
                plan.seed, database=plan.database, most=records, without=without
            )
        else:
            shorter = make_plan(plan.seed, most=records, without=without)
        return found(shorter) == kind

    records, without = plan.records, frozenset(OF_SEVERAL if several else FAULTS) - plan.faults
    for fewer in (1, 2, 3, 5, 8, 13, 30, 80):
        if fewer < records and same(fewer, without):
            records = fewer
            break
    for fault in sorted(plan.faults):
        if same(records, without | {fault}):
            without |= {fault}
    return Shrunk(plan.seed, records, without & plan.faults, several)
