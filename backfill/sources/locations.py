"""Where the files of a source lie: globs, directories and addresses become a list of files.

The order is that of the configuration; within one glob or directory that of the names. A file
that two of them name is read once.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from backfill.config.sources import Files
from backfill.core.errors import SourceError, did_you_mean
from backfill.core.job_files import LEDGERS
from backfill.sources.remote import listed
from backfill.sources.unsupported_formats import READ, refuse_named

__all__ = [
    "Compression",
    "Format",
    "Location",
    "endings_of",
    "is_remote",
    "local_path",
    "locate",
    "passed_over",
]

Format = Literal["csv", "ndjson", "parquet"]
Compression = Literal["gzip", "zstd"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_TAB_ENDINGS = (".tsv", ".tab")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Location:
    """One file: where it lies and how it is to be read.

    `name` is what the user sees, `path` an absolute path or an address. `separator` is None
    for formats without one. `partitions` are the `key=value` directories above the file. `kept` is
    the path as a job remembers it: relative to the configuration's directory where that says so,
    so that all of it can be moved together.
    """

    name: str
    path: str
    format: Format
    separator: str | None = None
    compression: Compression | None = None
    partitions: tuple[tuple[str, str | None], ...] = ()
    kept: str = ""

    @property
    def remote(self) -> bool:
        return is_remote(self.path)


def is_remote(path: str) -> bool:
    """Tell an address (`https://…`, `s3://…`) from a path of this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) is not None


def local_path(text: str, directory: Path) -> Path:
    """The absolute path of what a configuration in `directory` calls `text`."""
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    return Path(os.path.abspath(directory / _at_home(text)))  # noqa: PTH100 - keeps links


def _at_home(text: str) -> str:
    """A path with `~` replaced; as it stands where nobody knows that home."""
    return os.path.expanduser(text)  # noqa: PTH111 - Path's own raises then


def locate(files: Files, directory: Path) -> tuple[Location, ...]:
    """List the files that a section of the configuration names, each once.

    Raises SourceError where one is missing or its ending does not say how to read it.
    """
    found: dict[str, Location] = {}
    for text in files.files:
        try:
            for key, location in _located(text, directory, files):
                found.setdefault(key, location)
        except (OSError, ValueError) as error:  # a name too long, an address with a broken host
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise SourceError(f"names no file: {reason}", where=text) from error
    return tuple(_named_apart(found.values()))


def _named_apart(locations: Iterable[Location]) -> Iterator[Location]:
    """Each under a name of its own: addresses that differ in what is not shown get a number."""
    times: Counter[str] = Counter()
    for each in locations:
        times[each.name] += 1
        number = times[each.name]
        yield each if number == 1 else replace(each, name=f"{each.name}#{number}")


def _located(text: str, directory: Path, files: Files) -> Iterator[tuple[str, Location]]:
    """The files that one text names, each with what tells it from others."""
    if is_remote(text) and not text.startswith("file://"):
        for address in _expand_address(text):
            yield address, replace(_location(_public(address), address, files), kept=address)
        return
    absolute = is_remote(text) or Path(_at_home(text)).is_absolute()
    for path in _expand(text, directory, files):
        name = _name(path, text, directory)
        if not path.is_file():  # to open a pipe may wait for ever
            raise SourceError(
                "is a pipe or a device, whose bytes can be had only once",
                where=name,
                hint="A source is read several times: write it to a file, and name that.",
            )
        found = _location(name, str(path), files)
        kept = str(path) if absolute else os.path.relpath(path, directory)
        yield os.path.realpath(path), replace(found, kept=kept)


def _expand(text: str, directory: Path, files: Files) -> Iterator[Path]:
    path = local_path(text, directory)
    if path.is_dir():
        paths = sorted(_inside(path, files))
        if not paths:
            raise SourceError(
                "the directory holds no file that can be read",
                where=text,
                hint=f"The endings that are read are {READ}. With `format` all files are.",
            )
        yield from paths
    elif path.exists():
        yield path
    elif path.is_symlink():
        raise SourceError(
            f"is a link to {str(path.readlink())!r}, which is not there",
            where=text,
            hint="Name the file itself, or make the link anew.",
        )
    elif glob.has_magic(text):
        matches = [Path(each) for each in glob.glob(_pattern(path), recursive=True)]  # noqa: PTH207 - takes absolute patterns
        paths = sorted(each for each in matches if each.is_file() and not _in_job(each))
        if not paths:
            raise SourceError("no file matches", where=text, hint=_nearest(path))
        yield from paths
    else:
        raise SourceError("there is no such file", where=text, hint=_nearest(path))


def _pattern(path: Path) -> str:
    """A path as a glob in which folders that are really called so mean themselves."""
    known = next((each for each in path.parents if each.exists()), Path())
    return str(Path(glob.escape(str(known)), path.relative_to(known)))


