"""What a job tells of its records, against what a server stored. No file, no clock, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.promises.finding import Finding

__all__ = ["NOTHING", "Excused", "ServerLog", "Told", "check_delivery"]


class Told(NamedTuple):
    """What a job tells of a record that was ready. Several records may be the same one."""

    record: str  # what tells it apart on the server, such as its body
    key: str  # the ordering key
    state: str  # pending, delivered, failed or unknown


@dataclass(frozen=True)
class ServerLog:
    """What a server stored, in order of arrival, once for each time.

    `overlaps` counts requests that came while another with one of their keys was in flight.
    `received` is given by servers whose replies lie: all that may rightly be called delivered.
    """

    stored: Sequence[str]
    overlaps: int = 0
    received: Mapping[str, int] | None = None


def _none(record: str) -> bool:
    del record
    return False


@dataclass(frozen=True)
class Excused:
    """What happened to a run that explains some deviations."""

    overlaps: int = 0  # requests that were given up, and that the server still worked on
    resent: Callable[[str], bool] = _none  # records that somebody decided to send again
    retried: Callable[[str], bool] = _none  # records that had failed and were sent again
    late: bool = False  # requests may reach the server long after they were given up


NOTHING = Excused()


def check_delivery(
    told: Iterable[Told], log: ServerLog, *, at_most_once: bool = True, excused: Excused = NOTHING
) -> None:
    """Raise Finding for the first promise that was not kept.

    `told` are all records that were ready, those of one key in the order of delivery.
    """
    told = list(told)
    held: dict[str, Counter[str]] = {
        state: Counter() for state in ("pending", "delivered", "failed", "unknown")
    }
    for each in told:
        held[each.state][each.record] += 1
    stored = Counter(log.stored)
    known = sum(held.values(), Counter[str]())

    _nothing({each: n for each, n in stored.items() if each not in known}, "stored, and not ready")
    received = stored if log.received is None else Counter(log.received)
    _nothing(held["delivered"] - received, "delivered, and not stored")
    if at_most_once:
        again = Counter({each: n for each, n in stored.items() if excused.resent(each)})
        once = stored - again
        _nothing(once - known, "stored twice")
        _nothing(
            once - held["delivered"] - held["unknown"], "stored, and told as pending or failed"
        )
    if not excused.late:
        _in_order(told, log, at_most_once, excused)
    if log.overlaps > excused.overlaps:
        raise Finding(
            "two requests of one key at once", f"{log.overlaps}, of {excused.overlaps} explained"
        )


def _in_order(told: list[Told], log: ServerLog, at_most_once: bool, excused: Excused) -> None:
    """The first arrivals of a key come in its order. What is sent again comes when it comes."""
    keys = {each.record: each.key for each in told}
    planned: dict[str, list[str]] = {}
    for each in told:
        planned.setdefault(each.key, []).append(each.record)
    left = {key: iter(records) for key, records in planned.items()}
    seen: set[str] = set()
    for record in log.stored:
        if excused.resent(record) or excused.retried(record):
            continue
        if record in seen and not at_most_once:
            continue
        seen.add(record)
        if record not in left[keys[record]]:
            raise Finding("stored after a later record of its key", record[:300])


def _nothing(records: Mapping[str, int], kind: str) -> None:
    if records:
        raise Finding(kind, f"{sum(records.values())} records, such as {next(iter(records))[:300]}")
