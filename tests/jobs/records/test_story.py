"""What `show` tells of a row's fields: also where keys are SQL, and where a country was read."""

from __future__ import annotations

import polars as pl
import pytest

from backfill.api import plan

SQL = {"sql": 'TRIM("user")'}


def planned(folder, *, contact_key="user", key="id", keep="last", fields=None, **rules):
    users = [" a", "b", "c", "d"] if contact_key == SQL else ["a", "b", "c", "d"]
    phones = ["+12025550143", "06 39 98 04 78", "12", "07700 900123", None]
    contacts = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d", "a"],
            "mobile": phones,
            "name": ["Ada", "Bo", "Cy", "Di", "Eve"],
            "land": ["US", "FR", None, "Albion", "US"],
        }
    )
    return plan(
        destination="pristo-events",
        population="00000000-0000-4000-8000-000000000000",
        events=pl.DataFrame({"user": users, "at": ["2024-03-01T10:00:00Z"] * 4}),
        contacts={"files": contacts, "keep": keep},
        contact_key=contact_key,
        contacts_key=key,
        time="at",
        fields={
            "contact.id": "events.user",
            "contact.phone": {"sql": "COALESCE(mobile, '')", "from": "contacts"},
            "contact.name": "contacts.name",
            "type": {"value": "buy"},
            **(fields or {}),
        },
        rules={"contact_id": {"namespace": "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"}, **rules},
        job=folder / "a.job",
    )


def raw(job, row):
    return {each.name: each.raw for each in job.show(row).fields}


@pytest.mark.parametrize("contact_key", ["user", SQL])
@pytest.mark.parametrize("key", ["id", {"sql": "TRIM(id)"}])
def test_the_contact_is_found_by_a_column_and_by_sql(tmp_path, contact_key, key):
    found = raw(planned(tmp_path, contact_key=contact_key, key=key), 2)
    assert (found["contact.name"], found["contact.phone"]) == ("Bo", "06 39 98 04 78")


@pytest.mark.parametrize(
    ("keep", "name", "phone"),
    [("first", "Ada", "+12025550143"), ("last", "Eve", ""), ("fill", "Eve", "+12025550143")],
)
def test_of_several_rows_the_one_that_counts_is_shown(tmp_path, keep, name, phone):
    found = raw(planned(tmp_path, keep=keep), 1)
    assert (found["contact.name"], found["contact.phone"] or "") == (name, phone)


def test_a_national_phone_that_is_refused_says_how_its_country_was_read(tmp_path):
    job = planned(tmp_path, phone_region={"column": "contacts.land"})
    notes = [
        next(each.note for each in job.show(row).fields if each.name == "contact.phone")
        for row in (2, 3, 4)
    ]
    assert notes[0] is not None
    assert "dialled in FR it would be +33639980478, which lies in no range" in notes[0]
    assert notes[1:] == [
        "its row names no country",
        "'Albion' is no code of a country that has phones",
    ]
    assert notes[0] in job.show(2)._repr_html_()


def test_a_column_without_its_side_is_told_with_the_side_it_is_on(tmp_path):
    origins = {each.name: each.origin for each in planned(tmp_path).show(1).fields}
    assert origins["contact.phone"] == "contacts, SQL: COALESCE(mobile, '')"
    job = planned(tmp_path / "b", fields={"contact.name": "name", "customFields.at": "at"})
    origins = {each.name: each.origin for each in job.show(2).fields}
    assert (origins["contact.name"], origins["customFields.at"]) == ("contacts.name", "events.at")
    assert raw(job, 2)["contact.name"] == "Bo"
