"""Digits with a calling code and no plus are told from national numbers."""

from __future__ import annotations

import re
import tomllib

import polars as pl
import pytest

from backfill.api import plan
from backfill.prepare.facts.zones import note_of_zone

WHOLE = ["12025550143", "447911123456", "33612345678", "4915112345678", "972541234567"]
AMERICAN = ["2025550143", "2125550144", "3105550145", "4155550146", "6175550147", "7025550148"]
GERMAN = ["15112345678", "17012345678", "3012345678", "8912345678"]  # the zero is lost


@pytest.mark.parametrize(
    ("phones", "told"),
    [
        (WHOLE, True),
        ([f"+{each}" for each in WHOLE], False),
        (AMERICAN, False),
        (GERMAN, False),
        (["020 7946 0011"] * 5, False),
    ],
)
@pytest.mark.parametrize("region", [None, "DE"])
def test_numbers_that_lack_their_plus_are_named(tmp_path, phones, told, region):
    job = plan(
        destination="watch-events",
        events=pl.DataFrame({"phone": phones, "label": ["a"] * len(phones)}),
        fields={"target.value": "phone", "label": "label", "confidence": {"value": "low"}},
        rules={"phone_region": region} if region else {},
        job=tmp_path / "a.job",
    )
    assert any("once a plus stands" in each for each in job.manifest.facts.warnings) is told


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EST", "America/New_York"),
        ("Etc/GMT+2", "2 h behind UTC, as in UTC-2"),
        ("Etc/GMT-2", "2 h ahead of UTC, as in UTC+2"),
    ],
)
def test_a_zone_that_is_not_what_it_seems_is_named(name, words):
    assert words in (note_of_zone(name) or "")


@pytest.mark.parametrize("name", [None, "UTC", "Etc/GMT", "America/New_York"])
def test_a_zone_that_is_what_it_seems_is_not(name):
    assert note_of_zone(name) is None


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64, pl.Float64])
def test_the_sql_of_the_note_gives_the_plus_back_whatever_the_type(tmp_path, dtype):
    def planned(source):
        return plan(
            destination="watch-events",
            events=pl.DataFrame({"phone": pl.Series(WHOLE).cast(dtype), "label": ["a"] * 5}),
            fields={"target.value": source, "label": "label", "confidence": {"value": "low"}},
            job=tmp_path / "a.job",
        ).manifest

    (note,) = [each for each in planned("phone").facts.warnings if "once a plus stands" in each]
    found = re.search(r"\{ sql = (.*?) \} gives", note)
    assert found is not None
    sql = tomllib.loads(f"x = {found[1].replace('…', 'phone')}")["x"]
    assert planned({"sql": sql}).ready == len(WHOLE)
