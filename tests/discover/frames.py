"""Small invented samples."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime
from functools import cache

import polars as pl

from backfill.destinations import destination
from backfill.discover.columns import ColumnProfile, Side, profile_columns
from backfill.discover.proposal import Proposal, propose

NOW = datetime(2025, 1, 1, tzinfo=UTC)
IDS = [str(uuid.UUID(int=number + 1)) for number in range(40)]
PHONES = [f"+120255501{number:02}" for number in range(40)]
EMAILS = [f"person{number}@example.com" for number in range(40)]
LABELS = ["signup", "login", "purchase", "login"]
TIMES = [f"2024-03-{number % 28 + 1:02}T10:00:00Z" for number in range(40)]


def events(**columns: object) -> pl.DataFrame:
    """Forty events of twenty contacts; `columns` replace columns or, as None, leave them out."""
    frame: dict[str, object] = {
        "user_id": IDS[:20] * 2,
        "event": LABELS * 10,
        "at": TIMES,
        "amount": [number / 4 for number in range(40)],
    }
    return pl.DataFrame({k: v for k, v in {**frame, **columns}.items() if v is not None})


def contacts(**columns: object) -> pl.DataFrame:
    """Forty contacts, of whom twenty have events."""
    frame: dict[str, object] = {
        "id": IDS,
        "email": EMAILS,
        "mobile": PHONES,
        "lang": ["en", "he"] * 20,
        "firstName": ["Ada", "Grace", "Alan", "Edsger"] * 10,
        "surname": ["Example", "Sample"] * 20,
        "plan": ["free", "gold"] * 20,
    }
    return pl.DataFrame({k: v for k, v in {**frame, **columns}.items() if v is not None})


def profiled(frame: pl.DataFrame, side: Side) -> tuple[ColumnProfile, ...]:
    """A sample's columns, looked at once for all tests: most have one of the two above."""
    return _profiled(frame.write_ipc(None).getvalue(), side)


@cache
def _profiled(content: bytes, side: Side) -> tuple[ColumnProfile, ...]:
    return profile_columns(pl.read_ipc(io.BytesIO(content)), side, now=NOW)


def profile(values: object, name: str = "column") -> ColumnProfile:
    (found,) = profile_columns(pl.DataFrame({name: values}), "events", now=NOW)
    return found


def proposed(
    name: str, mine: pl.DataFrame, theirs: pl.DataFrame | None = None
) -> tuple[Proposal, dict[str, str | None]]:
    """The proposal, and its fields with the columns that they come from."""
    proposal = propose(
        destination(name),
        profiled(mine, "events"),
        None if theirs is None else profiled(theirs, "contacts"),
    )
    return proposal, {
        each.field.name: f"{each.column.side}.{each.column.name}" if each.column else None
        for each in proposal.matches
    }
