"""Files that lie in a directory of the source and are not read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backfill.config.sources import Files
from backfill.sources.locations import passed_over
from backfill.sources.unsupported_formats import READ

__all__ = ["note_of_files_passed_over", "remark_on_files_passed_over"]

_NAMED = 4


def note_of_files_passed_over(files: Files, directory: Path) -> str | None:
    """What a plan says of them, None where there are none. Names are relative to `directory`."""
    return remark_on_files_passed_over(passed_over(files, directory))


def remark_on_files_passed_over(names: Sequence[str]) -> str | None:
    """Say of these files that they are not read."""
    if not names:
        return None
    count = "1 file lies" if len(names) == 1 else f"{len(names):,} files lie"
    more = ", …" if len(names) > _NAMED else ""
    return (
        f"{count} in a directory of the source and {'is' if len(names) == 1 else 'are'} not read"
        f" ({', '.join(names[:_NAMED])}{more}): of a directory only {READ} are, and no name that"
        " begins with _"
    )
