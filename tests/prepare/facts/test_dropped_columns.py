"""Columns with names of ours are never left out without a word."""

from __future__ import annotations

import json

import polars as pl
import pytest

from backfill.api import plan
from backfill.core.errors import BackfillError
from backfill.sources.reimport import OURS

FIELDS = {"target.value": "phone", "label": "label", "confidence": {"value": "low"}}


def planned(folder, **fields):
    return plan(
        destination="watch-events",
        events=folder / "e.csv",
        fields={**FIELDS, **fields},
        job=folder / "e.job",
    )


# What some stage of a plan calls a column of its own: first those of a plan without parts, too.
_LIKE_OURS = [
    *("__malformed", "__met", "__identity", "__bad", "__excluded", "__reason", "__broken", "key"),
    *("record", "file", "row", "lane", "time", "body", "source.phone", "contact.phone"),
    *("_x", "__x", "__tie:type", "__from", "__to", "__kept", "__warned0", "__named0", "__item"),
]


@pytest.mark.parametrize("name", OURS)
def test_a_column_of_the_users_own_with_such_a_name_is_told(tmp_path, name):
    (tmp_path / "e.csv").write_text(f"phone,label,{name}\n+12025550143,a,mine\n")
    [note] = [each for each in planned(tmp_path).manifest.facts.warnings if repr(name) in each]
    assert f"e.csv has {name!r}" in note
    for source in (name, f"events.{name}", {"sql": f"UPPER({name})"}):
        with pytest.raises(BackfillError, match="rename the column") as raised:
            planned(tmp_path, label=source)
        assert repr(name) in raised.value.message


def test_rows_that_come_back_are_told_nothing(tmp_path):
    (tmp_path / "e.csv").write_text("phone,label\nnone,a\n+12025550143,b\n")
    rejected = planned(tmp_path).records("rejected")
    rejected.write_csv(tmp_path / "again.csv")
    (tmp_path / "again.csv").rename(tmp_path / "e.csv")
    job = planned(tmp_path)
    assert job.manifest.input == 1
    assert not any("names of columns" in each for each in job.manifest.facts.warnings)


@pytest.mark.parametrize("parts", ["many", "one"])
def test_any_other_name_can_be_mapped_and_is_told_as_it_stands(tmp_path, monkeypatch, parts):
    if parts == "many":
        monkeypatch.setattr("backfill.prepare.partition.ROWS_OF_A_BUCKET", 2)
    columns = {
        name: [f"own {column}-{row}" for row in range(13)]
        for column, name in enumerate(_LIKE_OURS if parts == "many" else _LIKE_OURS[:9])
    }
    ids = [f"6f9619ff-8b86-4d01-b42d-00cf4fc964{row:02}" for row in range(12)]
    others = {"user": [*ids, "none"], "phone": "+12025550143", "at": "2024-01-01T10:00:00Z"}
    pl.DataFrame({**others, **columns}).write_csv(tmp_path / "e.csv")
    job = plan(
        destination="pristo-events",
        population="5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42",
        events=tmp_path / "e.csv",
        time="at",
        fields={
            "contact.id": "user",
            "contact.phone": "phone",
            "type": {"value": "a"},
            **{
                f"customFields.f{column}": name if "." not in name else {"sql": f'"{name}"'}
                for column, name in enumerate(columns)
            },
        },
        job=tmp_path / "e.job",
    )
    records = job.records()
    sent = [json.loads(body)["customFields"] for body in job.sample(12)["body"]]
    for column, (name, values) in enumerate(columns.items()):
        assert sorted(records[name]) == sorted(values), name
        assert sorted(each[f"f{column}"] for each in sent) == sorted(values[:12]), name
