"""Answers of every kind, for properties that must hold whatever a server says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from backfill.destination import Destination, Fault, Reply, json_object

__all__ = ["answers", "items"]

_HEADERS = ["retry-after", "retry-after-ms", "date", "content-type", "location"]
_NUMBERS_AND_DATES = st.sampled_from(
    ["0", "1", "120", "-1", "nan", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "1e400"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


def answers(destination: Destination) -> st.SearchStrategy[Reply | Fault]:
    """Replies of any status with any body, those like the documented ones above all, and faults."""
    documented = [destination.success(1).body, destination.error(400, "no")]
    known = [json_object(each) or {} for each in documented]
    names = st.sampled_from(sorted({"status", "error", *_names(known)}))
    values = st.recursive(
        _SCALARS | st.sampled_from(_texts(known)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )
    changed = st.builds(
        lambda base, change: base | change,
        st.sampled_from(known),
        st.dictionaries(names, values, max_size=2),
    )
    bodies = (
        st.binary(max_size=40)
        | st.sampled_from(documented)
        | (changed | values).map(lambda value: json.dumps(value).encode())
    )
    headers = st.dictionaries(
        st.sampled_from(_HEADERS), _NUMBERS_AND_DATES | st.text(max_size=12), max_size=3
    )
    statuses = st.integers(100, 599) | st.just(destination.success(1).status)
    return st.sampled_from(Fault) | st.builds(Reply, statuses, headers, bodies)


def items() -> st.SearchStrategy[dict[str, Any]]:
    """Records as JSON objects, with any text in them."""
    texts = st.text(max_size=12)
    return st.dictionaries(texts, texts | st.dictionaries(texts, texts, max_size=2), max_size=3)


def _names(value: Any) -> set[str]:
    """Every name inside a JSON value."""
    if isinstance(value, list):
        return {name for each in value for name in _names(each)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {name for each in value.values() for name in _names(each)}


def _texts(value: Any) -> list[str]:
    """Every text inside a JSON value, and at least one."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _texts(each)] or ["ok"]
