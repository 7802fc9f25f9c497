"""Cells that are no values are named before they become contacts or texts at the vendor."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill.api import plan
from backfill.prepare.facts.odd_cells import names_like_values

NAMESPACE = {"contact_id": {"namespace": "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"}}


def notes(folder: Path, lines: list[str], name: str = "e.csv", **events: object) -> list[str]:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    job = plan(
        destination="pristo-events",
        population="00000000-0000-4000-8000-000000000000",
        events={"files": folder / name, **events},
        time="at",
        fields={
            "contact.id": "user",
            "contact.email": "email",
            "type": "event",
            "customFields.note": "note",
        },
        rules=NAMESPACE,
        job=folder / "a.job",
    )
    return list(job.manifest.facts.warnings)


def row(user="7001", email="a@example.com", note="hello", day=1):
    return f"{user},{email},buy,2024-03-0{day}T10:00:00Z,{note}"


HEAD = "user,email,event,at,note"


@pytest.mark.parametrize("word", [r"\N", "NULL", "(null)", "#N/A", "NaN"])
def test_a_word_for_a_missing_value_is_named_with_what_makes_it_one(tmp_path, word):
    lines = [HEAD, row(note=word), row(day=2)]
    (note,) = [each for each in notes(tmp_path, lines) if "null_values" in each]
    assert "'note'" in note
    assert not [
        each for each in notes(tmp_path, lines, null_values=[word]) if "null_values" in each
    ]


def test_texts_that_are_written_as_formulas_are_named_with_what_takes_them_out(tmp_path):
    lines = [HEAD, row(note='="007"'), row(day=2)]
    (note,) = [each for each in notes(tmp_path, lines) if "formulas" in each]
    assert "customFields.note" in note
    assert "contact.id" not in note
    found = notes(tmp_path, lines, where="note = 'hello' OR note LIKE '=%'")
    assert len([each for each in found if "formulas" in each]) == 1
    assert not [each for each in notes(tmp_path, [HEAD, row(note="=1+2")]) if "formulas" in each]


def test_the_format_of_a_database_is_told_by_its_tabs(tmp_path):
    lines = [each.replace(",", "\t") for each in (HEAD, row(note=r"\N"))]
    (note,) = [each for each in notes(tmp_path, lines, "e.tsv") if "null_values" in each]
    assert "PostgreSQL" in note


@pytest.mark.parametrize("cell", [r"line\nbreak", r"C:\\new", r"oct\101"])
def test_escapes_of_a_database_are_told_also_where_its_word_for_null_is_known(tmp_path, cell):
    def lines(note):
        return [each.replace(",", "\t") for each in (HEAD, row(note=note), row(r"\N", day=2))]

    known = {"null_values": [r"\N"]}
    (said,) = [each for each in notes(tmp_path, lines(cell), "e.tsv", **known) if "Postg" in each]
    assert said.startswith("'note' hold backslashes")
    assert not [
        each for each in notes(tmp_path, lines(r"C:\Users"), "e.tsv", **known) if "Postg" in each
    ]


@pytest.mark.parametrize("cell", ["70001;70002", '"70001,70002"', '"[""70001"", ""70002""]"'])
def test_several_ids_in_one_cell_are_named(tmp_path, cell):
    (note,) = [each for each in notes(tmp_path, [HEAD, row(), row(cell)]) if "several ids" in each]
    assert "e.csv row 2" in note


@pytest.mark.parametrize("cell", ["12,5", "ab|c", "a.b", "user@example.com", "6,7"])
def test_an_id_with_a_mark_in_it_is_one_id(tmp_path, cell):
    found = notes(tmp_path, [HEAD, row(f'"{cell}"')])
    assert not [each for each in found if "several ids" in each]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("000162", "162", "leading zeros"),
        ("cus_A", "cus_a", "upper and lower case"),
        ("'7001", "7001", "an apostrophe"),
        ('="7001"', "7001", '="…" around it'),
    ],
)
def test_one_id_in_two_spellings_is_named(tmp_path, first, second, what):
    found = notes(tmp_path, [HEAD, row(first), row(second, day=2)])
    assert [each for each in found if f"differ by {what}" in each]
    found = notes(tmp_path, [HEAD, row(first), row(first, day=2)])
    assert not [each for each in found if "two spellings" in each]


def test_an_address_under_many_ids_asks_whether_they_are_contacts(tmp_path):
    lines = [row(f"{7000 + n}", f"p{n % 5}@example.com") for n in range(20)]
    (note,) = [each for each in notes(tmp_path, [HEAD, *lines]) if "several ids of con" in each]
    assert "5 of 5 values of contact.email" in note
    lines = [row(f"{7000 + n % 5}", f"p{n % 5}@example.com") for n in range(20)]
    assert not [each for each in notes(tmp_path, [HEAD, *lines]) if "several ids of con" in each]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a@example.com", "refund", "1"], ["a@example.com"]),
        (["2024-04-10 20:17:41+00", "x"], ["2024-04-10 20:17:41+00"]),
        ([r"\N", r"\N (column 2)", "x"], [r"\N", r"\N"]),
        (["17", "42", "buy"], ["17", "42"]),
        (["id", "email", "2024", "at"], []),
        (["2024-04-10", "2024-04-11", "id"], []),
        (["id", "Name"], []),
    ],
)
def test_names_that_are_values_say_that_there_is_no_header(names, found):
    assert names_like_values(names) == found


def test_lines_above_the_names_are_no_rows_and_are_named(tmp_path):
    above = ["sep=,", "Export of events, 2024-04-01", "", "", HEAD]
    (note,) = notes(tmp_path, [*above, row(), row(day=2)])
    assert note.endswith(
        "e.csv: the first 2 lines stand above the header and are no rows (sep=,; Export of events,"
        " 2024-04-01). The columns are 'user', 'email', 'event' and 2 more"
    )


@pytest.mark.parametrize("time", [None, "at"])
def test_duplicates_that_a_time_would_tell_apart_are_named(tmp_path, time):
    days = [f"2024-03-0{day},+12025550143" for day in (1, 2, 3)]
    (tmp_path / "e.csv").write_text("\n".join(["at,phone", *days]), encoding="utf-8")
    job = plan(
        destination="watch-events",
        events=tmp_path / "e.csv",
        time=time,
        timezone="UTC",
        fields={"target.value": "phone", "label": {"value": "a"}, "confidence": {"value": "low"}},
        job=tmp_path / "a.job",
    )
    told = [each for each in job.manifest.facts.warnings if "differ in their time alone" in each]
    assert len(told) == (time is None)
    assert job.manifest.duplicate == (2 if time is None else 0)


def test_a_file_without_a_header_is_named(tmp_path):
    with_names = [HEAD, row()]
    assert not [each for each in notes(tmp_path, with_names) if "first line" in each]
    odd = ["user,email,event,at,note,b@example.com", row() + ",x"]
    (note,) = [each for each in notes(tmp_path, odd) if "first line" in each]
    assert "'b@example.com'" in note
