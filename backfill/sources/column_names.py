"""Columns of a CSV that share a name: each is called after its place, too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = ["sharing_name", "told_apart"]


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names, where `a, b, a` becomes `a (column 1), b, a (column 3)`.

    No column keeps a shared name, so that no field can be mapped to one of them by chance. A name
    that is still there twice was written so in the header.
    """
    counts = Counter(names)
    return tuple(
        f"{name} (column {place})" if counts[name] > 1 else name
        for place, name in enumerate(names, 1)
    )


def sharing_name(name: str, columns: Iterable[str]) -> list[str]:
    """The columns that are called `name` in the header of their file, told apart."""
    by_place = re.compile(rf"{re.escape(name)} \(column [0-9]+\)")
    return [each for each in columns if by_place.fullmatch(each)]