def _expand_address(text: str) -> list[str]:
    """Object stores can be asked what they hold; behind http a name means itself."""
    if text.startswith(("http://", "https://")) or not re.search(r"[*?]|/$", text):
        return [text]
    addresses = listed(text)
    if not addresses:
        raise SourceError("no object matches", where=text)
    return addresses


def _inside(directory: Path, files: Files) -> Iterator[Path]:
    """The files of a directory at any depth that can be read; names with `.` or `_` are hidden."""
    return (each for each in _walk(directory) if _is_read(each.name, files))


def _is_read(name: str, files: Files) -> bool:
    known = files.format is not None or endings_of(name)[0] in _FORMATS
    return known and not name.startswith((".", "_"))


def passed_over(files: Files, directory: Path) -> list[str]:
    """Files in directories of the source that are not read and may be meant to be, by name.

    Marks such as `_SUCCESS`, dot files and configurations are not.
    """
    found = {
        _name(each, text, directory): each.name
        for text in files.files
        if not is_remote(text) or text.startswith("file://")
        for each in _walk(local_path(text, directory))
    }
    return sorted(
        shown
        for shown, name in found.items()
        if not _is_read(name, files)
        and not name.startswith(".")
        and not (name.startswith("_") and endings_of(name)[0] not in _FORMATS)
        and not name.endswith(".toml")
    )


def _walk(directory: Path) -> Iterator[Path]:
    """All files of a directory at any depth but those below hidden folders.

    What lies in a job's directory is no source.
    """
    top = Path(os.path.realpath(directory))
    seen = {str(top), *map(str, top.parents)}
    for root, folders, names in os.walk(directory, followlinks=True):
        folders[:] = [
            each
            for each in folders
            if not each.startswith((".", "_")) and not _is_job(Path(root, each))
        ]
        # A link to a directory above would lead round in circles, and to what is beside this one.
        real = [os.path.realpath(os.path.join(root, each)) for each in folders]  # noqa: PTH118 - walk's own
        folders[:] = [each for each, path in zip(folders, real, strict=True) if path not in seen]
        seen.update(real)
        yield from (Path(root, name) for name in names)


def _in_job(path: Path) -> bool:
    """Whether a glob reached into a job's directory."""
    return any(_is_job(folder) for folder in path.parents)


def _is_job(folder: Path) -> bool:
    return any((folder / name).exists() for name in LEDGERS)


def _nearest(path: Path) -> str | None:
    """Offer the name of a file that lies where the missing one was looked for.

    What cannot be meant is not: what is hidden, configurations, and what a job keeps.
    """
    try:
        names = [
            each.name
            for each in path.parent.iterdir()
            if not each.name.startswith(".") and each.suffix != ".toml" and not _is_job(each)
        ]
    except OSError:
        return f"There is no directory {str(path.parent)!r} either."
    return did_you_mean(path.name, names)


def _name(path: Path, text: str, directory: Path) -> str:
    base = Path(os.path.abspath(directory))  # noqa: PTH100 - keeps links
    if path.is_relative_to(base):
        return path.relative_to(base).as_posix()
    return text if local_path(text, directory) == path else path.as_posix()


def _public(address: str) -> str:
    """The address without what may be a secret in it: a user's password, a signature."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def endings_of(name: str) -> tuple[str, Compression | None]:
    """The ending that tells the format, in lower case, and the compression around it."""
    path = Path(name.lower())
    compression = _COMPRESSIONS.get(path.suffix)
    return (Path(path.stem).suffix if compression else path.suffix), compression


def _location(name: str, path: str, files: Files) -> Location:
    ending, compression = endings_of(unquote(urlsplit(path).path) if is_remote(path) else path)
    chosen = files.format
    form: Format | None = "csv" if chosen == "tsv" else chosen or _FORMATS.get(ending)
    if form is None:
        refuse_named(name, ending)
        raise SourceError(
            f"the ending {ending!r} does not say what the file is"
            if ending
            else "the name has no ending that says what the file is",
            where=name,
            hint='Set `format` to "csv", "tsv", "ndjson" or "parquet".',
        )
    if form == "parquet" and compression:
        raise SourceError(
            "Parquet inside another compression is not read", where=name, hint="Unpack it first."
        )
    tabs = chosen == "tsv" or (chosen is None and ending in _TAB_ENDINGS)
    separator = files.separator or ("\t" if tabs else ",")
    return Location(
        name=name,
        path=path,
        format=form,
        separator=separator if form == "csv" else None,
        compression=compression,
        partitions=_partitions(path if is_remote(path) else name) if files.hive else (),
    )


def _partitions(path: str) -> tuple[tuple[str, str | None], ...]:
    """Read `key=value` directories, as Hive writes them: percent-encoded, with a name for null.

    Of a file beside or below the configuration those above this one are none of the source's.
    """
    found = {}
    for part in Path(path).parent.parts:
        key, equals, value = part.partition("=")
        if key and equals:
            found[unquote(key)] = None if value == _HIVE_NULL else unquote(value)
    return tuple(found.items())
