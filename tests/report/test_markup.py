"""Markup that cannot be broken out of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.report.markup import Html, join, printable, tag, without_secrets
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
    element = parse(tag("p", content, title=attribute))
    assert list(element) == []
    assert element.text == (printable(content) or None)
    # A parser turns the line ends of an attribute into spaces.
    assert element.get("title") == printable(attribute).replace("\n", " ")


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


def test_markup_is_not_escaped_twice_and_nothing_else_is_let_through() -> None:
    inner = tag("b", "1 < 2")
    assert tag("p", inner, None, ["&", inner]) == "<p><b>1 &lt; 2</b>&amp;<b>1 &lt; 2</b></p>"
    assert join((Html("<i>"), "<i>")) == "<i>&lt;i&gt;"


def test_attributes_are_named_as_html_names_them() -> None:
    assert tag("td", class_="a", aria_label='"', hidden=True, id=None) == (
        '<td class="a" aria-label="&quot;" hidden="hidden"></td>'
    )


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
