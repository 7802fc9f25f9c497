"""Ids that two files write differently: what it is, and SQL that makes them meet."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

from backfill.api import plan
from backfill.discover import draft_config
from backfill.prepare.facts.id_spellings import note_of_two_spellings, respelling

NAMESPACE = {"contact_id": {"namespace": "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"}}
POPULATION = "00000000-0000-4000-8000-000000000000"
WAYS = [
    (["7", "42", "7"], ["007", "042", "123"]),
    (["007", "042", "007"], ["7", "42", "123"]),
    (["7", "1042", "7"], ["007", "01042", "123"]),
    (["7.0", "42.0", "7.0"], ["7", "42", "123"]),
    (["cus_A", "CUS_B", "cus_A"], ["cus_a", "cus_b", "cus_c"]),
    (["7001", "7002", "7001"], ["'7001", "'7002", "'7003"]),
    (["7001", "7002", "7001"], ['="7001"', '="7002"', '="7003"']),
    (['="007"', '="042"', '="007"'], ["007", "042", "123"]),
    (
        ["0031t00000AbCd1", "0031t00000AbCd2", "0031t00000AbCd1"],
        ["0031t00000AbCd1AAA", "0031t00000AbCd2AAA", "0031t00000AbCd3AAA"],
    ),
]


def frames(ids: list[str], others: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    days = [f"2024-03-0{number + 1}T10:00:00Z" for number in range(len(ids))]
    emails = [f"person{number}@example.com" for number in range(len(others))]
    events = pl.DataFrame({"user_id": ids, "event": ["buy"] * len(ids), "at": days})
    return events, pl.DataFrame({"id": others, "email": emails})


def planned(folder: Path, events, contacts, contact_key="user_id", key="id"):
    return plan(
        destination="pristo-events",
        population=POPULATION,
        events=events,
        contacts=contacts,
        contact_key=contact_key,
        contacts_key=key,
        time="at",
        fields={
            "contact.id": contact_key,  # what comes from the same column needs the same SQL
            "contact.email": "contacts.email",
            "type": "event",
        },
        rules=NAMESPACE,
        job=folder / "a.job",
    )


@pytest.mark.parametrize(("ids", "others"), WAYS)
def test_the_plan_says_what_makes_the_files_meet(tmp_path, ids, others):
    events, contacts = frames(ids, others)
    job = planned(tmp_path, events, contacts)
    assert job.manifest.ready == 0
    (note,) = [each for each in job.manifest.facts.warnings if "differ by" in each]
    said = dict(re.findall(r"\b((?:contact_)?key) = (\{ sql = .*? \}) under", note))
    keys = {name: tomllib.loads(f"x = {text}")["x"] for name, text in said.items()}
    again = planned(tmp_path, events, contacts, **keys)
    assert again.manifest.ready == len(ids)
    assert not [each for each in again.manifest.facts.warnings if "differ by" in each]


@pytest.mark.parametrize(("ids", "others"), [WAYS[0], WAYS[4], WAYS[7]])  # by the same SQL
def test_a_draft_joins_them_so(tmp_path, monkeypatch, ids, others):
    monkeypatch.chdir(tmp_path)
    for name, frame in zip(("e.csv", "c.csv"), frames(ids, others), strict=True):
        frame.write_csv(name)
    draft = draft_config(
        "e.csv", contacts="c.csv", destination_name="pristo-events", target=Path("a.toml")
    )
    answers = {"population": POPULATION, "namespace": NAMESPACE["contact_id"]["namespace"]}
    text = re.sub(r'(\w+)( *= )"[?]"', lambda m: f'{m[1]}{m[2]}"{answers[m[1]]}"', draft.text)
    Path("a.toml").write_text(text, encoding="utf-8")
    assert plan("a.toml").manifest.ready == len(ids)


SALESFORCE = (
    ["0031t00000AbCd1", "0031t00000AbCd2AAA", "0031t00000AbCd1"],
    ["0031t00000AbCd1AAA", "0031t00000AbCd2AAA", "0031t00000AbCd3AAA"],
)


OTHERS = [f"anon-2024-01-15-000{number}" for number in range(4)]
STAYING = ["QUJD10==", '"q16"', "a.0", "0x", "0", "000", "1234567", "12a", *OTHERS]


@pytest.mark.parametrize(("ids", "others"), [*WAYS, SALESFORCE])
def test_what_is_of_another_kind_stays_as_it_is(ids, others):
    """No two of them become one, and those that meet go on doing so."""
    alone = pl.Series([each for each in ids if each not in others]).unique()
    found = respelling(alone, pl.Series(others), meeting=pl.Series([*STAYING, *others[1:2]]))
    assert found is not None
    for sql in (found.events, found.contacts):
        if sql is not None and "LOWER" not in sql:
            read = pl.DataFrame({"id": STAYING}).select(pl.sql_expr(sql.format("id")))
            assert read.to_series().to_list() == STAYING


@pytest.mark.parametrize("mixed", ["events", "contacts"])
def test_ids_with_and_without_an_end_meet_whichever_side_mixes_them(tmp_path, monkeypatch, mixed):
    full = [f"0031t00000AbCd{number}AAA" for number in range(6)]
    some = [each[:15] if number % 2 else each for number, each in enumerate(full)]
    sides = (some, full) if mixed == "events" else (full, some)
    test_a_draft_joins_them_so(tmp_path, monkeypatch, *sides)


def test_ids_that_meet_already_go_on_doing_so(tmp_path, monkeypatch):
    events, contacts = frames(*SALESFORCE)
    job = planned(tmp_path, events, contacts)
    assert job.manifest.ready == 1
    (note,) = [each for each in job.manifest.facts.warnings if "differ by" in each]
    assert note.count("LEFT(") == 2, note
    test_a_draft_joins_them_so(tmp_path, monkeypatch, *SALESFORCE)


def test_an_id_with_and_without_its_end_is_two_contacts():
    both = pl.Series(["0031t00000AbCd1", "0031t00000AbCd1AAA", "0031t00000AbCd2AAA"])
    assert "1 id stands" in (note_of_two_spellings("contact.id", both) or "")
    ends = pl.Series(["0031t00000AbCd1AAA", "0031t00000AbCd1AAB"])
    assert note_of_two_spellings("contact.id", ends) is None


def test_a_column_of_numbers_is_read_as_text_first(tmp_path):
    events, contacts = frames(["7", "42"], ["007", "042"])
    job = planned(tmp_path, events.cast({"user_id": pl.Int64}), contacts)
    (note,) = [each for each in job.manifest.facts.warnings if "differ by" in each]
    assert """THEN LPAD(CAST("user_id" AS VARCHAR), 3, '0') ELSE""" in note


def test_ids_that_simply_are_not_there_are_no_spelling(tmp_path):
    job = planned(tmp_path, *frames(["8", "9"], ["007", "042"]))
    assert not [each for each in job.manifest.facts.warnings if "differ by" in each]


def test_an_id_that_would_meet_two_contacts_is_left_alone():
    assert respelling(pl.Series(["7"]), pl.Series(["07", "007"])) is None


@pytest.mark.parametrize(
    ("ids", "others"),
    [
        (["42"], ["042", "007", "7"]),
        (["O1", "O2"], ["o1", "o2", "AbC", "aBc"]),
    ],
)
def test_two_contacts_are_never_made_one(tmp_path, ids, others):
    assert respelling(pl.Series(ids), pl.Series(others)) is None
    job = planned(tmp_path, *frames(ids, others))
    assert not [each for each in job.manifest.facts.warnings if "differ by" in each]


def test_one_person_twice_among_the_contacts_is_no_two():
    found = respelling(pl.Series(["o1@example.com"]), pl.Series(["O1@example.com", "A@b", "a@b"]))
    assert found is not None
    assert found.contacts == "LOWER({})"


def test_a_longer_id_is_no_shorter_one_of_another_contact(tmp_path):
    """LPAD cuts what is longer, so 1234 would be the contact 123."""
    events, contacts = frames(["7", "42", "1234"], ["007", "042", "123"])
    (note,) = [
        each
        for each in planned(tmp_path, events, contacts).manifest.facts.warnings
        if "differ by" in each
    ]
    found = re.search(r"contact_key = (\{ sql = .*? \}) under", note)
    assert found is not None
    again = planned(tmp_path, events, contacts, tomllib.loads(f"x = {found[1]}")["x"])
    assert again.manifest.ready == 2


@pytest.mark.parametrize("form", [["7", "007", "0", "1234567"], ["7.0", "7"], ["'7", "7"]])
def test_the_advice_for_two_spellings_of_one_column_keeps_all_other_ids(form):
    note = note_of_two_spellings("contact.id", pl.Series(form))
    assert note is not None
    sql = note.rpartition("such as ")[2].replace("…", "id")
    ids = [*form[:2], "000", "1234567", "7654321", "abc"]
    read = pl.DataFrame({"id": ids}).select(pl.sql_expr(sql)).to_series().to_list()
    assert read[0] == read[1]
    assert read[2:] == ids[2:]
