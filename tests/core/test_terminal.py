"""Text measured in the cells of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.core.terminal import cells, duration, pad, path_argument, printable, shorten

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("受注", 4), ("e\N{COMBINING ACUTE ACCENT}", 1)]
)
def test_wide_characters_take_two_cells_and_combining_ones_none(text, width):
    assert cells(text) == width


@given(TEXT, st.integers(1, 40))
def test_a_shortened_text_fits_and_a_text_that_fits_stays(text, width):
    short = shorten(text, width)
    assert cells(short) <= width
    assert (short == text) == (cells(text) <= width)


@given(TEXT)
def test_padding_reaches_the_column(text):
    assert cells(pad(text, 70)) == 70
    assert pad(text, 70).startswith(text)


@given(TEXT)
def test_nothing_printable_commands_a_terminal(text):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (12_000, "3 h 20 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_has_the_units_that_matter(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("a.job", "a.job"),
        ("my job", "'my job'"),
        ("-w.toml", "./-w.toml"),
        ("-my job", "'./-my job'"),
        ("~/a.job", "'./~/a.job'"),
    ],
)
def test_a_path_is_typed_as_one_word_that_is_no_option(path, typed):
    assert path_argument(path) == typed
