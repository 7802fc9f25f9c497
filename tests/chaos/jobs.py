"""Jobs of chance: a destination, a source with dirt in it, and what must become of each row."""

from __future__ import annotations

import csv
import json
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

__all__ = ["DESTINATIONS", "Plan", "make_plan", "uid_of"]

DESTINATIONS = ("pristo-events", "watch-events", "watch-feedbacks")

_START = datetime(2024, 3, 1, tzinfo=UTC)
_SPACE = uuid.UUID("0f4e9a52-6a1f-4d7c-9a3e-5f0d7c1b2a33")
_SETTINGS = {
    "pristo-events": """
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "{file}"
contact_key = "key"
time = "at"
[contacts]
files = "contacts.csv"
key = "id"
[fields]
"contact.id" = "events.key"
"contact.email" = "contacts.email"
"type" = {{ value = "purchase" }}
"customFields.order" = "uid"
""",
    "watch-events": """
destination = "watch-events"
[events]
files = "{file}"
time = "at"
[fields]
"target.value" = "key"
"label" = "uid"
"confidence" = {{ value = "neutral" }}
""",
    "watch-feedbacks": """
destination = "watch-feedbacks"
[events]
files = "{file}"
time = "at"
[fields]
"target.value" = "key"
"type" = {{ value = "verification.started" }}
"metadata.correlation_id" = "uid"
""",
}


@dataclass(frozen=True)
class Plan:
    """A job before it began: where it is, how it is delivered, and what its rows are.

    `ranks` says of each sendable record (by uid) its ordering key and its place among the
    records of that key.
    """

    place: Path
    config: Path
    directory: Path
    destination: str
    batch: int
    concurrency: int
    guarantee: str
    rows: int
    rejected: int
    duplicates: int
    ranks: dict[str, tuple[str, int]]

    @property
    def words(self) -> str:
        return f"{self.destination}, {self.rows} rows, {self.concurrency} at once, {self.guarantee}"


def make_plan(place: Path, chance: random.Random, *, small: bool = False) -> Plan:
    """Write the sources and the configuration of a job to an empty directory."""
    destination = chance.choice(DESTINATIONS)
    batch = 1 if destination == "pristo-events" else 100
    clean = chance.randint(100, 500) if batch == 1 else chance.randint(1_500, 8_000)
    if small:
        clean //= 3
    keys = _keys(destination, chance.choice((5, 40, 300)))
    rows = [_row(number, chance.choice(keys), chance) for number in range(clean)]
    ranks = _ranks(rows)
    times = ("yesterday", "2999-01-01T00:00:00Z", "")[: 3 if batch == 1 else 2]
    dirty = [_spoilt(dict(row), times, chance) for row in chance.sample(rows, clean // 40)]
    twice = chance.sample(rows, clean // 30)
    rows += [*dirty, *(dict(row) for row in twice)]
    chance.shuffle(rows)
    file = _write(place, rows, chance)
    if destination == "pristo-events":
        emails = [f"person{number}@example.com" for number in range(len(keys))]
        pl.DataFrame({"id": keys, "email": emails}).write_csv(place / "contacts.csv")
    concurrency = chance.choice((1, 4, 8, 16))
    guarantee = "at-least-once" if chance.random() < 0.25 else "at-most-once"
    requests = max(30, clean // batch)
    rate = '"auto"' if chance.random() < 0.15 else f'"{max(10, round(requests / 2.5))}/s"'
    config = place / "job.toml"
    config.write_text(
        _SETTINGS[destination].format(file=file)
        + f"""
[delivery]
rate = {rate}
concurrency = {concurrency}
guarantee = "{guarantee}"
max_errors = "100%"
timeout = "6s"
patience = "1s"
""",
        encoding="utf-8",
    )
    return Plan(
        place=place,
        config=config,
        directory=place / "job.job",
        destination=destination,
        batch=batch,
        concurrency=concurrency,
        guarantee=guarantee,
        rows=len(rows),
        rejected=len(dirty),
        duplicates=len(twice),
        ranks=ranks,
    )


def uid_of(record: dict[str, Any]) -> str:
    """The unique value that a source row left in a record as the server stored it."""
    match record:
        case {"customFields": {"order": str(uid)}} | {"label": str(uid)}:
            return uid
        case {"metadata": {"correlation_id": str(uid)}}:
            return uid
    raise ValueError(f"a record without its unique value: {json.dumps(record)}")


def _keys(destination: str, number: int) -> list[str]:
    if destination == "pristo-events":
        return [str(uuid.uuid5(_SPACE, str(each))) for each in range(number)]
    return [f"+1202555{each:04}" for each in range(100, 100 + number)]


def _row(number: int, key: str, chance: random.Random) -> dict[str, str]:
    at = _START + timedelta(seconds=chance.randrange(86_400 * 90))
    note = chance.choice(("", "plain", 'a "quoted" word', "two\nlines", "comma, comma", "ünï"))
    return {"uid": f"uid-{number}", "key": key, "at": at.isoformat(), "note": note}


def _spoilt(row: dict[str, str], times: tuple[str, ...], chance: random.Random) -> dict[str, str]:
    row["uid"] = f"bad-{row['uid']}"
    if chance.random() < 0.5:
        row["key"] = "not a key"
    else:
        row["at"] = chance.choice(times)
    return row


def _ranks(rows: list[dict[str, str]]) -> dict[str, tuple[str, int]]:
    """By key and time. Equal times are given equal ranks: their order is the source's."""
    moments: dict[str, list[str]] = {}
    for row in rows:
        moments.setdefault(row["key"], []).append(row["at"])
    places = {key: {at: n for n, at in enumerate(sorted(set(v)))} for key, v in moments.items()}
    return {row["uid"]: (row["key"], places[row["key"]][row["at"]]) for row in rows}


def _write(place: Path, rows: list[dict[str, str]], chance: random.Random) -> str:
    if chance.random() < 0.5:
        pl.DataFrame(rows).write_parquet(place / "events.parquet")
        return "events.parquet"
    with (place / "events.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return "events.csv"
