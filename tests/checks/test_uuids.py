"""Contact ids, against the standard library's UUIDs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.checked import Checked, Steps
from backfill.checks.uuids import check_uuid, one_spelling, spelling_in, without_case

SPACE = uuid.UUID("00000000-0000-4000-8000-00000000beef")


def check(namespace: uuid.UUID | None) -> Checked:
    steps = check_uuid(namespace, pl.String())
    whole = Steps(({"text": pl.field("raw")}, *steps.stages), steps.rules)
    return Checked.from_steps(pl.col("raw"), whole)


def judged(ids: Sequence[str | None], namespace: uuid.UUID | None) -> list[tuple[str | None, bool]]:
    checked = check(namespace)
    broken = pl.any_horizontal(pl.lit(value=False), *(expr for _, expr in checked.broken))
    frame = pl.DataFrame({"raw": ids}, schema={"raw": pl.String}).lazy()
    return frame.select(checked.value.alias("v"), broken.alias("b")).collect().rows()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.uuids(), min_size=1, max_size=60))
def test_every_uuid_is_sent_in_lower_case_however_it_was_written(ids):
    written = [f" {str(each).upper()}\n" for each in ids]
    assert judged(written, None) == [(str(each), False) for each in ids]
    assert judged(written, SPACE) == [(str(each), False) for each in ids]


def test_any_other_form_is_refused_without_a_namespace():
    others = [
        "6f9619ff8b864d01b42d00cf4fc964ff",
        "{6f9619ff-8b86-4d01-b42d-00cf4fc964ff}",
        "urn:uuid:6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        "6f9619ff-8b86-4d01-b42d-00cf4fc964f",
        "6f9619ff-8b86-4d01-b42d-00cf4fc964ff0",
        "6f9619ff-8b86-4d01-b42d-00cf4fc964fg",
        "6f9619ff8b86-4d01-b42d-00cf4fc964ff-",
        "42",
    ]
    assert judged(others, None) == [(other, True) for other in others]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda text: text == text.strip()), min_size=1))
def test_with_a_namespace_other_ids_become_what_python_calls_their_uuid5(ids):
    ids = [f"x{each}x" for each in ids]
    assert judged(ids, SPACE) == [(str(uuid.uuid5(SPACE, each)), False) for each in ids]


def test_the_name_keeps_its_case_and_loses_the_space_around_it():
    assert judged([" Ann "], SPACE) == [(str(uuid.uuid5(SPACE, "Ann")), False)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.uuids() | st.sampled_from(["Ann", "", "İ", None]), st.integers(0, 3))),
    st.sampled_from([None, SPACE]),
)
def test_what_stands_beside_an_id_in_its_column_changes_nothing(ids, namespace):
    ways = (str, str.upper, " {} ".format, lambda text: f"{text.upper()}\n")
    texts = [None if each is None else ways[way](str(each)) for each, way in ids]
    assert judged(texts, namespace) == [judged([text], namespace)[0] for text in texts]
    frame = pl.DataFrame({"key": texts}, schema={"key": pl.String})
    one, each = one_spelling(pl.col("key")), pl.DataFrame({"key": []}, schema={"key": pl.String})
    alone = [frame[[at]].select(one).item() for at in range(frame.height)]
    assert frame.select(one)["key"].to_list() == alone
    for text, key in zip(texts, alone, strict=True):
        inner = (text or "").strip()
        is_uuid = len(inner) == 36
        assert key == ((inner.lower() if is_uuid else inner) or None)
    assert each.select(one).is_empty()
    found = frame.select(raw="key").select(check(namespace).packed.alias("id"))
    assert found.select(spelling_in(pl.col("id"))).to_series().to_list() == alone
    lowered = frame.select(without_case(pl.col("key")))["key"].to_list()
    assert lowered == [None if key is None else key.lower() for key in alone]


def test_missing_stays_missing_and_gets_no_name():
    assert judged(["", "  "], SPACE) == [(None, False), (None, False)]


def test_what_a_frame_or_a_spreadsheet_made_of_a_number_names_no_contact():
    numbers = ["123.0", "123.00", "1.23457E+11", "1,23457E+11", "9e+05"]
    for namespace in (SPACE, None):
        assert all(refused for _, refused in judged(numbers, namespace))


def test_other_ids_with_a_point_or_an_e_are_names_like_any():
    names = ["1.23", "1.2.0", "12e5", "00123", "v1.0", "a1.0", "5E10"]
    assert judged(names, SPACE) == [(str(uuid.uuid5(SPACE, each)), False) for each in names]


@pytest.mark.parametrize(
    ("number", "dtype", "rounded"),
    [
        (123.0, pl.Float64, False),
        (2.0**53 - 1, pl.Float64, False),
        (2.0**53, pl.Float64, True),  # 2**53 + 1 is rounded to it
        (2.0**53 + 2, pl.Float64, True),
        (123.5, pl.Float64, False),
        (2.0**52 + 0.5, pl.Float64, False),
        (2.0**24 + 2, pl.Float32, True),
        (2.0**24 - 1, pl.Float32, False),
        (2.0**24, pl.Float32, True),
    ],
)
def test_a_number_that_a_column_has_rounded_names_no_contact(number, dtype, rounded):
    steps = check_uuid(SPACE, dtype())
    text = pl.field("raw").cast(pl.Int64).cast(pl.String)
    checked = Checked.from_steps(pl.col("raw"), Steps(({"text": text}, *steps.stages), steps.rules))
    frame = pl.DataFrame({"raw": [number, None]}, schema={"raw": dtype})
    [(rule, expr)] = checked.broken
    assert rule == "float"
    assert frame.select(expr).to_series().to_list() == [rounded, False]
