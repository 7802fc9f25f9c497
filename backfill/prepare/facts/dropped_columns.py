"""Columns that are left out of a source because they bear names of ours."""

from __future__ import annotations

from backfill.sources.reimport import is_ours
from backfill.sources.scan import Source

__all__ = ["note_of_dropped_columns"]


def note_of_dropped_columns(source: Source) -> str | None:
    """What the plan says of them, None where there are none.

    Rows that this program gave out are meant to come back with these columns; of any other file
    they are the user's own.
    """
    for file, path in zip(source.files, source.paths, strict=True):
        if file.dropped and not is_ours(file.location, str(path)):
            *others, last = map(repr, file.dropped)
            names = f"{', '.join(others)} and {last}" if others else last
            return (
                f"{file.location.name} has {names}: names of columns that this program adds to rows"
                " itself, and leaves out of a source. What they hold can be mapped, and stands in"
                " `records`, only under other names"
            )
    return None
