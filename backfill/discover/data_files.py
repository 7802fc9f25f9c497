"""Which files of a directory hold the data, where a README or another export lies beside them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.destination import Destination, Kind
from backfill.discover.columns import profile_columns
from backfill.discover.encodings import is_utf16
from backfill.discover.nested import flattened
from backfill.discover.proposal import propose
from backfill.discover.samples import read_sample
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.locations import Location, endings_of, is_remote, locate

__all__ = ["choose_data"]

_Side = Literal["events", "contacts"]

_START = 64 << 10  # bytes that a text file is told by
_ROWS = 500  # rows that a Parquet file is told by
_MOST = 60  # kinds of names that are looked at; where there are more, all files are taken
_COUNTED = re.compile(r"[0-9a-f]{8,}|[0-9]+")  # what tells the parts of one export from each other
_COMMON, _WITHIN = 0.5, 0.8  # shares of columns, of both and of the smaller, that make files alike


@dataclass(frozen=True, eq=False)
class _Kind:
    """Files whose names differ only in numbers, and how the first of them begins."""

    files: tuple[Location, ...]
    size: int  # bytes of all of them
    start: pl.DataFrame

    def like(self, other: _Kind) -> bool:
        """Whether both have most of their columns in common."""
        own, others = set(self.start.columns), set(other.start.columns)
        common = len(own & others)
        return common >= _COMMON * len(own | others) or common >= _WITHIN * min(
            len(own), len(others)
        )


def choose_data(
    files: Files,
    directory: Path,
    side: _Side,
    destination: Destination,
    others: Files | None,
) -> tuple[Files, tuple[str, ...]]:
    """The files of a directory or a glob that belong together and have most of what is wanted, and
    the names of those that are left aside. `others` are the files of the other side.

    Files elsewhere, and files that are named one by one, are taken as they are.
    """
    (text,) = files.files
    if is_remote(text):
        return files, ()
    try:
        found = locate(files, directory)
        beside = set(map(_real, locate(others, directory))) if others else set()
    except SourceError:
        return files, ()  # said where they are read
    own = [each for each in found if _real(each) not in beside] or list(found)
    kinds = list(_kinds(own))
    if len(found) < 2 or len(kinds) > _MOST:
        return files, ()
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder:
        looks = [_look(each, Path(folder, str(i)), files, side) for i, each in enumerate(kinds)]
    groups = list(_alike([each for each in looks if each is not None]))
    if not groups:
        return files, ()
    best = max(groups, key=lambda group: _worth(group, side, destination))
    chosen = {each.path for kind in best for each in kind.files}
    aside = tuple(each.name for each in found if each.path not in chosen)
    if not aside:
        return files, ()
    kept = [each for each in found if each.path in chosen]
    return files.model_copy(update={"files": _names(text, kept, files, directory)}), aside


def _real(location: Location) -> str:
    return os.path.realpath(location.path)


def _kinds(found: Sequence[Location]) -> Iterator[list[Location]]:
    kinds: dict[str, list[Location]] = {}
    for each in found:
        kinds.setdefault(_COUNTED.sub("#", Path(each.path).name.lower()), []).append(each)
    yield from kinds.values()


def _look(kind: list[Location], folder: Path, files: Files, side: _Side) -> _Kind | None:
    """How a file of this kind begins; None for what is no table: no columns, or no row below."""
    folder.mkdir()
    with suppress(SourceError, OSError, pl.exceptions.PolarsError):
        start = read_sample(_beginning(kind[0], folder, files), folder, side).frame
        if start.height:
            sizes = (Path(each.path).stat().st_size for each in kind)
            return _Kind(tuple(kind), sum(sizes), start)
    return None


def _beginning(location: Location, folder: Path, files: Files) -> Files:
    """A file in `folder` that begins as that one does."""
    path = Path(location.path)
    if location.format == "parquet":
        copy = folder / "start.parquet"
        pl.scan_parquet(path, glob=False).head(_ROWS).collect().write_parquet(copy)
    else:
        copy = folder / f"start{endings_of(path.name)[0]}"
        encoding = "utf-16" if is_utf16(location) else "utf-8"
        with open_stream(location.path, location, encoding=encoding) as stream:
            text = stream.read(_START)
        lines = text if len(text) < _START else text[: text.rfind(b"\n") + 1]
        if encoding == "utf-16":
            lines = lines.decode(errors="replace").encode(encoding)
        copy.write_bytes(lines)
    return files.model_copy(update={"files": (str(copy),)})


def _alike(kinds: Sequence[_Kind]) -> Iterator[list[_Kind]]:
    """Kinds that have most of their columns in common, the largest first."""
    left = sorted(kinds, key=lambda each: -each.size)
    while left:
        group = [left.pop(0)]
        for each in group:  # grows
            group += [other for other in left if each.like(other)]
            left = [other for other in left if other not in group]
        yield group


def _worth(group: Sequence[_Kind], side: _Side, destination: Destination) -> tuple[int, int, int]:
    """How much of what a side has to tell these files do; then their size."""
    rows = flattened(group[0].start)
    proposal = propose(destination, profile_columns(rows, "events", now=datetime.now(UTC)))
    fields = [each.field for each in proposal.matches if each.column and not each.table]
    if side == "events":
        needed = sum(each.required for each in fields) + (proposal.time is not None)
    else:
        needed = sum(each.kind in (Kind.PHONE, Kind.EMAIL, Kind.TARGET) for each in fields)
    return needed, len(fields), sum(each.size for each in group)


def _names(text: str, kept: Sequence[Location], files: Files, directory: Path) -> tuple[str, ...]:
    """The glob that names just these files, or their names."""
    top = os.path.commonpath([Path(each.path).parent for each in kept])
    top = top if Path(text).is_absolute() else os.path.relpath(top, directory)
    names = [Path(each.path).name for each in kept]
    endings = {_ending(each) for each in names}
    common = os.path.commonprefix(names)  # noqa: RUF071 - of names, not of paths
    begin = _COUNTED.split(common)[0]
    wanted = {each.path for each in kept}
    if len(kept) > 1 and len(endings) == 1:
        (ending,) = endings
        for middle in ("", "**/"):
            for start in dict.fromkeys(("", begin.removesuffix(ending))):
                pattern = Path(top, f"{middle}{start}*{ending}").as_posix()
                if _located(files, pattern, directory) == wanted:
                    return (pattern,)
    return tuple(
        each.path
        if Path(text).is_absolute()
        else Path(os.path.relpath(each.path, directory)).as_posix()
        for each in kept
    )


def _located(files: Files, pattern: str, directory: Path) -> set[str]:
    with suppress(SourceError):
        named = files.model_copy(update={"files": (pattern,)})
        return {each.path for each in locate(named, directory)}
    return set()


def _ending(name: str) -> str:
    path = Path(name)
    return Path(path.stem).suffix + path.suffix if endings_of(name)[1] else path.suffix
