"""Where records stand by the ledger, read by whoever only looks, and what that must agree with."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tests.promises import Excused, Finding, ServerLog, Told, check_delivery

__all__ = ["FLYING", "PENDING", "LedgerReader", "Standing", "check_end", "counts_of", "in_words"]


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


def in_words(counts: Counter[str]) -> str:
    """Such counts on one line."""
    return " ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def check_end(
    keys: Sequence[str],
    book: Sequence[Standing],
    arrived: Sequence[str],
    *,
    decided: Collection[int],
    late: bool,
    at_most_once: bool,
) -> None:
    """A life is over: what the ledger tells of each record, against what the server stored.

    `arrived` are the numbers that it stored, in order, and `decided` those that a person had sent
    again. `late` says that some came once nobody waited for the answer. Raises Finding.
    """
    told = [
        Told(str(number), key, each.state or ("unknown" if each.in_flight else "pending"))
        for number, (key, each) in enumerate(zip(keys, book, strict=True))
    ]
    resent = {str(number) for number in decided}
    log = ServerLog([*arrived], received=Counter([*arrived, *resent]))
    excused = Excused(resent=resent.__contains__, late=late)
    check_delivery(told, log, at_most_once=at_most_once, excused=excused)


def _rows(connection: sqlite3.Connection, statement: str) -> list[Any]:
    return sqlite3.Connection.execute(connection, statement).fetchall()
