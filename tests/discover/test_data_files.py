"""Of a directory as people have it, the files that hold the data are taken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from backfill.config import load_config
from backfill.discover import draft_config, save_config
from backfill.jobs.opening import plan_job

POPULATION = "00000000-0000-4000-8000-000000000000"
README = "This is the export of March.\nQuestions, please ask Anna.\n\nRows: 40\n"


def uuid(number):
    return f"0b21a9d4-5f0e-4b0c-8a3e-{number:012x}"


def events(month=1, rows=20):
    return pl.DataFrame(
        {
            "user_id": [uuid(each % 7) for each in range(rows)],
            "event": ["purchase"] * rows,
            "at": [f"2024-{month:02}-{each + 1:02}T10:00:00Z" for each in range(rows)],
            "phone": [f"+4477009000{each % 7:02}" for each in range(rows)],
        }
    )


def contacts():
    return pl.DataFrame(
        {
            "id": [uuid(each) for each in range(7)],
            "email": [f"{each}@example.com" for each in range(7)],
            "language": ["en"] * 7,
        }
    )


def as_lines(frame):
    return "".join(json.dumps(each) + "\n" for each in frame.to_dicts())


@pytest.fixture
def exports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("exports").mkdir()
    return Path("exports")


def clutter(folder):
    (folder / "README.txt").write_text(README)
    (folder / "notes.md").write_text("# Notes\n")
    (folder / ".DS_Store").write_bytes(b"\0\1")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\0\1")
    (folder / "schema.json").write_text('{"$schema": "x", "properties": {"user_id": {}}}\n')
    (folder / "checksums.txt").write_text("d41d8cd98f00b204e9800998ecf8427e  events-1.csv\n")
    (folder / "data_dictionary.csv").write_text("column,means\nuser_id,who\nevent,what\n")
    (folder / "empty.csv").touch()


def drafted(text, contacts=None):
    target = Path("out.toml")
    draft = draft_config(text, contacts=contacts, destination_name="pristo-events", target=target)
    assert [each.place for each in draft.questions] == ["population"]
    save_config(draft, target)
    target.write_text(target.read_text().replace('"?"', f'"{POPULATION}"'))
    books = plan_job(load_config(target), Path("out.job")).status().books
    return draft, books


@pytest.mark.parametrize("text", ["exports", "exports/*"])
def test_what_lies_beside_the_data_is_left_aside_and_named(exports, text):
    clutter(exports)
    for month in (1, 2):
        events(month).write_csv(exports / f"events-{month}.csv")
    draft, books = drafted(text)
    assert books.input == books.pending == 40
    assert draft.events.files == ("exports/events-*.csv",)
    assert draft.events.aside == tuple(
        f"exports/{name}"
        for name in ("README.txt", "checksums.txt", "data_dictionary.csv", "empty.csv")
    )
    for same in ("exports/", "./exports", "exports/*.*"):
        other = draft_config(same, destination_name="pristo-events", target=Path("other.toml"))
        assert other.events.files == draft.events.files
        assert other.events.aside == draft.events.aside
    assert "# 4 files are left aside" in draft.text
    assert "exports/README.txt" in draft.text


def test_lines_of_json_are_found_beside_a_readme_and_a_schema(exports):
    (exports / "README.txt").write_text(README)
    (exports / "schema.json").write_text('{"$schema": "x", "properties": {"user_id": {}}}\n')
    for month in (1, 2):
        (exports / f"part{month}.json").write_text(as_lines(events(month)))
    draft, books = drafted("exports")
    assert books.input == books.pending == 40
    assert draft.events.files == ("exports/part*.json",)
    assert draft.events.format == "ndjson"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_data_and_a_readme_of_one_ending_are_told_apart_by_their_columns(exports, encoding):
    (exports / "README.txt").write_text(README)
    text = events().write_csv(separator="\t")
    (exports / "jan.txt").write_bytes(text.encode(encoding))
    (exports / "feb.txt").write_bytes(events(2).write_csv(separator="\t").encode(encoding))
    draft, books = drafted("exports")
    assert books.input == books.pending == 40
    assert sorted(draft.events.files) == ["exports/feb.txt", "exports/jan.txt"]


def test_utf16_with_a_broken_unit_is_looked_at_like_any_other_file(exports):
    (exports / "notes.csv").write_text("a,b\n1,2\n")
    content = events().write_csv().encode("utf-16") + b"\x00\xd8x\x00\n\x00"
    (exports / "events.csv").write_bytes(content)
    draft, _ = drafted("exports")
    assert draft.events.files == ("exports/events.csv",)


def test_hive_directories_and_packed_files_keep_their_place(exports):
    clutter(exports)
    for month in (1, 2):
        folder = exports / f"month=2024-{month:02}"
        folder.mkdir()
        (folder / "part.csv.gz").write_bytes(gzip.compress(events(month).write_csv().encode()))
    draft, books = drafted("exports")
    assert books.input == books.pending == 40
    assert draft.events.files == ("exports/**/*.csv.gz",)
    assert draft.events.sample.hive


@pytest.mark.parametrize("other", [None, "exports/contacts.csv", "exports"])
def test_events_and_contacts_in_one_directory_are_told_apart(exports, other):
    clutter(exports)
    events().write_csv(exports / "events-1.csv")
    contacts().write_csv(exports / "contacts.csv")
    draft, books = drafted("exports", contacts=other)
    assert books.input == books.pending == 20
    assert draft.events.files == ("exports/events-1.csv",)
    assert "exports/contacts.csv" in draft.events.aside
    assert draft.contacts is None or draft.contacts.files == ("exports/contacts.csv",)


def test_files_that_gained_columns_stay_together(exports):
    events(1).write_csv(exports / "old.csv")
    events(2).with_columns(amount=pl.lit("1"), shop=pl.lit("a")).write_csv(exports / "new.csv")
    draft, books = drafted("exports")
    assert (books.input, draft.events.files, draft.events.aside) == (40, ("exports",), ())
