"""What is known of a job, read in the same words from either database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from backfill.core.errors import LedgerError
from backfill.core.model import Cause, Outcome, Range, RequestCounts, State, Tick
from backfill.ledger import statements as sql
from backfill.ledger.lane_cache import SettledTwiceError, merged
from backfill.ledger.spans import Span

__all__ = ["ADDRESS", "QUIET_ASKED_AT", "QUIET_UNTIL", "LedgerReading"]

ADDRESS = "address"
"""The fact of where the records go."""

QUIET_UNTIL, QUIET_ASKED_AT = "quiet_until", "quiet_asked_at"
"""The facts of a quiet period, both in seconds since the epoch."""

_PAGE = 20_000  # spans read at a time, so that a long look does not hold up a commit
_SPAN = ("bucket", "start", "stop", "state", "http_status", "reason", "request_id", "cause", "at")


class LedgerReading(ABC):
    """The part of a ledger that only reads. Every method raises LedgerError."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The ledger's place, as messages name it; never with a password."""

    @abstractmethod
    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a question whose parameters are question marks."""

    @abstractmethod
    def get_meta(self, key: str) -> str | None:
        """A small fact, or None where it was never remembered."""

    @abstractmethod
    def _moment(self) -> float:
        """Now, in seconds since the epoch."""

    def address(self) -> str | None:
        """Where the records go, or None before the first intent."""
        return self.get_meta(ADDRESS) or None

    def quiet_until(self) -> float:
        """Before when nothing may be sent, in seconds since the epoch; 0 where nobody asked.

        Where the clock was set back since, no longer from now than was asked for then.
        """
        until = float(self.get_meta(QUIET_UNTIL) or 0)
        return until and until - self._set_back(self._moment())

    def quiet_after_set_back(self) -> tuple[float, float] | None:
        """What is to be stored where the clock was set back since a wait was asked for, and the
        stored end would stay ahead of it: the end and now, in seconds since the epoch.
        """
        until = float(self.get_meta(QUIET_UNTIL) or 0)
        if not until or not (back := self._set_back(now := self._moment())):
            return None
        return until - back, now

    def _set_back(self, now: float) -> float:
        """Seconds by which the clock was set back, at least, since a wait was asked for."""
        return max(0.0, float(self.get_meta(QUIET_ASKED_AT) or 0) - now)

    def settled(self, bucket: int) -> list[Range]:
        """The positions of a bucket that are not pending: merged, ascending ranges."""
        try:
            return merged(self._read(sql.SETTLED, (bucket,)))
        except SettledTwiceError as error:
            raise LedgerError(
                f"the ledger is damaged: position {error.position} of bucket {bucket} is settled"
                " twice",
                where=self.where,
            ) from None

    def counts(self) -> dict[State, int]:
        """How many records are DELIVERED, FAILED and UNKNOWN, zeros included."""
        found = dict(self._read(sql.COUNTS))
        return {
            state: found.get(state.value, 0)
            for state in (State.DELIVERED, State.FAILED, State.UNKNOWN)
        }

    def in_flight(self) -> int:
        """How many records are about to be sent or wait for their reply."""
        count: int = self._read(sql.IN_FLIGHT)[0][0]
        return count

    def requests(self) -> RequestCounts:
        """The requests of all runs."""
        return RequestCounts(*self._read(sql.REQUESTS)[0])

    def ticks(self) -> list[Tick]:
        """What happened in each slice of time of all runs, in order."""
        latency: dict[int, dict[int, int]] = {}
        for at, slot, replies in self._read(sql.LATENCIES):
            latency.setdefault(at, {})[slot] = replies
        rows = self._read(sql.TICKS)
        # The columns come in the order of Tick's own fields; its last is the latency.
        return [Tick(*(*row, latency.get(row[0], {}))) for row in rows]

    def outcomes(self, state: State | None = None) -> Iterator[tuple[int, Outcome, float]]:
        """Every span, or those of one state, by bucket and position: (bucket, outcome, when).

        `when` is in seconds since the epoch, and that of a span's last request.
        """
        for bucket, start, stop, found, *words, at in self._spans(state):
            status, reason, request_id, cause = words
            ranges = ((start, stop),)
            outcome = Outcome(ranges, State(found), reason, status, request_id, Cause(cause))
            yield bucket, outcome, at

    def outcome_columns(self, state: State | None = None) -> dict[str, list[Any]]:
        """The same as columns of equal length, for a frame.

        `bucket`, `start`, `stop`, `state`, `http_status`, `reason`, `request_id`, `cause`, `at`.
        """
        columns = list(zip(*self._spans(state), strict=True)) or [()] * len(_SPAN)
        return {name: list(column) for name, column in zip(_SPAN, columns, strict=True)}

    def _spans(self, state: State | None) -> Iterator[tuple[Any, ...]]:
        last: tuple[int, int] = (-1, -1)
        while True:
            if state is None:
                page = self._read(sql.OUTCOMES, (*last, _PAGE))
            else:
                page = self._read(sql.OUTCOMES_IN_STATE, (*last, state.value, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][:2]

    def _read_tail(self, bucket: int, position: int) -> Span | None:
        """The last span of a bucket that begins before a position."""
        for start, stop, *words in self._read(sql.SPAN_BEFORE, (bucket, position)):
            state, status, reason, request_id, cause = words
            return Span(start, stop, (state, status, reason, request_id, cause), stored=stop)
        return None
