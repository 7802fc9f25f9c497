"""UUIDs that are written in another way are named, with SQL that writes them plainly."""

from __future__ import annotations

import json
import re
import tomllib
import uuid

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.api import plan
from backfill.discover import draft_config
from backfill.prepare.facts.uuid_spellings import UUID_FORMS, uuid_form

IDS = [f"0000000{number}-1a3b-4c5d-8e7f-9a0b1c2d3e4f" for number in range(4)]
NAMESPACE = {"contact_id": {"namespace": "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"}}
POPULATION = "00000000-0000-4000-8000-000000000000"
WAYS = [
    ("in braces", lambda text: f"{{{text.upper()}}}"),
    ("behind urn:uuid:", lambda text: f"urn:uuid:{text}"),
    ("without dashes", lambda text: text.replace("-", "")),
]


def frame(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "uid": ids,
            "event": ["x"] * len(ids),
            "at": ["2024-01-01T00:00:00Z"] * len(ids),
            "phone": [f"+1202555010{number}" for number in range(len(ids))],
        }
    )


def planned(folder, ids, source="uid", **rules):
    return plan(
        destination="pristo-events",
        population=POPULATION,
        events=frame(ids),
        time="at",
        fields={"contact.id": source, "contact.phone": "phone", "type": "event"},
        rules=rules,
        job=folder / "a.job",
    )


def sent(job) -> list[str]:
    return sorted(json.loads(body)["contact"]["id"] for body in job.manifest.facts.samples)


@pytest.mark.parametrize(("what", "written"), WAYS)
@pytest.mark.parametrize("rules", [{}, NAMESPACE])
def test_the_plan_names_them_with_sql_that_writes_them_plainly(tmp_path, what, written, rules):
    job = planned(tmp_path, [written(each) for each in IDS], **rules)
    (note,) = [each for each in job.manifest.facts.warnings if "UUIDs" in each]
    assert what in note
    assert "another contact" in note or "other contacts" in note
    found = re.search(r"\{ sql = .* \}(?= writes)", note)
    assert found is not None
    again = planned(
        tmp_path, [written(each) for each in IDS], tomllib.loads(f"x = {found[0]}")["x"]
    )
    assert again.manifest.ready == len(IDS)
    assert sent(again) == IDS[:3]
    assert not [each for each in again.manifest.facts.warnings if "UUIDs" in each]


@pytest.mark.parametrize(("what", "written"), WAYS)
def test_a_draft_reads_them_plainly_and_asks_for_no_namespace(tmp_path, monkeypatch, what, written):
    monkeypatch.chdir(tmp_path)
    frame([written(each) for each in IDS]).write_csv("e.csv")
    pl.DataFrame({"uid": IDS, "email": [f"p{each[7]}@example.com" for each in IDS]}).write_csv(
        "c.csv"
    )
    for contacts in (None, "c.csv"):
        draft = draft_config(
            "e.csv",
            contacts=contacts,
            destination_name="pristo-events",
            target=tmp_path / "a.toml",
        )
        assert "namespace" not in draft.text
        (tmp_path / "a.toml").write_text(
            draft.text.replace('population  = "?"', f'population = "{POPULATION}"'),
            encoding="utf-8",
        )
        job = plan(tmp_path / "a.toml", job=tmp_path / "a.job")
        assert job.manifest.ready == len(IDS), what
        assert sent(job) == IDS[:3]
        (tmp_path / "a.toml").unlink()


@pytest.mark.parametrize(("what", "written"), WAYS)
def test_ids_of_two_files_that_differ_so_are_made_to_meet(tmp_path, what, written):
    contacts = pl.DataFrame({"key": [written(each) for each in IDS]})
    job = plan(
        destination="pristo-events",
        population=POPULATION,
        events=frame(IDS),
        contacts=contacts,
        contact_key="uid",
        contacts_key="key",
        time="at",
        fields={"contact.id": "uid", "contact.phone": "events.phone", "type": "event"},
        job=tmp_path / "a.job",
    )
    (note,) = [each for each in job.manifest.facts.warnings if "differ by" in each]
    assert f"UUIDs {what}" in note
    assert "under [contacts]" in note


@settings(max_examples=20, deadline=None)
@given(st.lists(st.uuids(version=4), min_size=1, max_size=20), st.sampled_from(UUID_FORMS))
def test_sql_and_expression_write_the_same_uuid(ids: list[uuid.UUID], form):
    ways = {"in braces": "{{{}}}", "behind urn:uuid:": "urn:uuid:{}", "without dashes": "{}"}
    texts = [ways[form.what].format(each) for each in ids]
    if form.what == "without dashes":
        texts = [each.hex for each in ids]
    found = pl.DataFrame({"id": texts}).select(
        sql=pl.sql_expr(form.sql.format("id")), plain=form.plain(pl.col("id"))
    )
    assert found["sql"].to_list() == found["plain"].to_list() == [str(each) for each in ids]
    assert uuid_form(pl.Series(texts)) is form


@pytest.mark.parametrize(
    "texts",
    [
        IDS,
        ["5f4dcc3b5aa765d61d8327deb882cf99", "098f6bcd4621d373cade4e832627b4f6"],  # hashes
        ["{a}", "urn:uuid:7", "7"],
        [None, None],
    ],
)
def test_other_ids_are_none_of_them(texts):
    assert uuid_form(pl.Series(texts, dtype=pl.String)) is None
