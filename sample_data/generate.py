"""Make the sample data again: `python -m sample_data.generate`, from the repository's root.

Everything comes from one seed, and every fault is planted on purpose, so `counts` knows what a
plan must find: it is worked out from what was planted, never from what the program says.
"""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sample_data.shop import Shop, make_shop
from sample_data.verifications import Feedback, make_feedbacks

__all__ = ["LEFT_OUT", "Sample", "contacts_csv", "counts", "events_frame", "feedbacks_csv", "make"]

SEED = 20_240_229


@dataclass(frozen=True)
class Sample:
    """What the three files hold."""

    shop: Shop
    feedbacks: list[Feedback]


def make() -> Sample:
    """The sample, the same every time."""
    chance = random.Random(SEED)  # noqa: S311 - sample data, meant to be the same every time
    shop = make_shop(chance)
    return Sample(shop, make_feedbacks(chance, shop))


# --- what a plan must find -------------------------------------------------------------------

_PRISTO = {
    "legacy_id": ("contact.id|uuid",),
    "unreachable": ("contact|reachable",),
    "unknown_contact": ("contact|reachable",),
    "bad_phone": ("contact.phone|e164",),
    "bad_email": ("contact.email|email",),
    "old_plan": ("contact.customFields.plan|unmapped",),
    "future": ("occurredAt|future",),
    "no_time": ("occurredAt|required",),
    "skipped_time": ("occurredAt|nonexistent",),
    "long_note": ("customFields.note|max_length",),
    "no_name": ("type|required",),
}
# By `drop_invalid`: the record goes on without it, unless it is rejected for another reason.
LEFT_OUT = "contact.language|language"
_WATCH_EVENTS = {
    "unreachable": ("target.value|required",),
    "unknown_contact": ("target.value|required",),
    "no_phone": ("target.value|required",),
    "bad_phone": ("target.value|e164",),
    "future": ("time|future",),
    "skipped_time": ("time|nonexistent",),
    "no_name": ("label|required", "confidence|required"),
    "untabled": ("confidence|unmapped",),
}
_WATCH_FEEDBACKS = {
    "malformed": ("row|malformed",),
    "failed_type": ("type|choice",),
    "email_target": ("target.type|phone_only",),
    "bad_number": ("target.value|e164",),
    "no_number": ("target.value|required",),
    "long_correlation": ("metadata.correlation_id|max_length",),
    "bad_time": ("time|format",),
}


def counts(sample: Sample) -> dict[str, dict[str, int]]:
    """Rows by book and by reason, for each configuration."""
    events = [
        (event.faults | (event.contact.faults if event.contact else frozenset()), event.copy)
        for event in sample.shop.events
    ]
    feedbacks = [(row.faults, row.copy) for row in sample.feedbacks]
    left_out = sum("bad_language" in faults for faults, _ in events)
    return {
        "pristo": _counted(events, _PRISTO) | {LEFT_OUT: left_out},
        "watch-events": _counted(events, _WATCH_EVENTS),
        "watch-feedbacks": _counted(feedbacks, _WATCH_FEEDBACKS),
    }


def _counted(
    rows: list[tuple[frozenset[str], bool]], meaning: Mapping[str, tuple[str, ...]]
) -> dict[str, int]:
    found: Counter[str] = Counter(input=len(rows))
    for faults, copy in rows:
        reasons = {reason for fault in faults for reason in meaning.get(fault, ())}
        found.update(reasons)
        found["rejected" if reasons else "duplicate" if copy else "ready"] += 1
    return dict(sorted(found.items()))


# --- files -----------------------------------------------------------------------------------


def contacts_csv(shop: Shop) -> bytes:
    """The contacts as the shop exports them: earlier rows first, some of them damaged."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [
        "id",
        "country",
        "first_name",
        "last_name",
        "email",
        "mobile",
        "language",
        "plan",
        "notes",
    ]
    writer.writerow(names)
    for contact in (*shop.outdated, *shop.contacts):
        writer.writerow([getattr(contact, name) for name in names])
    lines = out.getvalue().splitlines(keepends=True)
    for number in (3, 17, 31):  # three of the earlier rows, each with cells that no column has
        lines[number] = lines[number].rstrip("\n") + ",,moved,\n"
    return "".join(lines).encode()


def events_frame(shop: Shop) -> pl.DataFrame:
    rows = shop.events
    return pl.DataFrame(
        {
            "order_no": pl.Series(range(700_001, 700_001 + len(rows)), dtype=pl.Int32),
            "user_id": pl.Series([row.user for row in rows]),
            "event": pl.Series([row.name for row in rows], dtype=pl.Categorical),
            "at": pl.Series([row.at for row in rows], dtype=pl.Datetime("us")),
            "amount": pl.Series([row.amount for row in rows], dtype=pl.Decimal(10, 2)),
            "items": pl.Series([row.items for row in rows], dtype=pl.Int16),
            "first_order": pl.Series([row.first_order for row in rows], dtype=pl.Boolean),
            "channel": pl.Series([row.channel for row in rows], dtype=pl.Categorical),
            "note": pl.Series([row.note for row in rows], dtype=pl.String),
        }
    )


def feedbacks_csv(feedbacks: list[Feedback]) -> bytes:
    lines = [b"sent_at,kind,number,event,correlation"]
    for row in feedbacks:
        cells = (row.at, row.kind, row.number, row.event, row.correlation)
        lines.append(row.raw or ",".join(cells).encode())
    return b"\n".join(lines) + b"\n"


def main() -> None:
    here = Path(__file__).parent
    sample = make()
    (here / "contacts.csv").write_bytes(contacts_csv(sample.shop))
    (here / "verifications.csv").write_bytes(feedbacks_csv(sample.feedbacks))
    events_frame(sample.shop).write_parquet(here / "events.parquet", compression_level=19)
    for name, found in counts(sample).items():
        print(f"\n{name}")  # noqa: T201 - a script that a person runs
        for what, count in found.items():
            print(f"| `{what}` | {count:,} |")  # noqa: T201 - the rows of the README's tables


if __name__ == "__main__":
    main()
