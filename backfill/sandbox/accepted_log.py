"""What the sandbox saw: counts, records accepted, and promises that a client broke.

The log is the record of truth: a line stands in it before the reply is on its way.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["Accepted", "AcceptedLog", "DestinationCounts", "InjectedFault"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored record: `index` is its place in the request, `fault` what its reply met."""

    at: float  # seconds since the epoch
    destination: str
    key: str
    request: str
    index: int
    record: dict[str, Any]
    fault: str | None = None

    def line(self) -> bytes:
        """The record's line in the log."""
        content = {
            "at": round(self.at, 6),
            "destination": self.destination,
            "key": self.key,
            "request": self.request,
            "index": self.index,
            **({"fault": self.fault} if self.fault else {}),
            "record": self.record,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A request that met a fault on demand, and whether its records were stored before it."""

    destination: str
    request: str
    fault: str
    stored: bool
    records: tuple[Any, ...]


@dataclass(slots=True)
class DestinationCounts:
    """Counts of one destination.

    `overlaps` counts requests that came while another with one of their keys was in flight,
    `disorder` records whose time lies before that of an earlier one of the same key.
    """

    requests: int = 0
    accepted: int = 0  # records
    overlaps: int = 0
    disorder: int = 0
    statuses: Counter[str] = field(default_factory=Counter)  # replies by status
    faults: Counter[str] = field(default_factory=Counter)  # requests by fault

    def as_dict(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "overlaps": self.overlaps,
            "disorder": self.disorder,
            "statuses": dict(self.statuses),
            "faults": dict(self.faults),
        }


class AcceptedLog:
    """Counts and stores. `keep` also holds records and faulty requests in memory, for tests."""

    def __init__(self, destinations: Sequence[str], log: Path | None, *, keep: bool) -> None:
        self.counts = {name: DestinationCounts() for name in destinations}
        self.accepted: list[Accepted] = []
        self.injected: list[InjectedFault] = []
        self.strays: Counter[str] = Counter()  # replies to other addresses, by status
        self._keep = keep
        self._in_flight: dict[str, Counter[str]] = {name: Counter() for name in destinations}
        # The latest time of each key, of those whose records say when they happened.
        self._last: dict[str, dict[str, datetime | None]] = {name: {} for name in destinations}
        # Unbuffered: what a killed client left behind is compared with these lines.
        self._log = log.open("ab", buffering=0) if log else None

    def keys(self, destination: str) -> Container[str]:
        """The keys of the records that were stored, where those say when they happened."""
        return self._last[destination]

    @contextmanager
    def in_flight(self, destination: str, keys: frozenset[str]) -> Iterator[None]:
        """Hold the keys of a request while it is in flight."""
        keys_there = self._in_flight[destination]
        if not keys_there.keys().isdisjoint(keys):
            self.counts[destination].overlaps += 1
        keys_there.update(keys)
        try:
            yield
        finally:
            for key in keys:
                if keys_there[key] == 1:
                    del keys_there[key]
                else:
                    keys_there[key] -= 1

    def store(
        self,
        destination: str,
        request: str,
        items: Sequence[tuple[str, str | None, dict[str, Any]]],
        fault: str | None,
    ) -> None:
        """Take the records (key, time, record) of one request, in order. Durable against our end.

        A time is "" where a record has none, and None where those of its kind never have one.
        """
        now = time.time()
        counts = self.counts[destination]
        if self._log or self._keep:
            records = [
                Accepted(now, destination, key, request, index, record, fault)
                for index, (key, _, record) in enumerate(items)
            ]
            if self._log:
                self._log.write(b"".join(record.line() for record in records))
            if self._keep:
                self.accepted.extend(records)
        counts.accepted += len(items)
        last = self._last[destination]
        for key, text, _ in items:
            if text is not None:
                counts.disorder += _out_of_order(last, key, text)

    def inject(self, fault: InjectedFault) -> None:
        """Count a fault that was injected."""
        self.counts[fault.destination].faults[fault.fault] += 1
        if self._keep:
            self.injected.append(fault)

    def close(self) -> None:
        if self._log:
            self._log.close()


def _out_of_order(latest: dict[str, datetime | None], key: str, text: str) -> bool:
    """Whether a record is earlier than one before it of the same key; the latest is kept."""
    last = latest.get(key)
    try:
        at = datetime.fromisoformat(text.upper()) if text else None
    except ValueError:  # a leap second is right in RFC 3339 and unknown to Python
        at = None
    late = at is not None and last is not None and at < last
    latest[key] = last if late or at is None else at
    return late
