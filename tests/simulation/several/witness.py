"""Sees every step of all deliverers from outside, and says which promise it breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.promises import Finding
from tests.simulation.checks.standings import (
    FLYING,
    PENDING,
    Standing,
    check_end,
    counts_of,
    in_words,
)
from tests.simulation.checks.witness import Call
from tests.simulation.several.database import Seen
from tests.simulation.several.process import Process

__all__ = ["SharedCall", "SharedWitness"]

_LOST = "lost"
_TOLERANCE = 1e-6  # seconds


@dataclass
class SharedCall(Call):
    """A request of one of the deliverers.

    `stale` says that it froze between the last look and its bytes, and thawed too late: the window
    that remains.
    """

    by: Process | None = None
    stale: bool = False
    timeout: float = 0.0


@dataclass
class SharedWitness:
    """What was sent, answered, stored and written down, by the number of each record.

    `keys` is the key of each record, and `starts` the first number of each bucket. `hold` is how
    many seconds a lane is held after a take-over, and `lease` how long a silent owner keeps it.
    """

    keys: Sequence[str]
    starts: Sequence[int]
    lanes: Sequence[tuple[int, int]]  # bucket and lane of each record
    now: Callable[[], float]
    at_most_once: bool
    lease: float
    hold: float
    marks: Counter[str] = field(default_factory=Counter)
    stored: Counter[int] = field(default_factory=Counter)
    arrived: list[str] = field(default_factory=list)
    book: list[Standing] = field(default_factory=list)
    exposed: set[int] = field(default_factory=set)  # may have arrived, as far as a client knows
    confirmed: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)  # sent again, or settled, by a decision
    twice: set[int] = field(default_factory=set)  # may be stored twice, by a decision
    calls: list[SharedCall] = field(default_factory=list)
    left: int = 0  # requests whose bytes were about to leave
    intents: dict[int, Process] = field(default_factory=dict)  # who wrote the last one down
    taken_at: dict[int, float] = field(default_factory=dict)  # when a record was found lost
    lane_lost: dict[tuple[int, int], float] = field(default_factory=dict)
    owners: dict[int, tuple[int, str]] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)  # sent for the first time in this run
    limit: int | None = None
    resends: bool = False  # some run was to deliver at least once
    first: Finding | None = None
    # What each person decides: which records, and what becomes of them.
    decisions: dict[Process, tuple[str, str]] = field(default_factory=dict)
    halved: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.book = [PENDING] * len(self.keys)
        self._known: dict[tuple[object, ...], Standing] = {}
        self._ghosts: list[SharedCall] = []  # requests of dead clients that may still arrive
        earlier: dict[str, list[int]] = {}
        for number, key in enumerate(self.keys):
            earlier.setdefault(key, []).append(number)
        self._of_key = earlier

    def found(self, kind: str, details: str = "") -> Finding:
        """A finding to be raised; the first one is remembered, whoever catches it."""
        finding = Finding(kind, details)
        self.first = self.first or finding
        return finding

    # --- the wire ----------------------------------------------------------------------------

    def leaves(self, call: SharedCall) -> None:
        """Bytes are about to leave."""
        numbers, now = call.numbers, self.now()
        self.marks["left in the window that remains"] += call.stale
        for number in numbers:
            self._has_intent(number, call, now)
            if call.stale and number in self.excused:
                self.twice.add(number)  # it was sent again, by a decision, before this one thawed
            elif self.at_most_once and number in self.exposed:
                raise self.found("sent twice under at-most-once", f"record {number}")
        if not call.stale:
            self._in_order(call)
            self._alone(call, now)
            self._after_the_lost(call, now)
            self._within_limit(numbers)
        self.calls.append(call)
        self.left += 1
        self.exposed.update(numbers)
        self.confirmed.difference_update(numbers)
        self.refused.difference_update(numbers)

    def _within_limit(self, numbers: Sequence[int]) -> None:
        """What thaws too late is none of it: it may be of a run that is over by now."""
        self.fresh.update(numbers)
        if self.limit is not None and len(self.fresh) > self.limit:
            raise self.found("more was sent than the limit allows", f"{len(self.fresh)}")

    def _has_intent(self, number: int, call: SharedCall, now: float) -> None:
        if self.intents.get(number) is not call.by:
            if not call.stale:
                raise self.found("sent without a durable intent", f"record {number}")
            return
        if self.book[number].in_flight or call.stale:
            return
        taken = self.taken_at.get(number)
        if taken is None or now > taken + self.lease:
            raise self.found(
                "sent though it was taken over", f"record {number}: {self.book[number]}"
            )
        self.marks["left after its bucket was taken over"] += 1

    def _in_order(self, call: SharedCall) -> None:
        own = set(call.numbers)
        for number in call.numbers:
            for other in self._of_key[self.keys[number]]:
                if other >= number:
                    break
                if other not in own and self.book[other].state is None:
                    raise self.found(
                        "sent before an earlier record of its key", f"{number}, {other}"
                    )
        if call.numbers != sorted(call.numbers):
            raise self.found("sent out of order in one request", str(call.numbers))

    def _alone(self, call: SharedCall, now: float) -> None:
        self._ghosts = [each for each in self._ghosts if each.at + each.timeout > now]
        for each in (*self.calls, *self._ghosts):
            over = each.at + each.timeout  # which a client that is frozen has not noticed yet
            frozen = each.by is not None and each.by.frozen_until > over
            if each.keys & call.keys and not each.stale and not (frozen and over <= now):
                raise self.found(
                    "two requests of one key at a time",
                    f"{sorted(each.keys & call.keys)}: {each.numbers}, {call.numbers}",
                )

    def _after_the_lost(self, call: SharedCall, now: float) -> None:
        """A lane in which a lost owner's request may still arrive is left alone."""
        for number in call.numbers:
            free_at = self.lane_lost.get(self.lanes[number], 0.0) + self.hold
            if self.book[number].in_flight and now < free_at - _TOLERANCE:
                raise self.found(
                    "sent in a lane in which a lost request may arrive",
                    f"record {number}, {free_at - now:.3f} s too early",
                )

    def hears(self, call: SharedCall, meaning: str, bad: Iterable[int] = ()) -> None:
        """The client has its answer."""
        self.silent(call)
        if any(self.intents[number] is not call.by for number in call.numbers):
            return  # it is another one's by now, whose answer counts
        if meaning == "yes":
            self.confirmed.update(call.numbers)
        elif meaning in ("nothing", "refused"):
            self.exposed.difference_update(call.numbers)
            self.refused.update(bad)

    def silent(self, call: SharedCall) -> None:
        """Nobody waits for the answer any more."""
        call.waiting = False
        if call in self.calls:
            self.calls.remove(call)

    def stores(self, numbers: Iterable[int]) -> None:
        """The server keeps these records."""
        for number in numbers:
            self.arrived.append(str(number))
            self.stored[number] += 1
            if self.stored[number] > 1 and self.at_most_once and number not in self.twice:
                raise self.found("stored twice under at-most-once", f"record {number}")

    def dies(self, process: Process) -> None:
        """A process is gone, with what it alone knew."""
        for call in [each for each in self.calls if each.by is process]:
            self.silent(call)
            self._ghosts.append(call)

    # --- the ledger --------------------------------------------------------------------------

    def changed(self, by: Process, does: str, seen: Seen, told: object) -> None:
        """A statement has changed the ledger: `does` is its function's name, `told` its answer."""
        found = self._read(seen)
        before, self.book = self.book, found
        self.owners = dict(seen.owners)
        for number, (old, new) in enumerate(zip(before, found, strict=True)):
            if old is not new:
                if does == "take" and self.lanes[number][0] != told:
                    raise self.found("a take-over changed another bucket", f"record {number}")
                self._judge(number, old, new, by, does)

    def _judge(self, number: int, old: Standing, new: Standing, by: Process, does: str) -> None:
        if does == "write_down":
            self._written(number, old, new, by)
        elif does == "take":
            if not old.in_flight or (new.state, new.cause) != ("unknown", _LOST):
                raise self.found("a take-over changed a record", f"{number}: {old} to {new}")
            self.taken_at[number] = self.lane_lost[self.lanes[number]] = self.now()
            self.marks["a take-over found requests in flight"] += 1
        elif does == "resend_lost":
            self._resent(number, old, new)
        else:
            self._decided(number, old, new, *self.decisions.get(by, ("", "")))

    def _written(self, number: int, old: Standing, new: Standing, by: Process) -> None:
        if old.state is not None:
            raise self.found("something settled changed", f"record {number}: {old} to {new}")
        if old.in_flight and self.intents[number] is not by:
            raise self.found("another one's request was settled", f"record {number}")
        if new.in_flight:
            self.intents[number] = by
            return
        if new.state is None:
            if number in self.exposed and self.at_most_once:
                raise self.found("may have arrived, and is pending again", f"record {number}")
            if number in self.confirmed or number in self.refused:
                raise self.found("was answered, and is pending again", f"record {number}")
            return
        if not old.in_flight:
            raise self.found("settled without an intent", f"record {number} is {new.state}")
        if new.cause != "reply":
            raise self.found("settled for a cause that did not happen", f"{number}: {new.cause}")
        if new.state == "delivered" and not (number in self.confirmed and self.stored[number]):
            raise self.found("delivered, and nobody heard so", f"record {number}")
        if new.state == "failed" and number not in self.refused:
            raise self.found("failed, and nobody refused it", f"record {number}")
        if new.state == "unknown" and (number in self.confirmed or number not in self.exposed):
            raise self.found("unknown for no reason", f"record {number}")

    def _resent(self, number: int, old: Standing, new: Standing) -> None:
        if (old.state, old.cause) != ("unknown", _LOST) or new is not PENDING or not self.resends:
            raise self.found("something was sent again", f"record {number}: {old} to {new}")
        held = self.taken_at.get(number, 0.0) + self.hold
        if self.now() < held - _TOLERANCE:
            raise self.found("sent again while it may arrive", f"record {number}")
        self.marks["sent again after it was lost"] += 1
        self._forget(number)

    def _decided(self, number: int, old: Standing, new: Standing, source: str, end: str) -> None:
        if old.state != source or (new.state or "pending") != end or new.in_flight:
            raise self.found("a decision changed a record", f"{number}: {old} to {new}")
        self.excused.add(number)
        if end == "pending":
            if old.cause == _LOST and self.now() < self.taken_at.get(number, 0.0) + self.hold:
                raise self.found("decided to send again what may arrive", f"record {number}")
            self._forget(number)

    def _forget(self, number: int) -> None:
        """What is sent again may be stored twice, and what was heard of it counts no more."""
        self.excused.add(number)
        if number in self.exposed:
            self.twice.add(number)
        for known in (self.exposed, self.confirmed, self.refused):
            known.discard(number)

    def _read(self, seen: Seen) -> list[Standing]:
        found, records = [PENDING] * len(self.keys), 0
        for bucket, start, stop, words in seen.spans:
            standing = self._known.setdefault(words, Standing(*words))
            first = self.starts[bucket]
            found[first + start : first + stop] = [standing] * (stop - start)
            records += stop - start
        for bucket, start, stop in seen.flights:
            first = self.starts[bucket]
            found[first + start : first + stop] = [FLYING] * (stop - start)
            records += stop - start
        if records != len(found) - found.count(PENDING):
            raise self.found("a record is settled twice, or settled and in flight")
        return found

    # --- the books ---------------------------------------------------------------------------

    def is_settled(self) -> bool:
        return all(each.state is not None for each in self.book)

    def pending_in(self, bucket: int) -> int:
        """How many records of a bucket are pending."""
        return self.book[self.starts[bucket] : self.starts[bucket + 1]].count(PENDING)

    def counts(self, in_flight: str = "in_flight") -> Counter[str]:
        """Records by state; those in flight by the name given."""
        return counts_of(self.book, in_flight=in_flight)

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
            late=self.marks["stored after the client gave up"] > 0
            or self.marks["left in the window that remains"] > 0,
            at_most_once=self.at_most_once,
        )
