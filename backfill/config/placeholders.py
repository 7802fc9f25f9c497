"""Questions that a configuration leaves open: the values `"?"` that `backfill init` writes.

What no program can know (which population, how far a label is to be trusted) stands in the file
as `"?"` and is refused here, all at once and in words, before anything else is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["MARK", "Question", "open_questions"]

MARK = "?"

# Where a question mark is an answer: a separator, a text that means null, a constant to be sent.
_MEANT = frozenset({"null_values", "separator"})
_SHOWN = 4  # values of one table that are named

_ENCODED = (
    'how the text is encoded, such as "windows-1252" (Western Europe), "windows-1251" (Cyrillic) or'
    ' "windows-1255" (Hebrew)'
)
_ASKED = {
    "population": "the UUID of the population that the events belong to, from Pristo's settings",
    "events.contact_key": "the column that names the contact",
    "events.encoding": _ENCODED,
    "contacts.encoding": _ENCODED,
    "events.time": "the column that says when it happened",
    "events.time_format": (
        'how the times are written, such as "%d/%m/%Y %H:%M" where the day comes first or'
        ' "%m/%d/%Y %H:%M" where the month does'
    ),
    "events.timezone": (
        'the zone of times without one, such as "Asia/Jerusalem" or "UTC"; without the line such'
        " rows are rejected"
    ),
    "contacts.key": "the column whose values stand in the events' contact_key",
    "rules.phone_region": (
        'the country of national phone numbers, such as "IL"; without the line they are rejected'
    ),
    "rules.contact_id.namespace": (
        "a UUID of your own, the same for ever, from which ids that are no UUIDs are made"
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """An open question: where it stands, and what to write there."""

    place: str
    asked: str

    def __str__(self) -> str:
        return f"{self.place}: {self.asked}"


def open_questions(content: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions of a configuration, given as nested mappings, in the file's order."""
    tables: dict[str, list[str]] = {}
    found: dict[str, Question] = {}
    for names in _marked(content):
        if names[0] == "fields" and len(names) > 1:
            field = f"[fields] {names[1]}"
            if names[2:3] == ("values",):
                tables.setdefault(field, []).append(names[-1])
                asked = _table_question(tables[field])
            else:
                asked = 'where its value comes from: a column, or { value = "…" } for a constant'
            found[field] = Question(field, asked)
        elif names[:3] == ("rules", "phone_region", "values"):
            region = "[rules] phone_region"
            tables.setdefault(region, []).append(names[-1])
            shown = _some(tables[region])
            found[region] = Question(region, f'the code of two letters, such as "DE", of {shown}')
        else:
            asked = _ASKED.get(".".join(names), "a value")
            section, name = ".".join(names[:-1]), names[-1]
            place = f"[{section}] {name}" if section else name
            found[place] = Question(place, asked)
    return tuple(found.values())


def _table_question(values: list[str]) -> str:
    return f"what to send for {_some(values)}; rows of values without a line are rejected"


def _some(values: list[str]) -> str:
    shown = ", ".join(f"{value[:40]!r}" for value in values[:_SHOWN])
    return f"{shown} and {len(values) - _SHOWN} more" if len(values) > _SHOWN else shown


def _marked(content: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths at which a question mark stands alone."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _marked(value, (*above, str(key)))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _marked(value, above)
    elif isinstance(content, str) and content.strip() == MARK and not _meant(above):
        yield above


def _meant(names: tuple[str, ...]) -> bool:
    if names[:1] != ("fields",):
        return names[-1] in _MEANT
    return len(names) > 2 and names[2] != "values" and names[-1] == "value"
