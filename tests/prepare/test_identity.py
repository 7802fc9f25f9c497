"""Identities: equal texts exactly for equal values, and keys that never change."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.destination import Field, Kind
from backfill.destinations import builtin_destinations
from backfill.prepare.identity import IDENTITY, Identity, identity_of, namespace_of
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.inputs import Input
from backfill.prepare.mapping.selection import Selection

PRISTO = builtin_destinations()["pristo-events"]
NAMES = ("type", "customFields.a", "customFields.b")

PINNED = [
    "ec1fc49c-195e-5d8e-859b-012dd055cb8e",
    "3b1f05a5-d481-5e44-9790-3477d61af21c",
    "c2ce5341-76e0-5ea2-b6c7-37d7b262fef3",
]

texts = st.none() | st.text(st.sampled_from("1:2;-|é"), min_size=1, max_size=4)


def a_field(name: str, **changes: Any) -> Input:
    field = PRISTO.field_for(name) or Field(name, Kind.TIME)
    values: dict[str, Any] = {"side": "events", "dtype": pl.String(), **changes}
    return Input(name, field, raw=pl.col(name), **values)


def identity_over(*inputs: Input, population: str | None = None) -> Identity:
    time = next((each for each in inputs if each.field.kind is Kind.TIME), None)
    binding = Binding(
        destination=PRISTO,
        inputs=inputs,
        time=time,
        contact_key=None,
        contacts_key=None,
        keep_contact="last",
        identity=tuple(each.name for each in inputs),
        keep="first",
        unused=(),
        tables={},
        selection=Selection(),
        expressions=(),
    )
    return identity_of(binding, population)


def keys_of(identity: Identity, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(identity.text).with_columns(identity.record.alias("record"))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(texts, texts, texts), min_size=2, max_size=30))
def test_texts_are_equal_exactly_where_all_values_are(
    rows: list[tuple[str | None, str | None, str | None]],
) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.String), orient="row")
    identity = identity_over(*(a_field(name) for name in NAMES))
    found = keys_of(identity, frame)[IDENTITY]
    assert found.null_count() == 0
    for text, row in zip(found, rows, strict=True):
        for other, values in zip(found, rows, strict=True):
            assert (text == other) == (row == values)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.integers(0, 600) | st.integers(250, 260), min_size=1))
def test_a_length_stands_before_each_value_however_long_it_is(lengths: list[int | None]) -> None:
    values = [None if length is None else "é" * (length // 2) + "x" for length in lengths]
    frame = pl.DataFrame({"type": values}, schema={"type": pl.String})
    found = keys_of(identity_over(a_field("type")), frame)[IDENTITY]
    assert found.to_list() == [
        ":" if value is None else f"{len(value.encode())}:{value}" for value in values
    ]


def test_an_id_that_every_record_has_is_told_with_its_length_too() -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(3)]
    identity = identity_over(a_field("contact.id"))
    assert keys_of(identity, pl.DataFrame({"contact.id": ids}))[IDENTITY].to_list() == [
        f"36:{each}" for each in ids
    ]


def test_the_record_key_is_pinned_for_all_versions_and_machines() -> None:
    rows = pl.DataFrame(
        {
            "type": ["purchase", "purchase", "שלום 😀"],
            "customFields.a": ["x", None, "1:2"],
            "occurredAt": [datetime(2024, 1, 2, 3, 4, 5, 678901, UTC)] * 2 + [None],
        },
        schema_overrides={"occurredAt": pl.Datetime("us", "UTC")},
    )
    inputs = [a_field("type"), a_field("customFields.a"), a_field("occurredAt")]
    found = keys_of(identity_over(*inputs, population="p"), rows)
    assert found[IDENTITY].to_list() == [
        "1:x1704164645678000;8:purchase",
        ":1704164645678000;8:purchase",
        "3:1:2;13:שלום 😀",
    ]
    assert found["record"].to_list() == PINNED
    space = namespace_of("pristo-events", "p", ["customFields.a", "occurredAt", "type"])
    assert found["record"].to_list() == [str(uuid.uuid5(space, t)) for t in found[IDENTITY]]


def test_the_order_of_mapping_and_the_side_of_a_field_change_no_key() -> None:
    rows = pl.DataFrame(
        {
            "type": ["t"] * 4,
            "customFields.a": ["a", None, "a", None],
            "customFields.b": ["b", "b", None, None],
        }
    )
    here = identity_over(*(a_field(name) for name in NAMES))
    turned = identity_over(*(a_field(name) for name in reversed(NAMES)))
    there = identity_over(
        a_field("type"),
        a_field("customFields.a", side="contacts"),
        a_field("customFields.b", side="contacts"),
    )
    fixed = identity_over(
        a_field("type", side=None, constant="t"), *(a_field(name) for name in NAMES[1:])
    )
    expected = keys_of(here, rows)
    assert expected["record"].n_unique() == 4
    assert keys_of(turned, rows).equals(expected)
    assert keys_of(fixed, rows).equals(expected)
    assert keys_of(there, rows.with_columns(there.fragments)).equals(expected)


def test_a_missing_contact_is_a_contact_whose_values_are_missing() -> None:
    identity = identity_over(
        a_field("type"),
        a_field("customFields.a", side="contacts"),
        a_field("customFields.b", side="contacts"),
    )
    rows = pl.DataFrame(
        {"type": ["t"], "customFields.a": [None], "customFields.b": [None]},
        schema=dict.fromkeys(NAMES, pl.String),
    )
    empty = rows.with_columns(identity.fragments)
    missing = empty.with_columns(pl.lit(None, pl.String).alias("__named0"))
    assert keys_of(identity, empty).equals(keys_of(identity, missing))


def test_destination_population_and_names_are_part_of_the_namespace() -> None:
    spaces = {
        namespace_of("pristo-events", None, ["type"]),
        namespace_of("pristo-events", "p", ["type"]),
        namespace_of("watch-events", None, ["type"]),
        namespace_of("pristo-events", None, ["type", "occurredAt"]),
    }
    assert len(spaces) == 4
