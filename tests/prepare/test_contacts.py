"""Contacts as they are: several rows of one, several files about one, and known ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import SourceError
from tests.prepare.prepared import Prepared, prepare_in, prepared, watch_fields

ID = "6f9619ff-8b86-4d01-b42d-00cf4fc96{:03}"
FIELDS: dict[str, Any] = {
    "contact.id": "events.id",
    "contact.email": "contacts.email",
    "contact.phone": "contacts.phone",
    "type": {"value": "purchase"},
}


def events(count: int = 2) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [ID.format(n) for n in range(count)], "at": ["2024-03-01T09:15:00Z"] * count}
    )


def joined(directory: Path, contacts: pl.DataFrame, keep: str, **rules: Any) -> Prepared:
    return prepare_in(
        directory,
        "pristo-events",
        events(),
        contacts,
        events={"contact_key": "id", "time": "at"},
        contacts={"key": "id", "keep": keep},
        fields=FIELDS,
        rules=rules,
    )


@pytest.mark.parametrize(
    ("keep", "email", "phone"),
    [
        ("first", "a@example.com", None),
        ("last", None, "+12025550102"),
        ("fill", "b@example.com", "+12025550102"),
    ],
)
def test_which_row_of_a_contact_counts(
    tmp_path: Path, keep: str, email: str | None, phone: str | None
) -> None:
    """An empty text is no value, in the last row too."""
    contacts = pl.DataFrame(
        {
            "id": [ID.format(0)] * 3,
            "email": ["a@example.com", "b@example.com", ""],
            "phone": [None, "+12025550101", "+12025550102"],
        }
    )
    (body,) = joined(tmp_path, contacts, keep).bodies
    assert (body["contact"].get("email"), body["contact"].get("phone")) == (email, phone)


def in_two_files(directory: Path, keep: str) -> Prepared:
    (directory / "emails.csv").write_text(f"id,email\n{ID.format(0)},a@example.com\n")
    (directory / "phones.csv").write_text(
        f"id,phone\n{ID.format(0)},+12025550101\n{ID.format(1)},+12025550102\n"
    )
    return prepare_in(
        directory,
        "pristo-events",
        events(),
        parts=2,
        events={"contact_key": "id", "time": "at"},
        contacts={"files": ["emails.csv", "phones.csv"], "key": "id", "keep": keep},
        fields=FIELDS,
    )


def test_files_add_columns_to_each_other(tmp_path: Path) -> None:
    contacts = [body["contact"] for body in in_two_files(tmp_path, "fill").bodies]
    assert [(each.get("email"), each["phone"]) for each in contacts] == [
        ("a@example.com", "+12025550101"),
        (None, "+12025550102"),
    ]


def test_without_filling_each_file_has_all_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='keep = "fill"'):
        in_two_files(tmp_path, "last")


def test_each_file_has_the_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,email\nx,a@example.com\n")
    (tmp_path / "b.csv").write_text("key,phone\nx,+12025550101\n")
    with pytest.raises(SourceError, match=r"no column 'id' in b\.csv"):
        prepare_in(
            tmp_path,
            "pristo-events",
            events(),
            events={"contact_key": "id", "time": "at"},
            contacts={"files": ["a.csv", "b.csv"], "key": "id", "keep": "fill"},
            fields=FIELDS,
        )


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from([None, "", "a@example.com", "b@example.com"]),
            st.sampled_from([None, "", "+12025550101", "+12025550102"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_filling_is_what_a_loop_over_the_rows_would_do(
    rows: list[tuple[int, str | None, str | None]],
) -> None:
    known: dict[int, dict[str, str]] = {0: {}, 1: {}}
    for who, email, phone in rows:
        known[who] |= {name: text for name, text in (("email", email), ("phone", phone)) if text}
    contacts = pl.DataFrame(
        {
            "id": [ID.format(who) for who, _, _ in rows],
            "email": [email for _, email, _ in rows],
            "phone": [phone for _, _, phone in rows],
        },
        schema_overrides={"email": pl.String, "phone": pl.String},
    )
    with prepared(
        "pristo-events",
        events(),
        contacts,
        events={"contact_key": "id", "time": "at"},
        contacts={"key": "id", "keep": "fill"},
        fields=FIELDS,
        rules={"reachable": "known"},
    ) as job:
        found = [body["contact"] for body in job.bodies]
    assert found == [{"id": ID.format(who), **known[who]} for who in (0, 1)]


def test_known_contacts_go_by_their_id(tmp_path: Path) -> None:
    contacts = pl.DataFrame({"id": [ID.format(0)], "email": [""], "phone": ["+12025550101"]})
    strict = joined(tmp_path, contacts, "last")
    assert strict.reasons == {2: "contact|reachable"}
    (tmp_path / "known").mkdir()
    known = joined(tmp_path / "known", contacts, "last", reachable="known")
    assert known.reasons == {}
    assert known.bodies[1]["contact"] == {"id": ID.format(1)}


@pytest.mark.parametrize(
    ("phone", "drop", "reasons"),
    [
        (pl.Series(["no phone"]), [], "contact.phone|e164"),
        (pl.Series([["+12025550101"]]), [], "contact.phone|nested"),
        (
            pl.Series([["+12025550101"]]),
            ["contact.phone"],
            "contact.phone|nested;contact|reachable",
        ),
        (pl.Series([None], dtype=pl.String), [], "contact|reachable"),
    ],
)
@pytest.mark.parametrize("side", ["events", "contacts"])
def test_who_has_a_phone_that_is_wrong_is_not_called_without_one(
    tmp_path: Path, phone: pl.Series, drop: list[str], reasons: str, side: str
) -> None:
    """Else its rule would ask for a field that is mapped, and filled."""
    columns = {"id": [ID.format(0)], "phone": phone}
    job = prepare_in(
        tmp_path,
        "pristo-events",
        events().head(1).with_columns(phone=phone),
        pl.DataFrame(columns),
        events={"contact_key": "id", "time": "at"},
        contacts={"key": "id"},
        fields={
            "contact.id": "events.id",
            "type": {"value": "login"},
            "contact.phone": f"{side}.phone",
        },
        rules={"drop_invalid": drop},
    )
    assert job.reasons == {1: reasons}


@pytest.mark.parametrize(("keep", "value"), [("first", "one"), ("last", "none"), ("fill", "none")])
def test_an_example_shows_the_row_of_a_contact_that_was_joined(
    tmp_path: Path, keep: str, value: str
) -> None:
    phones = ["one", "+12025550101", "none", None if keep == "fill" else "none"]
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"user": ["a"], "label": ["x"]}),
        pl.DataFrame({"id": ["a"] * 4, "phone": phones}),
        events={"contact_key": "user"},
        contacts={"key": "id", "keep": keep},
        fields=watch_fields(**{"target.value": "contacts.phone"}),
    )
    [example] = job.manifest.facts.examples["target.value|e164"]
    assert example.value == value


_MANY = """
import sys
from pathlib import Path
import polars as pl
from tests.peak_memory import peak_memory
from tests.prepare.prepared import prepare_in

