"""A column of any type ends in records or in rejected rows with an example, never in an error."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.prepare.prepared import Prepared, prepare_in

NAMED: dict[str, Any] = {
    "rules": {"contact_id": {"namespace": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}}
}
FAR = pl.Series([10**17], dtype=pl.Int64)

# name: a column of one value, the rule that it breaks as a text (or what it is as one), the rule
# that it breaks as a time, and how it is shown where no field takes it.
TYPES: dict[str, tuple[pl.Series, str, str | None, str | None]] = {
    "list": (pl.Series([["a"]]), "|nested", "format", None),
    "array": (pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)), "|nested", "format", None),
    "struct": (pl.Series([{"a": 1}]), "|nested", "format", None),
    "list of durations": (pl.Series([[timedelta(1)]]), "|nested", "format", None),
    "struct of bytes": (pl.Series([{"a": b"\xff"}]), "|nested", "format", None),
    "bytes": (pl.Series([b"\xffx"]), "|type", "format", "0xff78"),
    "duration": (pl.Series([timedelta(minutes=90)]), "|type", "format", "PT1H30M"),
    "duration ms": (pl.Series([timedelta(1)], dtype=pl.Duration("ms")), "|type", "format", "P1D"),
    "time": (pl.Series([time(9, 30)]), "09:30:00", "format", "09:30:00"),
    "decimal": (pl.Series([Decimal("1.50")]), "1.50", "format", "1.50"),
    "null": (pl.Series([None]), "", "required", None),
    "categories": (pl.Series(["x"], dtype=pl.Categorical), "x", "format", "x"),
    "enum": (pl.Series(["x"], dtype=pl.Enum(["x", "y"])), "x", "format", "x"),
    "integer of 128 bits": (
        pl.Series([2**100], dtype=pl.Int128),
        "1267650600228229401496703205376",
        "format",
        "1267650600228229401496703205376",
    ),
    "half a float": (pl.Series([1.5], dtype=pl.Float16), "1.5", "format", "1.5"),
    "truth": (pl.Series([True]), "true", "format", "true"),
    "date": (pl.Series([date(2024, 2, 29)]), "2024-02-29", None, "2024-02-29"),
    "moment": (pl.Series([datetime(2024, 2, 29)]), "2024-02-29T00:00:00Z", None, "2024"),  # noqa: DTZ001
    "a moment too far": (FAR.cast(pl.Datetime("ms")), "|range", "range", "100000000000000000"),
    "a day too far": (
        pl.Series([2**30], dtype=pl.Int32).cast(pl.Date),
        "|range",
        "range",
        "1073741824",
    ),
}


def shown(job: Prepared, reason: str) -> str | None:
    (example,) = job.manifest.facts.examples[reason]
    return example.value


SECTIONS: dict[str, Any] = {
    "events": {"contact_key": "user", "time": "at", "timezone": "UTC"},
    "contacts": {"key": "id"},
    **NAMED,
}
FIELDS: dict[str, Any] = {
    "contact.id": "events.user",
    "contact.email": {"value": "a@example.com"},
    "type": {"value": "purchase"},
}
EVENTS = pl.DataFrame({"user": ["u"], "at": ["2024-01-02T03:04:05Z"]})
CONTACTS = pl.DataFrame({"id": ["u"]})


@pytest.mark.parametrize("side", ["events", "contacts"])
def test_a_field_from_a_column_of_any_type(tmp_path: Path, side: str) -> None:
    """All that are texts in one record, and all that break a rule in another one."""
    above = "contact." * (side == "contacts")
    numbers = {name: f"{above}customFields.x{number}" for number, name in enumerate(TYPES)}

    def job_of(names: list[str], directory: str) -> Prepared:
        own = [TYPES[name][0].alias(f"column {name}") for name in names]
        tables = {"events": EVENTS, "contacts": CONTACTS}
        tables[side] = tables[side].with_columns(own)
        fields = {**FIELDS, **{numbers[name]: f"{side}.column {name}" for name in names}}
        place = tmp_path / directory
        place.mkdir()
        return prepare_in(place, "pristo-events", *tables.values(), fields=fields, **SECTIONS)

    broken = {name: each[1] for name, each in TYPES.items() if each[1].startswith("|")}
    job = job_of(list(broken), "broken")
    reasons = {name: f"{numbers[name]}{rule}" for name, rule in broken.items()}
    assert job.reasons.keys() == {1}
    assert sorted(job.reasons[1].split(";")) == sorted(reasons.values())
    for name, reason in reasons.items():
        assert shown(job, reason) == TYPES[name][3], name
    texts = {name: each[1] for name, each in TYPES.items() if name not in broken}
    (body,) = job_of(list(texts), "texts").bodies
    assert (body["contact"] if above else body)["customFields"] == {
        numbers[name].rpartition(".")[2]: text for name, text in texts.items() if text
    }


@pytest.mark.parametrize("name", TYPES)
def test_a_phone_from_a_column_of_any_type(tmp_path: Path, name: str) -> None:
    column, text, _, example = TYPES[name]
    job = prepare_in(
        tmp_path,
        "pristo-events",
        EVENTS.with_columns(x=column),
        CONTACTS,
        fields={**FIELDS, "contact.phone": "events.x"},
        **SECTIONS,
    )
    quantity = text.replace(".", "").isdigit() and "." in text
    wrong = text if text.startswith("|") else "|float" if quantity else "|e164"
    assert job.reasons == ({1: f"contact.phone{wrong}"} if text else {})
    if text and example:
        assert (shown(job, f"contact.phone{wrong}") or "").startswith(example)


@pytest.mark.parametrize("name", TYPES)
def test_an_id_from_a_column_of_any_type(tmp_path: Path, name: str) -> None:
    column, text, _, _ = TYPES[name]
    events = pl.DataFrame({"x": column, "at": ["2024-01-02T03:04:05Z"]})
    fields = {
        "contact.id": "x",
        "contact.email": {"value": "a@example.com"},
        "type": {"value": "purchase"},
    }
    sections: dict[str, Any] = {
        "events": {"time": "at", "timezone": "UTC"},
        "fields": fields,
    }
    job = prepare_in(tmp_path, "pristo-events", events, name="a", **sections)
    rule = text if text.startswith("|") else "|uuid" if text else "|required"
    assert job.reasons == {1: f"contact.id{rule}"}
    job = prepare_in(tmp_path, "pristo-events", None, name="b", **sections, **NAMED)
    assert job.manifest.ready == (0 if rule in ("|required", text) else 1)


@pytest.mark.parametrize("name", TYPES)
def test_a_time_from_a_column_of_any_type(tmp_path: Path, name: str) -> None:
    column, _, rule, example = TYPES[name]
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"x": column}),
        events={"time": "x", "timezone": "UTC"},
        fields={
            "target.value": {"value": "+12025550101"},
            "label": {"value": "a"},
            "confidence": {"value": "high"},
        },
    )
    if rule in (None, "required"):
        assert job.manifest.ready == 1
    else:
        assert job.reasons == {1: f"time|{rule}"}
        assert shown(job, f"time|{rule}") == example
