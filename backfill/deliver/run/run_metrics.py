"""Counts what a run does: for the ledger's slices of time, and for whoever watches."""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from backfill.core.model import Flow, Settlement, State, Tick, Verdict
from backfill.ledger.spans import has_left

__all__ = ["SLICE", "Meter", "Snapshot"]

SLICE = 10
"""Seconds of one tick."""

_RECENT = 5.0  # seconds over which the present rate is taken
_LONGEST = 200  # characters of an answer that are kept
_DISTINCT = 1000  # answers that are told apart
_TOLD = 5  # of them
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run stands. Records count over all runs of the job, requests over this one.

    `rate` is requests a second over the last seconds; `limit` what the limiter allows, None
    where it has not found it yet; `quiet_until` seconds since the epoch, 0 where nobody asked
    for quiet; `in_flight` requests that wait for their reply. `outcomes` counts the requests of
    this run by what became of them, `latency` its replies by duration, as `Tick` does, and
    `waited` adds those durations up, in seconds. `waits_for` names what is away and waited for: the
    storage of the job's files, or the database.
    """

    pending: int
    delivered: int
    failed: int
    unknown: int
    sent: int
    throttled: int
    retried: int
    in_flight: int
    rate: float
    limit: float | None
    quiet_until: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    latency: Mapping[int, int] = field(default_factory=dict)
    waited: float = 0.0
    paused: bool = False
    waits_for: str = ""


class Meter:
    """One tally of records and requests. `clock` gives seconds since the epoch."""

    def __init__(
        self, counts: Mapping[State, int], ready: int, *, clock: Callable[[], float]
    ) -> None:
        self.records = Counter({state: counts.get(state, 0) for state in _AT_REST})
        self.sent = 0
        self.throttled = 0
        self.retried = 0
        self.in_flight = 0
        self._ready = ready
        self._clock = clock
        self._reported = (0, 0)
        self._latency: Counter[int] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._heard: Counter[tuple[int | None, str]] = Counter()
        self._words: dict[tuple[int | None, str], str] = {}
        self._all_latency: Counter[int] = Counter()
        self._waited = 0.0
        self._recent: deque[tuple[float, int]] = deque([(clock(), 0)])

    @property
    def pending(self) -> int:
        return self._ready - self.records.total()

    def began(self, *, again: bool) -> None:
        """A request's bytes are about to leave."""
        self.sent += 1
        self.in_flight += 1
        self.retried += again

    def withheld(self, *, again: bool) -> None:
        """It was not sent after all."""
        self.sent -= 1
        self.in_flight -= 1
        self.retried -= again

    def adopt(self, counts: Mapping[State, int]) -> None:
        """Count the records of all who deliver the job, as the ledger knows them."""
        self.records = Counter({state: counts.get(state, 0) for state in _AT_REST})

    def ended(self, verdict: Verdict, seconds: float, *, replied: bool) -> None:
        """Its verdict is there, after so many seconds."""
        self.in_flight -= 1
        self.throttled += verdict.throttled
        self._outcomes["throttled" if verdict.throttled else verdict.flow] += 1
        if verdict.flow is not Flow.DELIVERED:
            self._hear(verdict)
        if replied:
            # Two slots for each doubling, from 1 ms.
            slot = int(2 * math.log2(seconds * 1000)) if seconds > 0.001 else 0
            self._latency[slot] += 1
            self._all_latency[slot] += 1
            self._waited += seconds

    def _hear(self, verdict: Verdict) -> None:
        """Count the words; those of one status that differ in numbers alone count together, as the
        first.
        """
        status = verdict.http_status
        words = f"{status or ''} {verdict.reason}".strip()[:_LONGEST] or "no reply"
        alike = status, _DIGITS.sub("0", words)
        if alike in self._words or len(self._words) < _DISTINCT:
            self._words.setdefault(alike, words)
            self._heard[alike] += 1

    def answers(self) -> tuple[tuple[str, int], ...]:
        """The most frequent answers of this run that were no success, as `Stop` has them."""
        return tuple((self._words[each], count) for each, count in self._heard.most_common(_TOLD))

    def tick(self, settled: Iterable[Settlement]) -> Tick:
        """What is new since the last tick, together with records that come to rest now.

        A request counts as sent with the settlement that ends it: one that never gets there is
        counted when its intent is recovered.
        """
        ends: Counter[State] = Counter()
        sent = 0
        for settlement in settled:
            sent += has_left(settlement)
            for outcome in settlement.outcomes:
                for start, stop in outcome.ranges:
                    ends[outcome.state] += stop - start
        now = (self.throttled, self.retried)
        throttled, retried = (new - old for new, old in zip(now, self._reported, strict=True))
        self._reported = now
        latency, self._latency = self._latency, Counter()
        return Tick(
            at=int(self._clock() // SLICE * SLICE),
            sent=sent,
            throttled=throttled,
            retried=retried,
            delivered=ends[State.DELIVERED],
            failed=ends[State.FAILED],
            unknown=ends[State.UNKNOWN],
            latency=latency,
        )

    def count(self, tick: Tick) -> None:
        """A tick is in the ledger: its records count from now on."""
        self.records[State.DELIVERED] += tick.delivered
        self.records[State.FAILED] += tick.failed
        self.records[State.UNKNOWN] += tick.unknown

    def at_rest(self) -> dict[str, int]:
        """Records delivered, failed and unknown, by the state's name."""
        return {state.value: count for state, count in self.records.items()}

    def snapshot(
        self,
        *,
        limit: float | None,
        quiet_until: float,
        paused: bool = False,
        waits_for: str = "",
    ) -> Snapshot:
        now = self._clock()
        self._recent.append((now, self.sent))
        while len(self._recent) > 2 and now - self._recent[1][0] >= _RECENT:
            self._recent.popleft()
        then, sent = self._recent[0]
        return Snapshot(
            pending=self.pending,
            delivered=self.records[State.DELIVERED],
            failed=self.records[State.FAILED],
            unknown=self.records[State.UNKNOWN],
            sent=self.sent,
            throttled=self.throttled,
            retried=self.retried,
            in_flight=self.in_flight,
            rate=(self.sent - sent) / (now - then) if now > then else 0.0,
            limit=limit,
            quiet_until=quiet_until,
            outcomes={str(outcome): count for outcome, count in self._outcomes.items()},
            latency=dict(self._all_latency),
            waited=self._waited,
            paused=paused,
            waits_for=waits_for,
        )


_AT_REST = (State.DELIVERED, State.FAILED, State.UNKNOWN)
