"""What is known of a job, read in the same words from either database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from backfill.core.errors import LedgerError
from backfill.core.model import Attempt, Cause, Outcome, Range, RequestCounts, State, Tick
from backfill.ledger import statements as sql
from backfill.ledger.lane_cache import SettledTwiceError, merged
from backfill.ledger.spans import Span

__all__ = ["LedgerReading"]

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

    def attempts(self, bucket: int, position: int) -> list[tuple[float, int, Attempt]]:
        """The requests that left this record pending, in order: when each ended, how many records
        of one range it held, and what was said.
        """
        return [
            (at, records, Attempt(reason, status, request_id))
            for at, records, status, reason, request_id in self._read(
                sql.ATTEMPTS, (bucket, position, position)
            )
        ]

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
            return start, stop, (state, status, reason, request_id, cause)
        return None
