"""Sees every step from outside, and says which promise it breaks."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import is_not

from tests.promises import Finding
from tests.simulation.checks.standings import (
    PENDING,
    LedgerReader,
    Standing,
    check_end,
    counts_of,
    in_words,
)
from tests.simulation.checks.waits import Waits

__all__ = ["Call", "Witness"]

_LOST = "lost"
_MANY = 10  # ambiguous answers to one batch


@dataclass
class Call:
    """A request, from the moment its bytes leave."""

    numbers: list[int]
    keys: frozenset[str]
    at: float
    waiting: bool = True  # for its reply


@dataclass
class Witness:
    """What was sent, answered, stored and written down, by the number of each record.

    `keys` is the key of each record, and `starts` the first number of each bucket.
    """

    keys: Sequence[str]
    starts: Sequence[int]
    at_most_once: bool = True
    only_once: bool = True  # no run was to deliver at least once
    stored: Counter[int] = field(default_factory=Counter)
    arrived: list[str] = field(default_factory=list)  # the same, in order
    book: list[Standing] = field(default_factory=list)
    before: list[Standing] = field(default_factory=list)
    exposed: set[int] = field(default_factory=set)  # may have arrived, as far as a client knows
    confirmed: set[int] = field(default_factory=set)  # of which the client heard that they did
    refused: set[int] = field(default_factory=set)  # of which it heard that they never will
    excused: set[int] = field(default_factory=set)  # sent again, or settled, by a decision
    twice: set[int] = field(default_factory=set)  # may be stored twice, by a decision
    calls: list[Call] = field(default_factory=list)
    left: int = 0  # requests whose bytes were about to leave, in all runs
    lost: set[int] = field(default_factory=set)  # in flight when the program ended
    torn: bool = False  # the last commit may be gone
    decision: str | None = None  # what a person decides at this moment, and for which records
    decided: Callable[[int, Standing], bool] = lambda number, each: True
    resends: bool = False  # the run at hand sends again what was lost
    marks: Counter[str] = field(default_factory=Counter)
    first: Finding | None = None
    unsent: set[int] = field(default_factory=set)  # with an intent, and not sent yet
    halved: set[int] = field(default_factory=set)  # in a batch that was refused as a whole
    doubts: Counter[int] = field(default_factory=Counter)  # ambiguous answers in a row

    limit: int | None = None  # records that the run at hand may send for the first time
    chosen: frozenset[str] | None = None  # keys of which it may send
    fresh: set[int] = field(default_factory=set)  # records that it has sent

    def mixed(self) -> None:
        """Guarantees differ between runs: what may be stored can be pending from now on."""
        self.at_most_once = False
        self.only_once = False

    def run_begins(
        self,
        *,
        resends: bool,
        at_most_once: bool,
        limit: int | None,
        only: Mapping[str, Sequence[str]] | None,
    ) -> None:
        """What the run that begins was told."""
        self.resends = resends
        self.at_most_once = at_most_once and self.only_once
        self.limit = limit
        self.chosen = None if only is None else frozenset(*only.values())
        self.fresh = set()

    def __post_init__(self) -> None:
        self.book = [PENDING] * len(self.keys)
        self.before = list(self.book)
        self._reader = LedgerReader(len(self.keys), self.starts)
        self._counts: Counter[str] | None = None
        self.waits = Waits(self.marks)
        earlier: dict[str, list[int]] = {}
        for number, key in enumerate(self.keys):
            earlier.setdefault(key, []).append(number)
        self._of_key = earlier

    def found(self, kind: str, details: str = "") -> Finding:
        """A finding to be raised; the first one is remembered, whoever catches it."""
        finding = Finding(kind, details)
        self.first = self.first or finding
        return finding

    def decide(
        self, decision: str | None, decided: Callable[[int, Standing], bool] | None = None
    ) -> None:
        """A person decides about the records for which `decided` is true, or has done so."""
        self.decision = decision
        self.decided = decided or (lambda number, each: True)

    # --- the wire --------------------------------------------------------------------------

    def leaves(self, call: Call) -> None:
        """Bytes are about to leave."""
        pending = set(call.numbers)
        for number in call.numbers:
            if not self.book[number].in_flight:
                raise self.found("sent without a durable intent", f"record {number}")
            if self.at_most_once and number in self.exposed:
                raise self.found("sent twice under at-most-once", f"record {number}")
            for other in self._of_key[self.keys[number]]:
                if other >= number:
                    break
                if other not in pending and self.book[other].state is None:
                    raise self.found(
                        "sent before an earlier record of its key", f"{number}, {other}"
                    )
        self.fresh.update(call.numbers)
        if self.limit is not None and len(self.fresh) > self.limit:
            raise self.found("more was sent than the limit allows", f"{len(self.fresh)}")
        if self.chosen is not None and not call.keys <= self.chosen:
            raise self.found("something was sent that was not chosen", str(sorted(call.keys)))
        if call.numbers != sorted(call.numbers):
            raise self.found("sent out of order in one request", str(call.numbers))
        busy = {key for each in self.calls for key in each.keys} & call.keys
        if busy:
            raise self.found("two requests of one key at a time", str(sorted(busy)))
        if (left := self.waits.left(call.at)) > 1e-6:
            raise self.found(
                "sent within a quiet period",
                f"{left:.3f} s before its end, records {call.numbers[:3]}",
            )
        self.calls.append(call)
        self.left += 1
        self.exposed.update(call.numbers)
        self.unsent.difference_update(call.numbers)
        self.confirmed.difference_update(call.numbers)
        self.refused.difference_update(call.numbers)

    def hears(self, call: Call, meaning: str, bad: Iterable[int] = ()) -> None:
        """The client has its answer: "yes", "nothing" was done, "refused", or "ambiguous"."""
        self.silent(call)
        first = call.numbers[0]
        self.doubts[first] = self.doubts[first] + 1 if meaning == "ambiguous" else 0
        self.marks["ten ambiguous answers to one batch"] += self.doubts[first] == _MANY
        if meaning == "yes":
            self.confirmed.update(call.numbers)
        elif meaning in ("nothing", "refused"):
            self.exposed.difference_update(call.numbers)
            self.refused.update(bad)
            self.marks["bad items of a batch were named"] += 0 < len([*bad]) < len(call.numbers)
            if meaning == "refused" and len(call.numbers) == 1 and self.halved & {*call.numbers}:
                self.marks["a halved batch came to its last record"] += 1
            elif meaning == "refused":
                self.halved.update(call.numbers)

    def silent(self, call: Call) -> None:
        """Nobody waits for the answer any more."""
        call.waiting = False
        if call in self.calls:
            self.calls.remove(call)

    # --- the ledger ------------------------------------------------------------------------

    def _read(self, connection: sqlite3.Connection) -> list[Standing]:
        try:
            return self._reader.read(connection)
        except Finding as finding:
            self.first = self.first or finding
            raise

    def opened(self, connection: sqlite3.Connection) -> None:
        """A process is about to write: the file must be as the last one left it."""
        found = self._read(connection)
        if found != self.book:
            if not (self.torn and found == self.before):
                raise self.found("the ledger lost a commit", _difference(self.book, found))
            self.marks["the last commit was torn"] += 1
            self.book = found
            self._counts = None
        self.torn = False
        self.lost = {number for number, each in enumerate(found) if each.in_flight}
        self.marks["a decision found requests in flight"] += bool(self.lost and self.decision)

    def committed(self, connection: sqlite3.Connection) -> None:
        """A transaction that changed spans or intents is on the disk."""
        found = self._read(connection)
        self.before, self.book = self.book, found
        self._counts = None
        for number in compress(range(len(found)), map(is_not, self.before, found)):
            self._changed(number, self.before[number], found[number])
        if self.lost:
            self.lost = set()

    def _changed(self, number: int, old: Standing, new: Standing) -> None:
        if number in self.lost and (new.state, new.cause) != ("unknown", _LOST):
            raise self.found(
                "in flight when the program ended, and not unknown", f"record {number}"
            )
        if old.state is not None:
            self._decided(number, old, new)
        elif new.state is not None:
            self._settled(number, old, new)
        elif old.in_flight and number in self.exposed and self.at_most_once:
            raise self.found("may have arrived, and is pending again", f"record {number}")
        elif old.in_flight and number in self.confirmed:
            raise self.found("arrived, and is pending again", f"record {number}")
        elif old.in_flight and number in self.refused:
            raise self.found("refused for good, and is pending again", f"record {number}")
        if new.in_flight:
            self.unsent.add(number)
        elif new.state is None and number in self.unsent:
            self.marks["an intent was taken back unsent"] += 1
        if not new.in_flight:
            self.unsent.discard(number)
            self.waits.write(number)

    def _decided(self, number: int, old: Standing, new: Standing) -> None:
        """Something settled changes, which only a decision may do."""
        to = new.state or "pending"
        allowed = {
            "retry": ("failed", ("pending",)),
            "resend": ("unknown", ("pending",)),
            "delivered": ("unknown", ("delivered",)),
            "failed": ("unknown", ("failed",)),
        }
        source, targets = allowed.get(self.decision or "", ("", ()))
        lost = self.resends and (old.state, old.cause) == ("unknown", _LOST)
        meant = old.state == source and to in targets and self.decided(number, old)
        if new.in_flight or not (meant or (lost and to == "pending")):
            raise self.found("something settled changed", f"record {number}: {old.state} to {to}")
        self.marks["sent again after it was lost"] += lost and not meant
        self.excused.add(number)
        if to == "pending":  # what a process that ended had heard of it is known to nobody
            if number in self.exposed:
                self.twice.add(number)
            for known in (self.exposed, self.confirmed, self.refused):
                known.discard(number)

    def _settled(self, number: int, old: Standing, new: Standing) -> None:
        if not old.in_flight:
            raise self.found("settled without an intent", f"record {number} is {new.state}")
        if new.cause == _LOST:
            if number not in self.lost:
                raise self.found("called lost while its program lives", f"record {number}")
            return
        if new.cause != "reply":
            raise self.found("settled for a cause that did not happen", f"{number}: {new.cause}")
        if new.state == "delivered":
            if number not in self.confirmed:
                raise self.found("delivered, and nobody heard so", f"record {number}")
            if not self.stored[number]:
                raise self.found("delivered, and not stored", f"record {number}")
        elif new.state == "failed":
            if number not in self.refused:
                raise self.found("failed, and nobody refused it", f"record {number}")
            if self.stored[number] and self.at_most_once and number not in self.excused:
                raise self.found("failed, and stored", f"record {number}")
        elif number in self.confirmed or number not in self.exposed:
            raise self.found("unknown for no reason", f"record {number}")

    # --- the books -------------------------------------------------------------------------

    def counts(self) -> Counter[str]:
        """Records by state; those in flight by that name."""
        if self._counts is None:
            self._counts = counts_of(self.book, in_flight="in_flight")
        return self._counts

    def is_settled(self) -> bool:
        """Whether nothing is left to be sent or heard of, and what is written down is safe."""
        return all(each.state is not None for each in self.book) and not self.torn

    def counted(self) -> str:
        """The same in words."""
        return in_words(self.counts())

    def ends(self) -> None:
        """The life is over: the ledger and the server are to agree."""
        check_end(
            self.keys,
            self.book,
            self.arrived,
            decided=self.excused,
            late=self.marks["stored after the client gave up"] > 0,
            at_most_once=self.at_most_once and self.only_once,
        )

    # --- deaths -----------------------------------------------------------------------------------

    def tear(self) -> None:
        """The last commit may be gone, and what was written with it."""
        self.torn = True
        self.waits.tear({n for n, each in enumerate(self.before) if each.in_flight})

    def process_ends(self) -> None:
        """A process is gone, and with it what it alone knew."""
        for call in list(self.calls):
            self.silent(call)
        self.waits.process_ends({n for n, each in enumerate(self.book) if each.in_flight})

    def stores(self, numbers: Iterable[int]) -> None:
        """The server keeps these records."""
        for number in numbers:
            self.arrived.append(str(number))
            self.stored[number] += 1
            again = self.stored[number] > 1 and not self.at_most_once
            self.marks["stored twice under at-least-once"] += again
            if self.stored[number] > 1 and self.at_most_once and number not in self.twice:
                raise self.found("stored twice under at-most-once", f"record {number}")


def _difference(expected: Sequence[Standing], found: Sequence[Standing]) -> str:
    pairs = enumerate(zip(expected, found, strict=True))
    number, (old, new) = next((n, pair) for n, pair in pairs if pair[0] != pair[1])
    return f"record {number}: {old} was written down, and {new} is found"
