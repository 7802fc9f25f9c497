"""The nouns of the domain: records and their states, batches, replies, verdicts, books.

Plain frozen values without behaviour beyond their own arithmetic; every other room speaks in
them. Positions count from 0 inside one bucket; rows count from 1 inside one file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from backfill.core.value import value

__all__ = [
    "Attempt",
    "Batch",
    "Books",
    "Cause",
    "Fault",
    "Flow",
    "Lane",
    "Outcome",
    "Progress",
    "Range",
    "Reply",
    "RequestCounts",
    "Settlement",
    "State",
    "Stop",
    "StopKind",
    "Tick",
    "Verdict",
]


class State(StrEnum):
    """Where a record stands. Each is in exactly one, at any moment."""

    EXCLUDED = "excluded"  # left out on purpose, by the configuration
    REJECTED = "rejected"  # broke a rule before anything was sent
    DUPLICATE = "duplicate"  # the same record stands elsewhere, and the kept one is known
    PENDING = "pending"  # not sent, or sent and known to have done nothing
    DELIVERED = "delivered"
    FAILED = "failed"  # the destination refused it for good
    UNKNOWN = "unknown"  # sent, and nobody can say whether it arrived

    @property
    def meaning(self) -> str:
        """What is true of records in this state, as the end of a line or a sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    State.EXCLUDED: "left out on purpose, by the configuration",
    State.REJECTED: "broke a rule before anything was sent",
    State.DUPLICATE: "the same record stands elsewhere, and that one is kept",
    State.PENDING: "to be sent",
    State.DELIVERED: "the destination has them",
    State.FAILED: "the destination refused them for good",
    State.UNKNOWN: "sent, and nobody can say whether they arrived",
}


@dataclass(frozen=True, slots=True)
class Books:
    """How many records are in each state; `input` is what was read from the events source."""

    input: int = 0
    excluded: int = 0
    rejected: int = 0
    duplicate: int = 0
    pending: int = 0
    delivered: int = 0
    failed: int = 0
    unknown: int = 0

    @property
    def balanced(self) -> bool:
        return self.input == sum(self.count(state) for state in State) and all(
            self.count(state) >= 0 for state in State
        )

    def count(self, state: State) -> int:
        count: int = getattr(self, state.value)
        return count

    def as_dict(self) -> dict[str, int]:
        return {"input": self.input, **{state.value: self.count(state) for state in State}}


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests over all runs of a job: every attempt, those told to slow down, those repeated."""

    sent: int = 0
    throttled: int = 0
    retried: int = 0

    def as_dict(self) -> dict[str, int]:
        return {"sent": self.sent, "throttled": self.throttled, "retried": self.retried}


# --- positions -----------------------------------------------------------------------------

Range = tuple[int, int]
"""Positions `start` up to, not including, `stop`, inside one bucket."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A contiguous range of one bucket, holding all ready records of a share of the keys.

    Its records are delivered in order of position, one request after another.
    """

    bucket: int
    number: int
    start: int
    stop: int


@value
class Batch:
    """The records of one request: ranges of one lane, ascending and disjoint."""

    bucket: int
    lane: int
    ranges: tuple[Range, ...]

    def __len__(self) -> int:
        if len(self.ranges) == 1:  # nearly all of them
            ((start, stop),) = self.ranges
            return stop - start
        return sum(stop - start for start, stop in self.ranges)

    def positions(self) -> list[int]:
        return [position for start, stop in self.ranges for position in range(start, stop)]


# --- what came back ------------------------------------------------------------------------


@value
class Reply:
    """An HTTP response as plain data. Header names are lower case; what came in several lines of
    one name is joined by commas. `body` may be cut short; a text is in UTF-8, however it came.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Fault(StrEnum):
    """Why no response came back.

    The first six happen before a byte of the request can have been processed, so the server
    did nothing. After the others the server may have acted.
    """

    REFUSED = "connection refused"
    UNRESOLVED = "host name not found"
    TLS = "TLS handshake failed"
    CONNECT_TIMEOUT = "timed out while connecting"
    UNREACHABLE = "network unreachable"
    PROXY = "the proxy opened no tunnel"
    TIMEOUT = "timed out waiting for the reply"
    DISCONNECTED = "disconnected before the reply"
    BROKEN_REPLY = "the reply broke off or was not HTTP"

    @property
    def reached(self) -> bool:
        """Whether the request may have reached the server."""
        return self in (Fault.TIMEOUT, Fault.DISCONNECTED, Fault.BROKEN_REPLY)


