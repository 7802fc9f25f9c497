"""Which column of the events names a row of the contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from backfill.destinations import Kind
from backfill.discover.columns import Look
from backfill.discover.spellings import JOIN_KEYS, closeness

__all__ = ["Join", "find_join"]


@dataclass(frozen=True)
class Join:
    """Two columns that hold the same ids. Counts are of distinct values in the samples."""

    events: Look
    contacts: Look
    found: int  # of the events' values, those that the contacts have too

    @property
    def repeated(self) -> int:
        """Rows of the contacts whose id another row has too."""
        return self.contacts.filled - len(self.contacts.values)


def find_join(events: Sequence[Look], contacts: Sequence[Look]) -> Join | None:
    """The pair of columns that most likely join the two sides, by names and common values.

    The contacts' column has to tell contacts apart: codes such as a country, which every file
    has, join nothing. Common values alone are enough where there are many; names alone only if
    both are known spellings, since the samples of two large files may have nothing in common.
    """
    best: tuple[float, Join] | None = None
    for mine in events:
        for theirs in contacts:
            join = _join(mine, theirs)
            score = _score(join) if join is not None else 0.0
            if join is not None and score > 0 and (best is None or score > best[0]):
                best = (score, join)
    return best[1] if best else None


def _join(mine: Look, theirs: Look) -> Join | None:
    if not mine.filled or not theirs.filled or len(theirs.values) * 2 < theirs.filled:
        return None
    if mine.timed > 0.5 and mine.number < 0.5:
        return None
    return Join(mine, theirs, int(_ids(mine).is_in(_ids(theirs).implode()).sum()))


def _ids(look: Look) -> pl.Series:
    """The values as they meet when the sides are joined: UUIDs in either case."""
    return look.values.str.to_lowercase() if look.share(Kind.UUID) > 0.5 else look.values


def _score(join: Join) -> float:
    mine, theirs = join.events, join.contacts
    named = closeness(mine.name, JOIN_KEYS), closeness(theirs.name, JOIN_KEYS)
    overlap = join.found / len(mine.values)
    same = mine.name.lower() == theirs.name.lower() and mine.name.lower() != "id"
    if overlap < 0.5 and not (all(named) or (same and join.found)):
        return 0.0
    # In events, an id that never comes back more likely names the event itself.
    once = 0.0 if mine.repeats else 0.5
    return overlap + sum(named) / 2 + (0.3 if same else 0) - once
