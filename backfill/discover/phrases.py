"""Why a column was chosen, in the few words of a comment."""

from __future__ import annotations

import re

import polars as pl

from backfill.config.toml_strings import quoted
from backfill.destination import Field, Kind
from backfill.discover.columns import ColumnProfile

__all__ = ["percent", "reason", "summary", "time_format", "without_text"]

_CODES = 20  # different values at most of a column whose values are shown
_CALLED = {
    Kind.UUID: "UUIDs",
    Kind.PHONE: "E.164 numbers",
    Kind.TARGET: "E.164 numbers",
    Kind.EMAIL: "email addresses",
    Kind.LANGUAGE: "ISO 639-1 codes",
    Kind.TIME: "times",
}


def percent(share: float) -> str:
    """A share in whole percent, which says 0% and 100% only where it is exactly that."""
    if 0 < share < 0.01:
        return "under 1%"
    if 0.99 < share < 1:
        return "over 99%"
    return f"{share:.0%}"


def reason(field: Field, column: ColumnProfile) -> str:
    """What the sampled values say about a column as the source of a field."""
    kind = Kind.PHONE if field.kind is Kind.TARGET else field.kind
    if kind in _CALLED:
        looks = f"{percent(column.share(kind))} of {_values(column)} are {_CALLED[kind]}"
        if kind is Kind.PHONE and column.national >= 0.01:
            looks += f", {percent(column.national)} national"
        return looks
    if kind is Kind.CHOICE:
        return f"{percent(column.share_of(field.choices))} of {_values(column)} are valid words"
    if kind is Kind.EVENT_TYPE or field.required:
        return f"{column.distinct:,} different names{_examples(column)}"
    if field.max_chars is not None and column.longest > field.max_chars:
        return f"by its name; the longest has {column.longest:,} of {field.max_chars} characters"
    return "by its name"


def without_text(column: ColumnProfile) -> str | None:
    """What a column holds for which no text stands; None where its values have one."""
    if column.dtype.is_nested():
        return "nested"
    if column.dtype == pl.Binary:
        return "bytes"
    return "durations" if column.dtype == pl.Duration else None


def summary(column: ColumnProfile) -> str:
    """What an unused column holds."""
    if column.dtype == pl.Boolean:
        return "true or false"
    if not column.filled:
        return "empty in the sample"
    kind, share = max(column.shares.items(), key=lambda each: each[1])
    if kind in (Kind.UUID, Kind.EMAIL, Kind.PHONE) and share > 0.5:
        return f"{_CALLED[kind]} ({percent(share)})"
    if column.timed > 0.5 and column.number < 0.5:
        return "times"
    if column.number > 0.9:
        return "numbers"
    if column.coded:
        return f"{column.distinct:,} different values{_examples(column)}"
    return f"text of up to {column.longest:,} characters"


def time_format(column: ColumnProfile) -> str:
    """How the times of a column are written."""
    if column.written is not None and column.written.epoch:
        return "digits that are an epoch as well as a date"
    if column.written is not None:
        forms = column.share(Kind.TIME) > 0 or len(column.written.formats) > 1
        zone = "with a zone" if column.written.zoned else "without a zone"
        return "times in several forms" if forms else f"times {zone}"
    if column.epoch > 0.5:
        return "epoch numbers"
    if column.unzoned == 0:
        return "times with a zone"
    if column.unzoned >= column.share(Kind.TIME):
        return "times without a zone"
    return f"times, {percent(column.unzoned)} of them without a zone"


def _values(column: ColumnProfile) -> str:
    return f"{column.filled:,} sampled values{', read so,' if column.sql else ''}"


def _examples(column: ColumnProfile) -> str:
    """Some values of a column of codes; what people wrote stays in their file."""
    shown = column.common[:3]
    if column.distinct > _CODES or any(re.search(r"\s", v) or len(v) > 24 for v, _ in shown):
        return ""
    return ", such as " + ", ".join(quoted(value) for value, _ in shown)
