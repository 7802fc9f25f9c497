"""How a job stands: its books, its phase, what to type next, and the exit code that says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from backfill.core.model import Books, RequestCounts, State, Stop, StopKind
from backfill.core.urls import is_here

__all__ = ["Phase", "Status", "exit_code", "place_of", "stop_as_text", "stop_from_text"]


class Phase(StrEnum):
    """How far a job is."""

    PLANNED = "planned"  # nothing was sent yet
    RUNNING = "running"  # a process works on it now
    STOPPED = "stopped"  # some was sent, some is pending
    COMPLETE = "complete"  # nothing is pending
    ABANDONED = "abandoned"  # nothing more is sent, whatever is pending


@dataclass(frozen=True, slots=True)
class Status:
    """A job at one moment. `status["records"]["failed"]` reads it like the object of `--json`.

    `rate` is in requests a second, of the last minute while the job is running, else over all
    runs that came to an end; `seconds_left` the time that the pending records need at that pace.
    Both are None before there is anything to go by. `address` is where the records go, None before
    the first one, and `rehearsal` says that it is this machine. `rest` is the job that has the rest
    of this one, which was abandoned, and `next` the command to type now.
    `started_at` and `ended_at` are those of the last run, in seconds since 1970; one that was
    killed has no end.
    """

    job: str
    destination: str
    phase: Phase
    books: Books
    address: str | None = None
    rehearsal: bool = False
    exclusions: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    requests: RequestCounts = field(default_factory=RequestCounts)
    rate: float | None = None
    seconds_left: float | None = None
    quiet_until: float | None = None
    paused: bool = False
    rest: str | None = None
    next: str | None = None
    stop: Stop | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def place(self) -> str | None:
        """The address in words, None before the first record."""
        return place_of(self.address) if self.address is not None else None

    @property
    def exit_code(self) -> int:
        """That of the last run, 0 before the first one. One that was killed has none of its own: it
        counts as terminated, where no record is unknown.
        """
        if self.phase is Phase.PLANNED and self.stop is None and self.started_at is None:
            return 0
        code = exit_code(self.stop, self.books)
        at_rest = self.phase in (Phase.PLANNED, Phase.STOPPED)
        if at_rest and self._was_killed and not self.books.unknown:
            return StopKind.TERMINATED.exit_code
        return code

    @property
    def _was_killed(self) -> bool:
        return self.stop is None and self.started_at is not None and self.ended_at is None

    def __str__(self) -> str:
        states = ", ".join(f"{self.books.count(state):,} {state}" for state in State)
        return f"{self.job}: {self.phase}; {self.books.input:,} records: {states}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(str(self))

    def __getitem__(self, name: str) -> Any:
        return self.as_dict()[name]

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        stop = self.stop
        return {
            "job": self.job,
            "destination": self.destination,
            "phase": self.phase.value,
            "address": self.address,
            "rehearsal": self.rehearsal,
            "exit_code": self.exit_code,
            "records": self.books.as_dict(),
            "balanced": self.books.balanced,
            "exclusions": dict(self.exclusions),
            "reasons": dict(self.reasons),
            "dropped": dict(self.dropped),
            "requests": self.requests.as_dict(),
            "rate": self.rate,
            "seconds_left": self.seconds_left,
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at),
            "quiet_until": self.quiet_until,
            "paused": self.paused,
            "rest": self.rest,
            "stop": None
            if stop is None
            else {
                "kind": stop.kind.value,
                "message": stop.message,
                "come_back_at": stop.come_back_at,
                "answers": [{"words": words, "requests": n} for words, n in stop.answers],
            },
            "next": self.next,
        }


def _iso(at: float | None) -> str | None:
    """A moment as ISO 8601 has it, in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def place_of(address: str) -> str:
    """An address in words, which call one of this machine a rehearsal."""
    return f"{address} (this machine: a rehearsal)" if is_here(address) else address


def stop_as_text(stop: Stop | None) -> str:
    """A stop as the ledger keeps it between two processes; nothing for none."""
    if stop is None:
        return ""
    return json.dumps([stop.kind.value, stop.message, stop.come_back_at, stop.answers, stop.code])


def stop_from_text(text: str | None) -> Stop | None:
    """The stop that `stop_as_text` wrote down."""
    if not text:
        return None
    kind, message, come_back_at, *more = json.loads(text)  # an older version wrote three
    answers = tuple((words, count) for words, count in (more[0] if more else ()))
    return Stop(StopKind(kind), message, come_back_at, answers, more[1] if more[1:] else None)


def exit_code(stop: Stop | None, books: Books) -> int:
    """The exit code of a run: a stop's own, else what the books say.

    A run that came to its limit with nothing left to send has simply finished.
    """
    if stop is not None:
        return stop.exit_code
    if books.unknown:
        return 5
    if books.rejected or books.failed:
        return 3
    return 0
