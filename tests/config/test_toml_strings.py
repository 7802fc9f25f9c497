"""Any text survives as TOML."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from backfill.config.toml_strings import quoted

TEXT = st.text(st.characters(codec="utf-8"))


@given(TEXT)
def test_text_comes_back_as_key_and_as_value(text):
    assert tomllib.loads(f"{quoted(text)} = {quoted(text)}") == {text: text}


@given(TEXT)
def test_text_stays_in_its_line_and_in_its_comment(text):
    assert len(quoted(text).splitlines()) == 1
    assert tomllib.loads(f"# {quoted(text)}\na = 1") == {"a": 1}


def test_what_turns_the_direction_of_writing_is_seen():
    assert quoted("a\u202eb\x00\U000e0041") == '"a\\u202Eb\\u0000\\U000E0041"'
