"""Whether one address stands under many ids is told from all addresses that an id has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from backfill.api import plan


def note(
    folder: Path, ids: list[int], emails: list[str], contacts: dict[str, list[str]] | None = None
) -> str | None:
    events = pl.DataFrame(
        {"user": [f"u{each}" for each in ids], "email": emails, "at": ["2024-03-01"] * len(ids)}
    )
    people: dict[str, Any] = (
        {}
        if contacts is None
        else {"contacts": pl.DataFrame(contacts), "contacts_key": "id", "contact_key": "user"}
    )
    job = plan(
        destination="pristo-events",
        population="00000000-0000-4000-8000-000000000000",
        events=events.with_row_index("order"),
        time="at",
        timezone="UTC",
        fields={
            "contact.id": "events.user",
            "contact.email": "events.email" if contacts is None else "contacts.email",
            "type": {"value": "buy"},
            "customFields.order": "order",
        },
        rules={"contact_id": {"namespace": "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"}},
        job=folder / "a.job",
        **people,
    )
    found = [each for each in job.manifest.facts.warnings if "several ids of con" in each]
    return found[0] if found else None


def test_contacts_that_share_addresses_are_told_from_one_record_of_each(tmp_path):
    contacts = {
        "id": [f"u{each}" for each in range(20)],
        "email": [f"p{each % 5}@example.com" for each in range(20)],
    }
    told = note(tmp_path, [each % 20 for each in range(60)], [""] * 60, contacts)
    assert told is not None
    assert "5 of 5 values of contact.email" in told
    assert "under 4" in told


def test_an_id_of_several_addresses_shares_each_of_them(tmp_path):
    # Each id has an address of its own and then one that the next id has, too.
    ids = [each // 2 for each in range(20)]
    emails = [f"p{(each + 1) // 2}@example.com" for each in range(20)]
    told = note(tmp_path, ids, emails)
    assert told is not None
    assert "9 of 11 values of contact.email" in told
