"""A header is found below titles where the rows say so, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.sources.formats.csv_grammar import SEPARATORS, Dialect
from backfill.sources.formats.titles import (
    Beginning,
    other_separator,
    read_beginning,
    row_with,
)
from backfill.sources.locations import Location

HEADER = "user_id,event,at"
ROWS = [f"u{number},Signed Up,2024-03-{number:02}" for number in range(1, 7)]
COMMA = Dialect(b",")


def beginning(*lines: str, separator: bytes = b",") -> Beginning:
    text = "".join(f"{line}\n" for line in lines).encode()
    return read_beginning(Dialect(separator), text, final=True)


@pytest.mark.parametrize(
    "titles",
    [
        ["Export of contacts, 2024-03-01", ""],
        ["Export of contacts"],
        ["Contacts"],
        ["Monthly report", "by example.com", ""],
        ["Monthly report,,"],
        ["# -----", "# All data", "# 20240101-20240131", "#"],
        ["Account:,Example", "From:,2024-01-01", ""],
        ['"Export of contacts, all of them"', ",,"],
        ["", "", "Export of contacts", "\t"],
        ['"Export" of contacts'],
        ["sep=,"],
        ["Total, Export", ""],
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_stands_above_the_names_of_the_columns_is_no_header(titles, end):
    text = end.join([*titles, HEADER, *ROWS, ""]).encode()
    found = read_beginning(COMMA, text, final=True)
    assert text[found.start :].startswith(HEADER.encode())
    assert len(found.titles) == sum(bool(each.strip(", \t")) for each in titles)


@pytest.mark.parametrize(
    "lines",
    [
        [HEADER, *ROWS],
        ["user_id", *["u1,u2", "u3,u4"]],  # a column of its own with commas in its texts
        ["message", "Hello, you", "Yes, please", "No, 2024"],
        ["user_id,event", *ROWS],  # a name that was forgotten
        ["first,last", "Ann,Smith,Berlin", "Bob,Jones,Paris", "Cy,Poe,Rome"],
        [HEADER, *(f"{row}," for row in ROWS)],  # separators at the end of rows alone
        ["Export of contacts", HEADER],  # without a row nothing tells them apart
        ["Export of contacts", *ROWS],  # rows are no names
        ["Export of contacts", HEADER, *["a,b,c,d,e"] * 6],
        ["Export of contacts", "one,two,three", *["a,b,c"] * 6],  # nor are these told from rows
        ["a,b,c,d", HEADER, *ROWS],
        [",a,a", "x,y,z", "1,2,3", "2,2,3"],
        [],
        [""],
    ],
)
def test_where_it_is_not_plain_the_first_line_is_the_header(lines):
    assert beginning(*lines) == Beginning()


def test_a_line_for_excel_is_no_title_of_a_report_and_both_may_stand_there():
    found = beginning("SEP=;", "Export of contacts", HEADER.replace(",", ";"),
                      *(row.replace(",", ";") for row in ROWS), separator=b";")  # fmt: skip
    assert found.titles == ("SEP=;", "Export of contacts")
    assert beginning("sep=;", "only", "1", separator=b";").titles == ("sep=;",)
    assert beginning(*["sep=;"] * 5_000, separator=b";").titles[0] == "sep=;"


@pytest.mark.parametrize("title", ["Report", "Report, 2024-03-01", "Report, part one, for all"])
def test_another_separator_is_told_by_the_header_below_titles(title):
    rows = "\n".join(["", HEADER, *ROWS, ""]).replace(",", ";")
    content = f"{title}\n{rows}".encode()
    assert other_separator(COMMA, content, final=True) == b";"
    assert other_separator(Dialect(b";"), content, final=True) is None


def test_lists_in_the_cells_of_a_plain_file_are_no_other_separator():
    text = "user id,list\na,buy;sell\n1,2;3\n2,3;4\n"
    assert read_beginning(Dialect(b";"), text.encode(), final=True).titles
    assert other_separator(COMMA, text.encode(), final=True) is None


CELL = st.text(st.sampled_from('ab1 @;,-\n"'), max_size=6)
NAME = st.text(st.sampled_from("abc_"), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(SEPARATORS), st.integers(2, 4))
def test_a_first_line_as_wide_as_the_rows_is_always_the_header(data, separator, width):
    mark = separator.decode()
    rows = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6))
    names = data.draw(st.lists(NAME, min_size=width, max_size=width, unique=True))
    lines = [mark.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    text = "\n".join([mark.join(names), *lines, ""]).encode()
    assert read_beginning(Dialect(separator), text, final=True) == Beginning()
    assert other_separator(Dialect(separator), text, final=True) is None


def test_a_row_below_that_has_a_name_is_found_for_whoever_looks_for_the_header(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b,c,d", "x", HEADER, *ROWS]), encoding="utf-8")
    location = Location("a.csv", str(path), "csv", ",")
    assert row_with(location, "event") == 2
    assert row_with(location, "a") is None
    assert row_with(location, "nowhere") is None
