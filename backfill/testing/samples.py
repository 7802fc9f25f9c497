"""Invented values for a destination's fields, as a source would hold them and as they are sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from backfill.destination import Destination, Field, Kind, TargetAgrees

__all__ = ["record_of", "row_of", "telling_field"]

_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_SPACE = uuid.UUID("00000000-0000-4000-8000-000000000001")


def _time(number: int) -> str:
    return (_FIRST + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _phone(number: int) -> str:
    """A number of those that North America reserves for fiction: 555-0100 to 555-0199."""
    area, line = divmod(number, 100)
    return f"+1{200 + area % 800}55501{line:02}"


_VALUES: Mapping[Kind, Callable[[int], str]] = {
    Kind.TEXT: lambda number: f"n{number}",
    Kind.CUSTOM: lambda number: f"n{number}",
    Kind.UUID: lambda number: str(uuid.uuid5(_SPACE, str(number))),
    Kind.PHONE: _phone,
    Kind.EMAIL: lambda number: f"n{number}@example.com",
    Kind.LANGUAGE: lambda number: ("en", "he", "de")[number % 3],
    Kind.EVENT_TYPE: lambda number: ("signup", "purchase")[number % 2],
    Kind.TIME: _time,
    Kind.TARGET: _phone,
}


def row_of(destination: Destination, number: int, *, keys: int | None = None) -> dict[str, str]:
    """A valid value for each field; two numbers differ wherever a field can hold many values.

    `keys` is how many ordering keys there are; by default each number has its own.
    """
    row = {}
    for field in destination.fields:
        same_key = field.name == destination.ordering_field and keys is not None
        name = f"{field.name[:-1]}sample" if field.family else field.name
        row[name] = _value(destination, field, number % keys if same_key and keys else number)
    return row


def record_of(destination: Destination, number: int) -> dict[str, Any]:
    """The record of `row_of`, as its body holds it."""
    record: dict[str, Any] = {}
    for name, value in row_of(destination, number).items():
        *above, last = name.split(".")
        place = record
        for each in above:
            place = place.setdefault(each, {})
        place[last] = value
    return record


def telling_field(destination: Destination) -> str:
    """A field whose value differs from record to record: a text, else the ordering key."""
    texts = (
        field.name
        for field in destination.fields
        if field.kind is Kind.TEXT
        and field.name != destination.ordering_field
        and not field.choices
        and (field.max_chars is None or field.max_chars >= 8)
    )
    return next(texts, destination.ordering_field)


def _value(destination: Destination, field: Field, number: int) -> str:
    for check in destination.checks:
        if isinstance(check, TargetAgrees) and field.name == check.type_field:
            return check.phone_type
    if field.choices:
        return field.choices[number % len(field.choices)]
    return _VALUES[field.kind](number)
