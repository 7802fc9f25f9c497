"""Where a request's body holds its records, found out from a body that is made for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["items_of"]

_PROBES = (b'{"probe":0}', b'{"probe":1}')

_Path = tuple[str | int, ...]


def items_of(make: Callable[[Sequence[bytes]], bytes], batch_size: int, body: bytes) -> list[Any]:
    """The records that a body in JSON holds, parsed.

    `make` makes bodies of up to `batch_size` records. Raises ValueError for a body in which they
    are not where `make` puts them.
    """
    probes = _PROBES[:batch_size]
    parsed = [json.loads(each) for each in probes]
    found: Any = parsed if len(probes) > 1 else parsed[0]
    place = next((path for path, value in _walk(json.loads(make(probes))) if value == found), None)
    if place is None:
        raise ValueError("its bodies do not hold the records as they are: bring `items`")
    content = json.loads(body)
    try:
        for name in place:
            content = content[name]
    except (TypeError, KeyError, IndexError):
        raise ValueError(f"there are no records at {_written(place)}") from None
    items = content if len(probes) > 1 else [content]
    if not isinstance(items, list):
        raise ValueError(f"there is no list of records at {_written(place)}")
    return items


def _walk(value: Any, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Every value inside a JSON value, the outermost first."""
    yield path, value
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(each, (*path, name))


def _written(path: _Path) -> str:
    return ".".join(map(str, path)) or "the top"
