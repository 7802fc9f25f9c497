"""Bodies: exactly the canonical values, whatever their text, and nothing that is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.destination import Field, Kind
from backfill.destinations import builtin_destinations
from backfill.prepare.encode import body_of
from backfill.prepare.mapping.inputs import Input

PRISTO = builtin_destinations()["pristo-events"]

# Control characters, quotes, separators that some readers take for line ends, astral ones.
nasty = st.text(
    st.one_of(
        st.characters(codec="utf-8"), st.sampled_from('"\\/\x00\x1f\x7f\u2028\u2029\ufeff😀{},:\n')
    ),
    min_size=1,
    max_size=12,
)


def an_input(name: str, side: Any = "events", **changes: Any) -> Input:
    field = PRISTO.field_for(name)
    assert field is not None
    values: dict[str, Any] = {"side": side, "raw": pl.col(name), "dtype": pl.String(), **changes}
    return Input(name, field, **values)


def bodies(inputs: Sequence[Input], rows: Sequence[Mapping[str, str | None]]) -> list[str]:
    """Encode canonical values given by field name."""
    names = [each.name for each in inputs if each.side]
    frame = pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in names},
        schema=dict.fromkeys(names, pl.String),
    )
    if "occurredAt" in names:
        frame = frame.with_columns(
            pl.col("occurredAt").str.to_datetime(time_zone="UTC", time_unit="us")
        )
    body = body_of(inputs)
    full = {each.name for each in inputs if each.side == "events"}
    present = {name for name in full if not frame[name].null_count()}
    joined = frame.with_columns(body.fragments)
    found, quick = joined.select(body.item(), body.item(present).alias("quick")).get_columns()
    assert quick.to_list() == found.to_list(), "what is known of a part changes no body"
    return found.to_list()


def expected(inputs: Sequence[Input], row: Mapping[str, str | None]) -> dict[str, Any]:
    """The same by hand: nested dictionaries without what is missing."""
    body: dict[str, Any] = {}
    for each in inputs:
        value = each.constant if each.constant is not None else row.get(each.name)
        if value is None:
            continue
        into = body
        for name in each.path[:-1]:
            into = into.setdefault(name, {})
        into[each.path[-1]] = value
    return body


FIELDS = (
    "contact.email",
    "contact.name",
    "contact.lastName",
    "contact.customFields.plan",
    'contact.customFields.a "quoted\\" näme\n',
    "type",
    "customFields.a.b",
    "customFields.note",
)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_body_says_what_the_values_say_on_whichever_side_they_stand(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(FIELDS), unique=True), label="fields")
    names = [name for name in FIELDS if name in (*chosen, "type")]
    sides = st.sampled_from(["events", "contacts", None])
    inputs = [an_input("contact.id", data.draw(st.sampled_from(["events", "contacts"])))]
    for name in names:
        side = data.draw(sides, label=name)
        constant = data.draw(nasty) if side is None else None
        inputs.append(an_input(name, side, constant=constant))
    values = {
        each.name: nasty if each.name == "type" else st.none() | nasty
        for each in inputs
        if each.name != "contact.id"
    }
    row = st.fixed_dictionaries({"contact.id": st.just("0" * 36), **values})
    rows = data.draw(st.lists(row, min_size=1, max_size=5), label="rows")
    found = bodies(inputs, rows)
    assert [json.loads(body) for body in found] == [expected(inputs, row) for row in rows]


def test_fields_keep_their_order_and_no_space_is_wasted() -> None:
    inputs = [
        an_input("contact.id"),
        an_input("contact.email", "contacts"),
        an_input("contact.phone"),
        an_input("contact.customFields.plan", "contacts"),
        an_input("type"),
        an_input("occurredAt"),
        an_input("customFields.source", None, constant='"x"'),
    ]
    row = {
        "contact.id": "i",
        "contact.email": "e",
        "contact.phone": "+12025550100",
        "contact.customFields.plan": "p",
        "type": "t",
        "occurredAt": "2024-01-02T03:04:05.678901Z",
    }
    assert bodies(inputs, [row]) == [
        '{"contact":{"id":"i","email":"e","phone":"+12025550100","customFields":{"plan":"p"}},'
        '"type":"t","occurredAt":"2024-01-02T03:04:05.678Z","customFields":{"source":"\\"x\\""}}'
    ]


def test_an_object_whose_members_are_all_missing_is_left_out() -> None:
    inputs = [
        an_input("contact.id"),
        an_input("contact.customFields.a", "contacts"),
        an_input("type"),
        an_input("customFields.a"),
        an_input("customFields.b", "contacts"),
    ]
    row = {"contact.id": "i", "type": "t"}
    assert bodies(inputs, [row]) == ['{"contact":{"id":"i"},"type":"t"}']
    assert bodies(inputs, [{**row, "customFields.b": "x"}]) == [
        '{"contact":{"id":"i"},"type":"t","customFields":{"b":"x"}}'
    ]


def test_a_contact_that_was_not_found_leaves_its_fields_out() -> None:
    inputs = [an_input("contact.id"), an_input("contact.name", "contacts"), an_input("type")]
    body = body_of(inputs)
    rows = pl.DataFrame(
        {"contact.id": ["i"], "type": ["t"], "__fragment0": [None]},
        schema_overrides={"__fragment0": pl.String},
    )
    assert rows.select(body.item()).item() == '{"contact":{"id":"i"},"type":"t"}'


def test_optional_members_before_the_first_required_one_bring_their_comma_after_them() -> None:
    optional = Input("note", Field("note", Kind.TEXT), "events", pl.col("note"), pl.String())
    more = Input("more", Field("more", Kind.TEXT), "contacts", pl.col("more"), pl.String())
    for row, text in (
        ({"type": "t"}, '{"type":"t"}'),
        ({"type": "t", "note": "n"}, '{"note":"n","type":"t"}'),
        ({"type": "t", "more": "m"}, '{"more":"m","type":"t"}'),
        ({"type": "t", "note": "n", "more": "m"}, '{"note":"n","more":"m","type":"t"}'),
    ):
        assert bodies([optional, more, an_input("type")], [row]) == [text]
