"""A finding in fewer records and with fewer faults, for whoever is to understand it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.plan import FAULTS, Plan, make_plan

__all__ = ["Shrunk", "shrink"]


@dataclass(frozen=True)
class Shrunk:
    """The shortest life that was found to end with the same finding."""

    seed: int
    records: int
    without: frozenset[str]

    def __str__(self) -> str:
        left_out = f" --without {','.join(sorted(self.without))}" if self.without else ""
        return (
            f"python -m tests.simulation --seed {self.seed} --records {self.records}{left_out}"
            " --verbose"
        )


def shrink(plan: Plan, kind: str, found: Callable[[Plan], str | None]) -> Shrunk:
    """Make a life shorter as long as `found` still says the same `kind` of finding."""

    def same(records: int, without: frozenset[str]) -> bool:
        return found(make_plan(plan.seed, most=records, without=without)) == kind

    records, without = plan.records, frozenset(FAULTS) - plan.faults
    for fewer in (1, 2, 3, 5, 8, 13, 30, 80):
        if fewer < records and same(fewer, without):
            records = fewer
            break
    for fault in sorted(plan.faults):
        if same(records, without | {fault}):
            without |= {fault}
    return Shrunk(plan.seed, records, without & plan.faults)
