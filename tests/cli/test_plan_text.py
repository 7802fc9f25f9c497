"""Lines for a terminal of 80 columns."""

from __future__ import annotations

import json

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.api import plan
from backfill.cli.plan_text import laid_out, print_plan
from backfill.cli.text import WIDTH, wrapped
from backfill.core.terminal import cells
from backfill.destinations import destination

BODIES = st.recursive(
    st.text(max_size=20) | st.integers() | st.booleans(),
    lambda inner: st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=12), BODIES), st.integers(10, 78))
def test_json_that_is_laid_out_is_the_same_and_too_wide_only_where_it_cannot_be_broken(body, width):
    """Such a line holds one name, with the brace that opens its object or a value that is none."""
    lines = laid_out(body, width)
    assert json.loads("\n".join(lines)) == body
    for line in lines:
        text = line.strip().removesuffix(",")
        if cells(line) <= width or text.endswith('": {'):
            continue
        ((_, value),) = json.loads(f"{{{text}}}").items()
        assert not isinstance(value, dict) or not value


def test_what_fits_stays_on_one_line():
    assert laid_out({"a": {"b": 1}}, 20) == ['{"a": {"b": 1}}']


@given(st.lists(st.text("abcdé受 ", min_size=1, max_size=90).filter(str.strip), max_size=12))
def test_wrapping_breaks_no_part_and_loses_none(parts):
    lines = wrapped(parts, indent="  ", separator=", ")
    joined = ", ".join(line.removeprefix("  ").removesuffix(",") for line in lines)
    assert joined == ", ".join(parts)
    for line in lines:
        assert cells(line) <= WIDTH or line.removeprefix("  ").removesuffix(",") in parts


def test_what_rows_were_chosen_by_stands_there_as_it_was_written(tmp_path, capsys):
    people = pl.DataFrame({"id": ["a"], "phone": ["+12025550143"], "is_test": ["f"]})
    job = plan(
        destination="watch-events",
        events={
            "files": pl.DataFrame({"user": ["a"], "at": ["2024-03-01T10:00:00Z"]}),
            "contact_key": "user",
            "time": "at",
            "since": "2024-02-01",
        },
        contacts={
            "files": people,
            "key": "id",
            "where": "is_test = 'f' AND phone <> '' AND id <> 'somebody else'",
        },
        fields={
            "target.type": {"value": "phone_number"},
            "target.value": "contacts.phone",
            "label": {"value": "login"},
            "confidence": {"value": "neutral"},
        },
        job=tmp_path / "a.job",
    )
    print_plan(job.manifest, destination("watch-events"), job.settings({}))
    told = " ".join(capsys.readouterr().out.split())
    assert "contacts where is_test = 'f' AND phone <> '' AND id <> 'somebody else'" in told
    assert "since 2024-02-01 00:00:00 UTC" in told
