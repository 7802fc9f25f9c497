"""How the shop's phone verifications went on, as two gateways wrote it into one file."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from sample_data.shop import FIRST, LAST, ZONE, Shop

__all__ = ["Feedback", "make_feedbacks"]

PLANTED_FEEDBACKS = {  # fault: rows that have it
    "failed_type": 60,
    "email_target": 45,
    "bad_number": 30,
    "no_number": 12,
    "long_correlation": 18,
    "bad_time": 10,
}
WARNED = 20  # correlation ids of 65 to 80 characters: sent, with a warning
FEEDBACK_COPIES = 80
MALFORMED = (
    *(b"2024-05-0%d 10:00:00Z,phone_number,+12025550143,verification.started,v,one,cell" % n
      for n in range(1, 6)),
    *(b'"2024-06-0%dT10:00:00Z"?,phone_number,+12025550143,verification.started,quote' % n
      for n in range(1, 5)),
    *(b"2024-07-0%dT10:00:00Z,phone_number,+12025550143,verification.started,caf\xe9-%d" % (n, n)
      for n in range(1, 4)),
    b"sent_at,kind,number,event,correlation",
)  # fmt: skip


@dataclass(frozen=True)
class Feedback:
    """A row of the verification file, or with `raw` a line that is no row at all."""

    at: str = ""
    kind: str = "phone_number"
    number: str = ""
    event: str = "verification.started"
    correlation: str = ""
    raw: bytes = b""
    faults: frozenset[str] = frozenset()
    copy: bool = False


def make_feedbacks(chance: random.Random, shop: Shop) -> list[Feedback]:
    """Verifications of the shop's contacts, in no order."""
    numbers = [c.mobile for c in shop.contacts if c.mobile and not c.faults]
    span = int((LAST - FIRST).total_seconds())
    seconds = iter(chance.sample(range(0, span, 200), 10_000))
    rows: list[Feedback] = []
    while len(rows) < 6_000 - FEEDBACK_COPIES - len(MALFORMED):
        at = FIRST + timedelta(seconds=next(seconds))
        number = chance.choice(numbers)
        correlation = f"vrf_{chance.getrandbits(48):012x}" if chance.random() < 0.9 else ""
        started = Feedback(_written(at, chance), number=number, correlation=correlation)
        rows.append(started)
        if chance.random() < 0.8:
            later = _written(at + timedelta(seconds=chance.randrange(8, 120)), chance)
            if chance.random() < 0.02:
                later = started.at  # in the same second; the start still goes first
            rows.append(replace(started, at=later, event="verification.completed"))
    del rows[6_000 - FEEDBACK_COPIES - len(MALFORMED) :]
    spots = iter(chance.sample(range(len(rows)), len(rows)))
    for fault, count in PLANTED_FEEDBACKS.items():
        for nth, index in enumerate(islice(spots, count)):
            rows[index] = _mistaken(rows[index], fault, nth)
    for nth, index in enumerate(islice(spots, WARNED)):
        rows[index] = replace(rows[index], correlation="vrf_" + "w" * (61 + nth % 16))
    clean = [row for row in rows if not row.faults]
    rows += [replace(row, copy=True) for row in chance.sample(clean, FEEDBACK_COPIES)]
    rows += [Feedback(raw=line, faults=frozenset({"malformed"})) for line in MALFORMED]
    chance.shuffle(rows)
    return rows


def _written(at: datetime, chance: random.Random) -> str:
    """One of the ways in which the two gateways write a moment."""
    if chance.random() < 0.7:
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}{at.astimezone(ZONE):%z}"


def _mistaken(row: Feedback, fault: str, number: int) -> Feedback:
    marked = replace(row, faults=frozenset({fault}))
    match fault:
        case "failed_type":
            return replace(marked, event="verification.failed")
        case "email_target":
            return replace(marked, kind="email_address", number=f"customer{number}@example.com")
        case "bad_number":
            return replace(marked, number=("7700900461", "+", "+0447700900461")[number % 3])
        case "no_number":
            return replace(marked, number="")
        case "long_correlation":
            return replace(marked, correlation="vrf_" + "x" * (77 + number))
    return replace(marked, at=("yesterday", "31/12/2024 10:00", "2024-13-01T00:00:00Z")[number % 3])
