"""The sample data is what its README says, and a plan finds exactly what was planted."""

from __future__ import annotations

import functools
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from backfill.config import load_config
from backfill.destinations import destination
from backfill.prepare.pipeline import prepare
from sample_data.generate import (
    LEFT_OUT,
    contacts_csv,
    counts,
    events_frame,
    feedbacks_csv,
    make,
)

SAMPLES = Path(__file__).parents[1] / "sample_data"
NAMES = ("pristo", "watch-events", "watch-feedbacks")
BOOKS = ("input", "rejected", "duplicate", "ready")

planted = functools.cache(lambda: counts(make()))


def documented() -> dict[str, dict[str, int]]:
    """The tables of the README, by the heading above them."""
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    return {
        heading: {
            name.replace("\\|", "|"): int(count.replace(",", ""))
            for name, count in re.findall(r"^\| `(.+)` \| ([0-9,]+) \|$", part, re.MULTILINE)
        }
        for heading, part in re.findall(
            r"^### (\S+)$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL
        )
    }


def test_the_files_are_those_that_the_generator_makes():
    sample = make()
    assert (SAMPLES / "contacts.csv").read_bytes() == contacts_csv(sample.shop)
    assert (SAMPLES / "verifications.csv").read_bytes() == feedbacks_csv(sample.feedbacks)
    assert_frame_equal(pl.read_parquet(SAMPLES / "events.parquet"), events_frame(sample.shop))


def test_the_readme_states_the_planted_counts():
    assert documented() == planted()


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_finds_exactly_what_was_planted(name, tmp_path):
    config = load_config(SAMPLES / f"{name}.toml")
    manifest = prepare(config, destination(config.destination), tmp_path, now=datetime.now(UTC))
    expected = dict(planted()[name])
    assert set(manifest.dropped) == {LEFT_OUT} & expected.keys()
    found = {key: getattr(manifest, key) for key in BOOKS}
    broken = Counter(manifest.reasons) + Counter(manifest.dropped)
    assert found | broken == expected
    assert manifest.books.balanced


def test_people_are_invented_and_the_files_small():
    contacts = (SAMPLES / "contacts.csv").read_text(encoding="utf-8")
    domains = set(re.findall(r"@([\w.]+)", contacts)) - {"b"}
    assert domains <= {"example.com", "example.org", "example.net"}
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 2_000_000
