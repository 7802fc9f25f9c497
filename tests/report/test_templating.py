"""Templates that no text can break out of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from backfill.report.drawing import Chart, Shape
from backfill.report.templating import printable, render, without_secrets
from tests.report.documents import parse

HOSTILE = st.text(
    st.one_of(
        st.characters(exclude_categories=[]),  # lone surrogates and all other code points too
        st.sampled_from("<>&\"'/=\x00\x1b\u202e\ud800\ufffe`"),
    ),
    max_size=40,
)


@given(HOSTILE, HOSTILE)
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back_from_a_parser_as_text(content: str, attribute: str) -> None:
    chart = Chart(attribute, attribute, {content: content}, [Shape(attribute, content)])
    element = parse(render("picture.svg", chart=chart))
    tags = [each.tag.rpartition("}")[2] for each in element.iter()]
    assert tags == ["svg", "title", "rect", "text", "svg", "svg", "text", "tspan", "svg", "path"]
    assert (element[0].text or "") == printable(attribute)
    path = element.find(".//{*}path")
    assert path is not None
    # A parser turns the line ends of an attribute into spaces.
    assert path.get("d") == printable(content).replace("\n", " ")
    assert path.get("fill") == printable(attribute).replace("\n", " ")


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("picture.svg")


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_printable_text_is_safe_to_encode_and_shows_what_was_hidden(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not set(shown) & set("\x00\x1b\r\t\u202e\u2066\x85\ufffe")
    assert len(shown) >= len(text)


def test_ordinary_words_of_any_script_stand_as_they_are() -> None:
    text = "שלום, Zoë: 日本語 🎉 naïve\nsecond line"
    assert printable(text) == text


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("abcdef", 4) == "abc…"
    assert printable("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:s3cret@example.com/a.csv", "https://***@example.com/a.csv"),
        ("s3://bucket/x?X-Amz-Signature=abc&b=1", "s3://bucket/x?***"),
        ("https://example.com/a#token=1", "https://example.com/a?***"),
        ("https://user@name:pw@example.com/a", "https://***@example.com/a"),
        ("backfill run a.toml --base-url http://127.0.0.1:8080", None),
        ("exports/what?.csv", None),
        ("exports/a@b.csv", None),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(text: str, shown: str | None) -> None:
    assert without_secrets(text) == (text if shown is None else shown)
