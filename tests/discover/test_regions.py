"""The country column that stands beside national phones."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime

import polars as pl
import pytest

from backfill.config import Lookup
from backfill.config.placeholders import open_questions
from backfill.destinations import destination
from backfill.discover.columns import profile_columns
from backfill.discover.proposal import propose
from backfill.discover.regions import country_beside
from tests.discover.test_writing import answered, loaded, uncommented, written

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PHONES = ["(202) 555-0143", "+442079460018", "0161 496 0000", "(202) 555-0144"]


def profiles(**columns: list[str]):
    return profile_columns(pl.DataFrame(columns), "events", now=NOW)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"country": ["US", "GB", "gb", "US"]}, "country"),
        ({"MailingCountryCode": ["US", None, "GB", "US"]}, "MailingCountryCode"),
        ({"country": ["France", "Israel", "Chile", "Peru"]}, "country"),
        ({"MAILINGCOUNTRY": ["France", "Israel", "US", "Peru"]}, "MAILINGCOUNTRY"),
        ({"Country": ["France"] * 4, "Country Code": ["FR"] * 4}, "Country Code"),
        ({"region": ["EU-1", "EU-2", "EU-1", "EU-1"]}, None),
        ({"language": ["fr", "de", "it", "es"]}, None),
        ({"Billing Country": ["US"] * 4, "Shipping Country": ["GB"] * 4}, "Shipping Country"),
    ],
)
def test_it_is_told_by_its_name_and_its_values(columns, found):
    every = profiles(**{"Shipping Phone": PHONES}, **columns)
    country = country_beside(every[0], every)
    assert (country.name if country else None) == found


def test_a_draft_takes_the_region_from_it():
    rows = {
        "user_id": [f"6f9619ff-8b86-4d01-b42d-00cf4fc9640{i % 5}" for i in range(40)],
        "phone": PHONES * 10,
        "country": ["US", "GB", "GB", "US"] * 10,
        "event": ["buy", "sign up"] * 20,
        "at": ["2024-03-01T10:00:00Z"] * 40,
    }
    text = written(propose(destination("pristo-events"), profiles(**rows)))
    assert tomllib.loads(text)["rules"]["phone_region"] == {"column": "country"}
    assert answered(tomllib.loads(text))["rules"]["phone_region"] == {"column": "country"}
    assert loaded(uncommented(text)).rules.phone_region is not None


def test_names_of_countries_become_a_table_to_fill_in():
    rows = {
        "user_id": [f"6f9619ff-8b86-4d01-b42d-00cf4fc9640{i % 5}" for i in range(40)],
        "phone": PHONES * 10,
        "country": ["United States", "United Kingdom", "GB", "United States"] * 10,
        "event": ["buy", "sign up"] * 20,
        "at": ["2024-03-01T10:00:00Z"] * 40,
    }
    text = written(propose(destination("pristo-events"), profiles(**rows)))
    content = tomllib.loads(text)
    assert content["rules"]["phone_region"] == {
        "column": "events.country",
        "values": {"United States": "?", "United Kingdom": "?"},
    }
    places = {each.place: each.asked for each in open_questions(content)}
    assert "of 'United States', 'United Kingdom'" in places["[rules] phone_region"]
    codes = iter(["US", "GB"])
    filled = re.sub('(?m)^("United .*)"[?]"', lambda found: f'{found[1]}"{next(codes)}"', text)
    assert isinstance(loaded(filled).rules.phone_region, Lookup)


def test_national_phones_that_a_region_converts_are_not_to_be_dropped():
    rows = {
        "user_id": [f"6f9619ff-8b86-4d01-b42d-00cf4fc9640{i % 5}" for i in range(40)],
        "phone": [*PHONES * 9, *PHONES[:3], "none"],
        "country": ["US", "GB", "GB", "US"] * 10,
        "email": [f"person{i}@example.com" for i in range(40)],
        "event": ["buy", "sign up"] * 20,
        "at": ["2024-03-01T10:00:00Z"] * 40,
    }
    text = written(propose(destination("pristo-events"), profiles(**rows)))
    assert "3% of contact.phone" in text
    rows["phone"] = PHONES * 10
    assert "drop_invalid" not in written(propose(destination("pristo-events"), profiles(**rows)))
