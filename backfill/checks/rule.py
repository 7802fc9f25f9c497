"""What a rule is, for people: its name, its meaning, and what helps."""

from __future__ import annotations

from dataclasses import dataclass

from backfill.destination import Kind

__all__ = ["Rule"]


@dataclass(frozen=True)
class Rule:
    """A rule's name without the field, its meaning, what helps, and why it exists.

    `brief` is both in a few words, to stand beside a count. `kinds` are the kinds of field that
    it applies to; a rule without kinds belongs to certain fields only, which the destination says.
    """

    name: str
    brief: str
    meaning: str
    remedy: str
    kinds: frozenset[Kind] = frozenset()
    why: str = ""
