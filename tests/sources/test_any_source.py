"""Whatever a source holds: the books balance, bodies are valid, and nothing is invented.

An oracle of dictionaries and loops says which rows are good, which repeat which, and what
each body must hold.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema_rs
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.prepare.prepared import NOW, Prepared, prepared

START = datetime(2024, 1, 1, tzinfo=UTC)

# The API document's schema in our own words.
TEXTS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
SCHEMA = {
    "type": "object",
    "required": ["contact", "type", "occurredAt"],
    "additionalProperties": False,
    "properties": {
        "contact": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "anyOf": [{"required": ["phone"]}, {"required": ["email"]}],
            "properties": {
                "id": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
                "email": {"type": "string", "minLength": 3},
                "phone": {"type": "string", "pattern": "^\\+[1-9][0-9]{1,14}$"},
                "language": {"type": "string", "pattern": "^[a-z]{2}$"},
                "name": {"type": "string", "minLength": 1},
                "lastName": {"type": "string", "minLength": 1},
                "customFields": TEXTS,
            },
        },
        "type": {"type": "string", "minLength": 1},
        "occurredAt": {
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{3})?Z$",
        },
        "customFields": TEXTS,
    },
}
VALID = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)

ids = st.sampled_from([str(uuid.UUID(int=number)) for number in range(1, 6)])
nasty = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\/\x00\x1f\x7f\u2028😀,\n\r')),
    max_size=6,
)


def few(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


events = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.none() | ids | ids.map(str.upper) | st.sampled_from(["u-1", "", " "]),
            "event": few("buy", "buy", "sell", "", " sell "),
            "at": st.none()
            | st.integers(0, 3).map(lambda day: START + timedelta(days=day, microseconds=day))
            | st.just(NOW + timedelta(seconds=1)),
            "note": st.none() | nasty | st.just("x" * 51),
        }
    ),
    max_size=25,
)
contacts = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | ids | st.sampled_from(["u-1", ""]),
            "email": few("a@example.com", "a@example.com", " b@example.com ", "no", ""),
            "phone": few("+12025550101", " +12025550102", "12", ""),
            "name": st.none() | nasty,
        }
    ),
    max_size=8,
)

EVENT_TYPES = {
    "user": pl.String(),
    "event": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "note": pl.String(),
}
CONTACT_TYPES = dict.fromkeys(("id", "email", "phone", "name"), pl.String())

SECTIONS: dict[str, Any] = {
    "events": {"contact_key": "user", "time": "at"},
    "contacts": {"key": "id"},
    "fields": {
        "contact.id": "events.user",
        "contact.email": "contacts.email",
        "contact.phone": "contacts.phone",
        "contact.name": "contacts.name",
        "type": "event",
        "customFields.note": "note",
        "customFields.source": {"value": 'an "import"'},
    },
}


# --- the oracle ----------------------------------------------------------------------------


@dataclass
class Expected:
    reasons: dict[int, set[str]]
    bodies: dict[int, dict[str, Any]]
    repeats: dict[int, int]


def clean(text: str | None) -> str | None:
    return (text or "").strip() or None


def broken_by(row: dict[str, Any], person: dict[str, Any]) -> set[str]:
    broken = set()
    user, email, phone = clean(row["user"]), clean(person["email"]), clean(person["phone"])
    if user is None:
        broken.add("contact.id|required")
    elif not re.fullmatch("[0-9a-f-]{36}", user.lower()):
        broken.add("contact.id|uuid")
    if email == "no":
        broken.add("contact.email|email")
    if phone == "12":
        broken.add("contact.phone|e164")
    if email is None and phone is None:
        broken.add("contact|reachable")
    if clean(row["event"]) is None:
        broken.add("type|required")
    if row["at"] is None:
        broken.add("occurredAt|required")
    elif row["at"] > NOW:
        broken.add("occurredAt|future")
    if row["note"] is not None and len(row["note"]) > 50:
        broken.add("customFields.note|max_length")
    return broken


def body_for(row: dict[str, Any], person: dict[str, Any]) -> dict[str, Any]:
    at: datetime = row["at"]
    millis = f".{at.microsecond // 1000:03}" if at.microsecond >= 1000 else ""
    contact = {
        "id": clean(row["user"].lower()),
        "email": clean(person["email"]),
        "phone": clean(person["phone"]),
        "name": person["name"] or None,
    }
    custom = {"note": row["note"] or None, "source": 'an "import"'}
    return {
        "contact": {name: value for name, value in contact.items() if value is not None},
        "type": clean(row["event"]),
        "occurredAt": f"{at:%Y-%m-%dT%H:%M:%S}{millis}Z",
        "customFields": {name: value for name, value in custom.items() if value is not None},
    }


def oracle(
    rows: list[dict[str, Any]], people: list[dict[str, Any]], key: list[str] | None, keep: str
) -> Expected:
    nobody = dict.fromkeys(CONTACT_TYPES)
    known = {clean(person["id"]): person for person in people}
    known.pop(None, None)
    expected = Expected({}, {}, {})
    identities: dict[int, Any] = {}
    for number, row in enumerate(rows, start=1):
        person = known.get(clean(row["user"]), nobody)
        if broken := broken_by(row, person):
            expected.reasons[number] = broken
            continue
        body = expected.bodies[number] = body_for(row, person)
        whole = json.dumps(body), row["at"]
        identities[number] = whole if key is None else [body.get("type"), row["at"]]
    order = sorted(identities, reverse=keep == "last")
    kept: list[int] = []
    for number in order:
        same = [other for other in kept if identities[other] == identities[number]]
        if same:
            expected.repeats[number] = same[0]
            del expected.bodies[number]
        else:
            kept.append(number)
    return expected


# --- the properties ------------------------------------------------------------------------


def agree(job: Prepared, expected: Expected, rows: list[dict[str, Any]]) -> None:
    manifest = job.manifest
    assert manifest.books.balanced
    assert manifest.input == len(rows)
    assert {row: set(text.split(";")) for row, text in job.reasons.items()} == expected.reasons
    assert job.kept_of == expected.repeats
    found = {
        row: json.loads(body)
        for frame in job.buckets
        for row, body in frame.select("row", "body").iter_rows()
    }
    assert found == expected.bodies
    for body in found.values():
        VALID.validate(body)
    counts: dict[str, int] = {}
    for broken in expected.reasons.values():
        for reason in broken:
            counts[reason] = counts.get(reason, 0) + 1
    assert manifest.reasons == counts


def in_order(job: Prepared) -> None:
    homes: dict[str, set[tuple[int, int]]] = {}
    for number, frame in enumerate(job.buckets):
        for key, lane in frame.select("key", "lane").iter_rows():
            homes.setdefault(key, set()).add((number, lane))
        order = frame.select("lane", "time", "file", "row")
        assert order.equals(order.sort("lane", "time", "file", "row"))
    assert all(len(home) == 1 for home in homes.values())


@settings(deadline=None, max_examples=20)
@given(
    events,
    contacts,
    st.sampled_from([1, 1, 3]),
    st.sampled_from([None, ["type", "time"]]),
    st.sampled_from(["first", "last"]),
)
def test_every_row_comes_out_once_and_as_the_oracle_says(
    rows: list[dict[str, Any]],
    people: list[dict[str, Any]],
    parts: int,
    key: list[str] | None,
    keep: str,
) -> None:
    frames = (
        pl.DataFrame(rows, schema=EVENT_TYPES, orient="row"),
        pl.DataFrame(people, schema=CONTACT_TYPES, orient="row"),
    )
    dedupe: dict[str, Any] = {"keep": keep, **({"key": key} if key else {})}
    with prepared("pristo-events", *frames, parts=parts, dedupe=dedupe, **SECTIONS) as job:
        agree(job, oracle(rows, people, key, keep), rows)
        in_order(job)
        source = job.ready.select("row", "source.note") if job.buckets else pl.DataFrame()
        assert dict(source.iter_rows()) == {
            row: rows[row - 1]["note"] for row in (job.ready["row"] if job.buckets else [])
        }
