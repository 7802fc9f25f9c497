"""What the deliverers of one run share: what it may send in all, and what each may send next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

__all__ = ["Allowance", "BucketProgress", "Report", "RunBudget", "Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run may send, over all who deliver it. Of None there is no limit.

    `rate` is in requests a second, `limit` in records, `seconds` how long the run may last. More
    than `max_errors` failed records, or than `max_share` of at least `fair_sample` settled ones,
    stop it, and so do `most_ambiguous` answers in a row that leave their records unknown.
    `rate_said` is how many times a rate had been said beside runs when this one began, and
    `address` where all of them send to.
    """

    rate: float | None = None
    limit: int | None = None
    seconds: float | None = None
    max_errors: int | None = None
    max_share: float | None = None
    fair_sample: int = 1
    most_ambiguous: int | None = None
    rate_said: int = 0
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of requests and records since the last draw, and what is wanted of the next.

    `refused` holds how many seconds ago each request that was told to slow down had left, and the
    rate then. `answered` says that a request had a definite answer, `ambiguous` how many had none
    after it. `given_back` are records of the limit that were drawn and not sent. `rate` is what
    this process found or was told, `heard` the number of the last refusal that it knows of, `hush`
    for how many seconds from now on nobody may send. `waits` says that it has room and too few
    buckets.
    """

    sent: int = 0
    accepted: int = 0
    refused: tuple[tuple[float, float], ...] = ()
    delivered: int = 0
    failed: int = 0
    answered: bool = False
    ambiguous: int = 0
    given_back: int = 0
    rate: float | None = None
    heard: int = 0
    hush: float | None = None
    waits: bool = False
    wanted: int = 0  # requests
    records: int = 0  # of the limit, wanted


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests may be sent, the first at `begins`, each `spacing` after the last one.

    `begins` and `quiet_until` are moments on this process's monotonic clock; `spacing` is in
    seconds. `records` is what the run's limit leaves for this process until the next draw, None
    where it has none. With another `generation` than an earlier allowance's, that one counts no
    more. `stop` says that nothing more is to be sent by anybody.

    `leads` says whether this process is the one that finds the rate, `others` how many there are
    besides, `place` how many of them joined before it, `waiting` whether one of them waits for a
    bucket, `rate` what all keep to. `sent` to `settled` count what all did in this run;
    `refusals` are those of the others that were not heard of: when each had left, and the rate
    then; `heard` is the number of the last one.
    """

    requests: int
    records: int | None
    begins: float
    spacing: float
    generation: int
    quiet_until: float
    stop: Literal["limit", "time", "errors", "down"] | None
    leads: bool
    others: int
    rate: float | None
    sent: int
    accepted: int
    failed: int
    settled: int
    refusals: tuple[tuple[float, float], ...]
    heard: int
    place: int = 0
    waiting: bool = False


class BucketProgress(NamedTuple):
    """The records of a bucket that are settled, and those in flight."""

    delivered: int = 0
    failed: int = 0
    unknown: int = 0
    in_flight: int = 0

    @property
    def settled(self) -> int:
        return self.delivered + self.failed + self.unknown


class RunBudget(Protocol):
    """One rate, one limit and one quiet period over all who deliver a job at the same time."""

    def join(self, terms: Terms, *, sends: bool = True) -> tuple[bool, Terms]:
        """Take part in a run, and say what it may send, if nobody else is in one.

        One that does not send only keeps the run going until it leaves. Returns whether this
        process was the first, and what holds.
        """

    def draw(self, report: Report) -> Allowance:
        """Report, and draw what may be sent next."""

    def leave(self) -> bool:
        """Take no part any more. Returns whether nobody else does."""

    def notices(self) -> AbstractContextManager[Callable[[float], tuple[int, float] | None]]:
        """A function that waits so many seconds for the next quiet period to be announced: its
        generation, and how many seconds it lasts from now on. None where none was in time."""