place = Path(sys.argv[1])
events = pl.DataFrame({"id": ["7"] * 20, "at": ["2024-03-01T09:15:00Z"] * 20})
events = events.with_columns(n=pl.int_range(20).cast(pl.String))
sections = {
    "events": {"contact_key": "id", "time": "at"},
    "contacts": {"key": "id", "keep": sys.argv[2]},
    "fields": {"contact.id": "events.id", "contact.email": "contacts.email",
               "contact.name": "contacts.name", "type": "n"},
    "rules": {"contact_id": {"namespace": "6f9619ff-8b86-4d01-b42d-00cf4fc96400"}},
}
def contacts(count):
    number = pl.int_range(count)
    return pl.select(id=pl.lit("7").repeat_by(count).explode(),
                     email=pl.format("person{}@example.com", number),
                     name=pl.format("name {} of somebody with a name that is rather long", number))
pl.concat([contacts(100_000)] * 30).write_parquet(place / "contacts.parquet")
before = peak_memory()
job = prepare_in(place, "pristo-events", events, None, parts=4, at_once=20_000, **sections)
assert job.manifest.ready == 20
email = job.bodies[0]["contact"]["email"]
assert email == "person99999@example.com", email
print(peak_memory() - before)
"""


@pytest.mark.parametrize("keep", ["last", "fill"])
def test_rows_of_one_contact_are_not_held_together(tmp_path: Path, keep: str) -> None:
    """Three million of them, read in a stream, take some 370 MB; held at once they take 650."""
    ended = subprocess.run(
        [sys.executable, "-c", _MANY, tmp_path, keep],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "POLARS_MAX_THREADS": "2"},
    )  # fmt: skip
    assert int(ended.stdout) < 520, ended.stdout
