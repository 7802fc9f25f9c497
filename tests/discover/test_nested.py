"""Nested columns of a sample as columns of single values."""

from __future__ import annotations

import polars as pl

from backfill.discover.nested import flattened
from backfill.sources.schemas import MIXED


def test_objects_become_columns_in_their_place():
    frame = pl.DataFrame(
        {"id": [1, 2], "a": [{"b": {"c": 1, "d": "x"}, "e": True}, None], "z": ["u", "v"]}
    )
    flat = flattened(frame)
    assert flat.columns == ["id", "a.b.c", "a.b.d", "a.e", "z"]
    assert flat.rows() == [(1, 1, "x", True, "u"), (2, None, None, None, "v")]


def test_objects_in_text_are_read():
    frame = pl.DataFrame({"data": ['{"user": {"mail": "a@example.com"}}', None, ' {"n": 2}']})
    flat = flattened(frame)
    assert flat.to_dict(as_series=False) == {
        "data.user.mail": ["a@example.com", None, None],
        "data.n": [None, None, 2],
    }


def test_what_no_way_of_names_leads_to_stays_as_it_is():
    frame = pl.DataFrame(
        {
            "odd": [{"a.b": 1, "c[0]": 2}],
            "half": ["{no json"],
            "text": ["hello"],
            "empty": pl.Series([None], dtype=pl.String),
        }
    )
    assert flattened(frame).equals(frame)


def test_of_lists_of_single_values_the_first_one_is_reached():
    frame = pl.DataFrame(
        {"emails": [["a@example.com", "b@example.com"], [], None], "id": [1, 2, 3]}
    )
    assert flattened(frame).to_dict(as_series=False) == {
        "emails[0]": ["a@example.com", None, None],
        "id": [1, 2, 3],
    }


def test_each_key_of_a_map_becomes_a_column():
    maps = [{"phone": "+12025550143", "a.b": "x"}, {"tier": "gold"}, None]
    frame = pl.DataFrame({"of": pl.Series(maps, dtype=pl.Map(pl.String, pl.String))})
    assert flattened(frame).to_dict(as_series=False) == {
        "of.phone": ["+12025550143", None, None],
        "of.tier": [None, "gold", None],
    }
    numbered = pl.DataFrame({"of": pl.Series([{1: "a"}], dtype=pl.Map(pl.Int64, pl.String))})
    assert flattened(numbered).equals(numbered)


def test_of_lists_of_objects_the_first_one_is_reached_also_in_text():
    frame = pl.DataFrame(
        {
            "items": [[{"sku": "a", "at": {"n": 1}}, {"sku": "b", "at": {"n": 2}}], [], None],
            "text": ['[{"sku": "c"}]', None, "[]"],
            "deep": [{"lines": [{"id": 7}], "tags": ["x"]}, None, None],
        }
    )
    assert flattened(frame).to_dict(as_series=False) == {
        "items[0].sku": ["a", None, None],
        "items[0].at.n": [1, None, None],
        "text[0].sku": ["c", None, None],
        "deep.lines[0].id": [7, None, None],
        "deep.tags[0]": ["x", None, None],
    }


def test_a_column_that_is_there_already_is_not_covered():
    frame = pl.DataFrame({"a": [{"b": 1}], "a.b": [2]})
    assert flattened(frame)["a.b"].to_list() == [2]


def test_very_many_fields_stay_together():
    frame = pl.DataFrame({"a": [{f"k{n}": n for n in range(1000)}]})
    assert flattened(frame).columns == ["a"]


def test_values_of_several_kinds_have_no_names_of_the_programs_own():
    rows = [{"b": {"__text": "x", "__nested": None}, "c": 1}]
    frame = pl.DataFrame({"a": rows}, schema={"a": pl.Struct({"b": MIXED, "c": pl.Int64})})
    assert flattened(frame).columns == ["a.c"]