class Flow(StrEnum):
    """What a reply means for the records of its request."""

    DELIVERED = "delivered"
    FAILED = "failed"  # every record of the request is refused for good
    ISOLATE = "isolate"  # some are bad: fail the named ones, or halve until they stand alone
    SPLIT = "split"  # too large: halve; a single record fails
    AGAIN = "again"  # the server did nothing: always safe to send again, later
    AMBIGUOUS = "ambiguous"  # may have been stored: the guarantee decides
    UNKNOWN = "unknown"  # the server says yes in words that cannot be trusted
    STOP = "stop"  # wrong credential or address: nothing else would fare better


@value
class Verdict:
    """The reading of one reply or fault. Produced by a pure function of the destination.

    `bad` maps an item's index in the request to the server's words about it. `retry_after` is
    in seconds from now; `wait_until` in seconds since the epoch (from an HTTP date).
    """

    flow: Flow
    reason: str = ""
    http_status: int | None = None
    request_id: str | None = None
    bad: Mapping[int, str] = field(default_factory=dict)
    retry_after: float | None = None
    wait_until: float | None = None
    throttled: bool = False

    def wait(self, wall: float) -> float | None:
        """Seconds that the answer asks to wait, the longest where it says so in several ways.

        `wall` is now, in seconds since the epoch. None where it asks for none: "no time at all"
        beside a refusal says nothing, and neither does a date gone by.
        """
        wait = self.retry_after or 0.0
        if self.wait_until is not None:
            wait = max(wait, self.wait_until - wall)
        return wait if wait > 0 else None


# --- what is written down ------------------------------------------------------------------


class Cause(StrEnum):
    """What brought records to rest. A program goes by it; a reason is for people to read."""

    REPLY = "reply"  # what the destination answered, or that it did not
    LOST = "lost"  # the program ended before the reply was written down
    BY_HAND = "by_hand"  # a person said so


@value
class Outcome:
    """Records of a batch that came to rest: DELIVERED, FAILED or UNKNOWN, with the reason."""

    ranges: tuple[Range, ...]
    state: State
    reason: str = ""
    http_status: int | None = None
    request_id: str | None = None
    cause: Cause = Cause.REPLY


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that left some of its records pending: what the server said, if it did."""

    reason: str
    http_status: int | None = None
    request_id: str | None = None


@value
class Settlement:
    """The end of one request. Records of the batch in no outcome are pending again.

    `attempt` is kept for the story of those; None where the request never left.
    """

    batch: Batch
    outcomes: tuple[Outcome, ...] = ()
    attempt: Attempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened in one slice of time, for rates and pictures; counts add up over ticks.

    `at` is the slice's start in seconds since the epoch. `latency` counts replies by duration:
    slot i holds those that took at least 2**(i/2) ms and less than 2**((i+1)/2) ms.
    """

    at: int
    sent: int = 0
    throttled: int = 0
    retried: int = 0
    delivered: int = 0
    failed: int = 0
    unknown: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Records that came to rest."""
        return self.delivered + self.failed + self.unknown

    @classmethod
    def total(cls, at: int, ticks: Sequence[Tick]) -> Tick:
        """One slice that begins at `at` and holds what happened in all of these."""
        latency: Counter[int] = Counter()
        for tick in ticks:
            latency.update(tick.latency)
        return cls(
            at,
            sent=sum(tick.sent for tick in ticks),
            throttled=sum(tick.throttled for tick in ticks),
            retried=sum(tick.retried for tick in ticks),
            delivered=sum(tick.delivered for tick in ticks),
            failed=sum(tick.failed for tick in ticks),
            unknown=sum(tick.unknown for tick in ticks),
            latency=latency,
        )


# --- how a run ends ------------------------------------------------------------------------


class StopKind(StrEnum):
    """Why a run ended before everything was sent. The order is that of precedence."""

    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    ERRORS = "errors"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    LIMIT = "limit"
    FAULT = "fault"  # an error ended it, which the command raises with an exit code of its own

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = dict(zip(StopKind, (6, 7, 4, 130, 143, 8, 1), strict=True))


@dataclass(frozen=True, slots=True)
class Stop:
    """A run's early end: why, in words for the user, and when it makes sense to come back.

    `answers` are the destination's own words in that run where they were no success, each with the
    number of requests that it answered so, the most frequent first. `code` is the exit code where
    it is not the kind's own.
    """

    kind: StopKind
    message: str
    come_back_at: float | None = None
    answers: tuple[tuple[str, int], ...] = ()
    code: int | None = None

    @property
    def exit_code(self) -> int:
        return self.kind.exit_code if self.code is None else self.code


Progress = Callable[[str, int, int | None], None]
"""Called with a phase's name, the units done in it, and the units in all where they are known."""
