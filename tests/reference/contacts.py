"""Which contact belongs to an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.reference.readers import MALFORMED, Row, value_at
from tests.reference.values import Broken, Cell, stripped, text_of

__all__ = ["contacts_by_key", "join_key", "read_from"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read_from(row: Row, source: Any, expressions: Mapping[str, Any]) -> Cell:
    """The value of a column, a way into one, or `{ sql = … }`."""
    if isinstance(source, Mapping):
        return expressions[source["sql"]].value(row)
    return value_at(row, source)


def join_key(value: Cell) -> str | None:
    """A key as it is compared."""
    try:
        text = text_of(value, None)
    except Broken:
        return None
    text = stripped(text or "")
    return (text.lower() if _UUID.fullmatch(text) else text) or None


def contacts_by_key(
    rows: Iterable[Row], source: Any, keep: str, expressions: Mapping[str, Any]
) -> dict[str, dict[str, Cell]]:
    """The one contact of each key."""
    found: dict[str, dict[str, Cell]] = {}
    for row in rows:
        key = None if row is MALFORMED else join_key(read_from(row, source, expressions))
        if key is None:
            continue
        if key not in found or keep == "last":
            found[key] = dict(row)
        elif keep == "fill":
            found[key].update((name, cell) for name, cell in row.items() if cell not in (None, ""))
    return found
