"""Sees which buckets are given back unfinished by one who goes on, and taken by another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.several.database import Answered
from tests.simulation.several.process import Process

__all__ = ["HandOvers"]


class HandOvers:
    """Follows who takes and gives back what; `pending` tells how many records of a bucket are."""

    def __init__(self, marks: Counter[str], pending: Callable[[int], int]) -> None:
        self._marks = marks
        self._pending = pending
        self._held: dict[Process, set[int]] = defaultdict(set)
        self._given: dict[int, Process] = {}

    def carried_out(
        self, process: Process, statement: str, values: Sequence[Any], answered: Answered
    ) -> None:
        """The database has carried out a statement."""
        if " give_back(" in statement:
            bucket = values[0]
            self._held[process].discard(bucket)
            if self._held[process] and self._pending(bucket):
                self._given[bucket] = process
        elif " take(" in statement and answered.rows:
            bucket = answered.rows[0][0]
            if bucket is None:
                return
            self._held[process].add(bucket)
            giver = self._given.pop(bucket, process)
            if giver is not process and not giver.ended:
                self._marks["a bucket was handed over"] += 1
