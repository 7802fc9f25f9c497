"""Invented sources of a given size, clean unless a test says otherwise."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

__all__ = ["pristo_job", "watch_job"]

_START = datetime(2025, 1, 1, tzinfo=UTC)
_SPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def pristo_job(place: Path, rows: int, *, contacts: int = 50, delivery: str = "") -> Path:
    """Events of some contacts, their times not in the order of the rows. Returns the config."""
    ids = [str(uuid.uuid5(_SPACE, str(number))) for number in range(contacts)]
    pl.DataFrame(
        {
            "id": ids,
            "email": [f"person{number}@example.com" for number in range(contacts)],
        }
    ).write_csv(place / "contacts.csv")
    number = pl.int_range(rows)
    pl.select(
        user_id=pl.lit(pl.Series(ids)).gather(number * 7 % contacts),
        event=pl.lit("purchase"),
        at=pl.lit(_START) + pl.duration(minutes=number * 7919 % rows),
        order_no=pl.format("order-{}", number),
    ).write_parquet(place / "events.parquet")
    config = place / "pristo.toml"
    config.write_text(
        f"""
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "events.parquet"
contact_key = "user_id"
time = "at"
[contacts]
files = "contacts.csv"
key = "id"
[fields]
"contact.id" = "events.user_id"
"contact.email" = "contacts.email"
"type" = "event"
"customFields.order" = "order_no"
[delivery]
rate = "100000/s"
{delivery}
""",
        encoding="utf-8",
    )
    return config


def watch_job(place: Path, rows: int, *, phones: int = 400, delivery: str = "") -> Path:
    """Watch events of some phones as CSV. Returns the config."""
    pl.DataFrame(
        {
            "phone": [f"+1{201 + n % phones}5550{100 + n % 100}" for n in range(rows)],
            "label": [f"step.{number}" for number in range(rows)],
            "at": [
                (_START + timedelta(minutes=number * 7919 % rows)).isoformat()
                for number in range(rows)
            ],
        }
    ).write_csv(place / "watch.csv")
    config = place / "watch.toml"
    config.write_text(
        f"""
destination = "watch-events"
[events]
files = "watch.csv"
time = "at"
[fields]
"target.value" = "phone"
"label" = "label"
"confidence" = {{ value = "neutral" }}
[delivery]
rate = "100000/s"
{delivery}
""",
        encoding="utf-8",
    )
    return config
