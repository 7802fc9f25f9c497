"""Directories named `key=value`, as Hive writes them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from tests.reference.cells import Chance, text_cell

__all__ = ["HIVE_COLUMNS", "Partitions", "hive_directory", "random_partitions"]

Partitions = tuple[tuple[str, str | None], ...]

HIVE_COLUMNS = ("label", "trust", "step", "kind", "lang", "plan", "country", "date", "user", "id")
_MISSING = "__HIVE_DEFAULT_PARTITION__"
_PLAIN = " []()*?!&',;=@+~"  # stands in names of directories as it is, too
_LONGEST = 200  # bytes of a directory's name, below what file systems take


def random_partitions(chance: Chance, keys: Sequence[str]) -> Partitions:
    """A value, or None where it is missing, for each of these columns."""
    return tuple((key, _value(chance, key)) for key in keys)


def hive_directory(chance: Chance, partitions: Partitions) -> str:
    """The directories that say so, one in another."""
    return "/".join(f"{key}={_written(chance, value)}" for key, value in partitions)


def _value(chance: Chance, key: str) -> str | None:
    while True:
        value = text_cell(chance, key)
        if value is None or len(quote(value)) <= _LONGEST:
            return value or None


def _written(chance: Chance, value: str | None) -> str:
    if value is None:
        return chance.choice([_MISSING, ""])
    return quote(value, safe=chance.choice(["", _PLAIN]))
