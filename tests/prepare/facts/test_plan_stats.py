"""What a plan tells of what it counted."""

from __future__ import annotations

import pytest

from backfill.prepare.facts.plan_stats import _undecodable


@pytest.mark.parametrize(
    ("known", "called", "other"),
    [
        ("utf-8", "UTF-8", "windows-1252"),
        ("utf8", "UTF-8", "windows-1252"),
        ("latin-1", "latin-1", "windows-1252"),
        ("windows-1252", "windows-1252", "windows-1255"),
        ("CP1252", "CP1252", "windows-1255"),
    ],
)
def test_the_encoding_that_is_proposed_is_another_one(known: str, called: str, other: str) -> None:
    (words,) = _undecodable("events", 2, {"events": known})
    assert words.startswith(f"2 rows hold bytes that are not {called};")
    assert words.endswith(f'"{other}"')
