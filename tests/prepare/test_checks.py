"""One field at a time: canonical values, and rules on both sides of their edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from backfill.config import Rules
from backfill.destinations import DESTINATIONS
from backfill.prepare.checks import check

NOW = datetime(2025, 6, 1, tzinfo=UTC)
PRISTO = DESTINATIONS["pristo-events"]
EVENTS = DESTINATIONS["watch-events"]
FEEDBACKS = DESTINATIONS["watch-feedbacks"]


def judge(
    destination: Any,
    name: str,
    value: object,
    dtype: Any = None,
    *,
    zone: str | None = None,
    **rules: Any,
) -> tuple[object, list[str]]:
    """The canonical value of one raw value, and the rules that it broke."""
    raw = pl.Series("raw", [value], dtype=dtype, strict=False)
    field = destination.field_for(name)
    checked = check(field, pl.col("raw"), raw.dtype, rules=Rules(**rules), timezone=zone, now=NOW)
    frame = (
        raw.to_frame()
        .lazy()
        .select(checked.value.alias("value"), *(e.alias(n) for n, e in checked.broken))
        .collect()
    )
    row = frame.row(0, named=True)
    kept = row.pop("value")
    assert all(isinstance(each, bool) for each in row.values()), "a rule was null"
    return kept, [rule for rule, is_broken in row.items() if is_broken]


@pytest.mark.parametrize(
    ("name", "value", "canonical", "broken"),
    [
        (
            "contact.id",
            " 6F9619FF-8B86-4D01-B42D-00CF4FC964FF\n",
            "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
            [],
        ),
        (
            "contact.id",
            "6f9619ff8b864d01b42d00cf4fc964ff",
            "6f9619ff8b864d01b42d00cf4fc964ff",
            ["uuid"],
        ),
        ("contact.phone", " +12025550123 ", "+12025550123", []),
        ("contact.phone", "12025550123", "12025550123", ["e164"]),
        ("contact.email", " Ann@Example.com ", "Ann@Example.com", []),
        ("contact.email", "ann@example", "ann@example", ["email"]),
        ("contact.language", " HE ", "he", []),
        ("contact.language", "en-US", "en-us", ["language"]),
        ("contact.language", "iw", "iw", ["language"]),
        ("contact.name", "  Ann  ", "  Ann  ", []),
        ("contact.name", "", None, []),
        ("customFields.x", "é" * 50, "é" * 50, []),
        ("customFields.x", "é" * 51, "é" * 51, ["max_length"]),
        ("type", " purchase ", "purchase", []),
    ],
)
def test_canonical_and_rule(name, value, canonical, broken):
    assert judge(PRISTO, name, value) == (canonical, broken)
