"""Any text survives as TOML."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from backfill.config.toml_strings import quoted, sql_text

TEXT = st.text(st.characters(codec="utf-8"))


@given(TEXT)
def test_text_comes_back_as_key_and_as_value(text):
    assert tomllib.loads(f"{quoted(text)} = {quoted(text)}") == {text: text}


@given(TEXT)
def test_text_stays_in_its_line_and_in_its_comment(text):
    assert len(quoted(text).splitlines()) == 1
    assert tomllib.loads(f"# {quoted(text)}\na = 1") == {"a": 1}


@given(st.text(st.sampled_from("'\"\\ |a\n\u202e")))
def test_sql_comes_back_as_it_was(sql):
    assert tomllib.loads(f"a = {sql_text(sql)}") == {"a": sql}


def test_sql_that_ends_in_an_apostrophe_is_read_without_escapes():
    assert sql_text("""LPAD("hour", 2, '0') || ':00'""") == (
        """'''LPAD("hour", 2, '0') || ':00''''"""
    )


def test_what_turns_the_direction_of_writing_is_seen():
    assert quoted("a\u202eb\x00\U000e0041") == '"a\\u202Eb\\u0000\\U000E0041"'
