"""A dedupe key of the user's own, in records that lack it or a part of it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.core.errors import ConfigError
from tests.prepare.prepared import Prepared, prepare_in

START = datetime(2024, 1, 1, tzinfo=UTC)
USERS = [str(uuid.UUID(int=number)) for number in range(1, 40)]


def pristo(
    directory: Path,
    *,
    key: list[str],
    users: list[str],
    contacts: pl.DataFrame | None = None,
    fields: dict[str, Any] | None = None,
    name: str = "job",
    parts: int | None = None,
    keep: str = "first",
    **columns: list[Any],
) -> Prepared:
    """One event a second of a user each, with columns of custom fields."""
    at = [START + timedelta(seconds=second) for second in range(len(users))]
    events = pl.DataFrame({"user": users, "at": at, **columns})
    joined: dict[str, Any] = {} if contacts is None else {"contacts": {"key": "id"}}
    return prepare_in(
        directory,
        "pristo-events",
        events,
        contacts,
        name=name,
        parts=parts,
        events={"time": "at", "contact_key": "user"},
        fields={
            "contact.id": "events.user",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "purchase"},
            **{f"customFields.{column}": f"events.{column}" for column in columns},
            **(fields or {}),
        },
        dedupe={"key": key, "keep": keep},
        **joined,
    )


@pytest.mark.parametrize("parts", [1, 3])
def test_records_without_the_key_are_compared_by_everything(tmp_path: Path, parts: int) -> None:
    users = USERS[:6]
    job = pristo(
        tmp_path,
        key=["customFields.tx"],
        users=users,
        parts=parts,
        tx=["t1", None, "", "t1", None, "t2"],
    )
    assert job.kept_of == {4: 1}
    assert job.ready["record"].n_unique() == job.ready.height == 5
    assert job.manifest.facts.warnings == (
        "3 records have no customFields.tx, which is the dedupe key; they are compared by every"
        " mapped field and the time",
    )


def test_records_without_the_key_are_duplicates_where_they_are_wholly_the_same(
    tmp_path: Path,
) -> None:
    same = {"user": [USERS[0]] * 3, "at": [START, START, START + timedelta(days=1)]}
    events = pl.DataFrame({**same, "tx": pl.Series([None, None, None], dtype=pl.String)})
    events.write_parquet(tmp_path / "events.parquet")
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        events={"time": "at"},
        fields={
            "contact.id": "user",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "purchase"},
            "customFields.tx": "tx",
        },
        dedupe={"key": ["customFields.tx"]},
    )
    assert job.kept_of == {2: 1}


@pytest.mark.parametrize("parts", [1, 3])
def test_a_missing_part_of_a_key_is_equal_to_a_missing_one(tmp_path: Path, parts: int) -> None:
    job = pristo(
        tmp_path,
        key=["customFields.shop", "customFields.tx"],
        users=USERS[:7],
        parts=parts,
        keep="last",
        shop=["s", "s", None, "s", None, None, "r"],
        tx=["1", None, "1", None, None, None, None],
    )
    assert job.kept_of == {2: 4}
    assert job.ready["record"].n_unique() == job.ready.height == 6
    assert job.manifest.facts.warnings == (
        "2 records have no part of the dedupe key (customFields.shop, customFields.tx); they are"
        " compared by every mapped field and the time",
        "1 record has no customFields.shop, which is part of the dedupe key; a missing value is"
        " taken to be equal to a missing one",
        "3 records have no customFields.tx, which is part of the dedupe key; a missing value is"
        " taken to be equal to a missing one",
    )


def test_beside_a_field_that_is_always_there_a_missing_one_is_equal_to_a_missing_one(
    tmp_path: Path,
) -> None:
    job = pristo(
        tmp_path,
        key=["contact.id", "customFields.tx"],
        users=[USERS[0], USERS[0], USERS[1]],
        tx=[None, None, None],
    )
    assert job.kept_of == {2: 1}
    assert [text.partition(",")[0] for text in job.manifest.facts.warnings] == [
        "3 records have no customFields.tx"
    ]


def test_a_constant_tells_no_records_apart(tmp_path: Path) -> None:
    job = pristo(
        tmp_path,
        key=["customFields.from", "customFields.tx"],
        users=USERS[:3],
        fields={"customFields.from": {"value": "import"}},
        tx=[None, None, "t"],
    )
    assert job.kept_of == {}


@pytest.mark.parametrize("parts", [1, 3])
def test_a_key_that_comes_from_the_contacts_may_be_missing_with_the_contact(
    tmp_path: Path, parts: int
) -> None:
    contacts = pl.DataFrame({"id": USERS[:3], "card": ["c", "c", None]})
    job = pristo(
        tmp_path,
        key=["contact.customFields.card"],
        users=USERS[:6],
        contacts=contacts,
        parts=parts,
        fields={"contact.customFields.card": "contacts.card"},
    )
    assert job.kept_of == {2: 1}
    assert job.manifest.facts.warnings[1:] == (
        "4 records have no contact.customFields.card, which is the dedupe key; they are compared"
        " by every mapped field and the time",
    )


def test_a_complete_key_gives_the_same_record_keys_whether_others_lack_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = pristo(tmp_path / "a", key=["customFields.tx"], users=USERS[:2], tx=["1", "2"])
    some = pristo(tmp_path / "b", key=["customFields.tx"], users=USERS[:3], tx=["1", "2", None])
    assert set(whole.ready["record"]) < set(some.ready["record"])
    assert whole.manifest.facts.warnings == ()


def test_a_key_of_constants_alone_is_refused(tmp_path: Path) -> None:
    """It would call all records one, and send a single one of them."""
    with pytest.raises(ConfigError, match="all of them would be one") as caught:
        pristo(tmp_path, key=["type", "contact.email"], users=USERS[:3])
    assert "'contact.id'" in str(caught.value.hint)
