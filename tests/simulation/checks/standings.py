"""Where records stand by the ledger's file, read by whoever only looks."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.promises import Finding

__all__ = ["FLYING", "PENDING", "LedgerReader", "Standing", "counts_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a record stands by the ledger. Neither settled nor in flight is pending.

    A reader has one object for each way to stand, so they are compared as objects.
    """

    state: str | None = None
    cause: str | None = None
    status: int | None = None
    in_flight: bool = False


PENDING = Standing()
FLYING = Standing(in_flight=True)


class LedgerReader:
    """Reads where each of `records` stands, by number; `starts` is the first number of a bucket.

    What stands in the same way is one object, so that comparing costs next to nothing.
    """

    def __init__(self, records: int, starts: Sequence[int]) -> None:
        self._records = records
        self._starts = starts
        self._known: dict[tuple[Any, ...], Standing] = {}

    def read(self, connection: sqlite3.Connection) -> list[Standing]:
        """Where each record stands by the file. Raises Finding for one that stands twice."""
        found = [PENDING] * self._records
        statement = "SELECT bucket, start, stop, state, cause, http_status FROM span"
        records = 0
        for bucket, start, stop, *words in _rows(connection, statement):
            standing = self._known.get(tuple(words))
            if standing is None:
                standing = self._known[tuple(words)] = Standing(*words)
            first = self._starts[bucket]
            found[first + start : first + stop] = [standing] * (stop - start)
            records += stop - start
        for bucket, start, stop in _rows(connection, "SELECT bucket, start, stop FROM flight"):
            first = self._starts[bucket]
            found[first + start : first + stop] = [FLYING] * (stop - start)
            records += stop - start
        if len(found) != self._records or records != len(found) - found.count(PENDING):
            raise Finding("a record is settled twice, or settled and in flight")
        return found


def counts_of(book: Sequence[Standing], *, in_flight: str) -> Counter[str]:
    """Records by state, with those in flight under the name given."""
    counts: Counter[str] = Counter()
    for each, records in Counter(book).items():
        counts[in_flight if each.in_flight else each.state or "pending"] += records
    return counts


def _rows(connection: sqlite3.Connection, statement: str) -> list[Any]:
    return sqlite3.Connection.execute(connection, statement).fetchall()
