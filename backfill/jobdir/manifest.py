"""The manifest: what a job was planned from, what the plan found, and where its buckets lie.

It is written last, in one step, so a directory without one holds no job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backfill.core.atomic_files import sync
from backfill.core.errors import JobError
from backfill.core.job_files import MANIFEST
from backfill.core.model import Books, Lane
from backfill.jobdir.lock import owner_of
from backfill.jobdir.store_addresses import named
from backfill.sources.entries import SourceEntry

__all__ = [
    "FORMAT",
    "Bucket",
    "Conversion",
    "Conversions",
    "EarlierJob",
    "Example",
    "Facts",
    "Manifest",
    "Seal",
    "fingerprint",
]

FORMAT = 2  # of the job directory; raised when an older program could not read a newer job
_FORMAT = "format"
_READABLE = (1, FORMAT)  # a job of format 1 has its own columns in the buckets, never beside them


class _Part(BaseModel):
    # Its validators are built when it is first used: a command needs those of few, if of any.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Bucket(_Part, defer_build=False):  # several threads may be the first to make one
    """One file under `ready/`: its rows, and how many of them each lane holds, in order.

    `own` are the files beside it that hold the rows of the source with their own columns, as
    they were split; there are none where the file has these columns itself.
    """

    file: str
    rows: int
    lanes: tuple[int, ...]
    own: tuple[str, ...] = ()


class Seal(_Part, defer_build=False):  # as of a bucket
    """What a file of the job's own was when it was planned.

    `size` and `mtime_ns` tell cheaply that nobody touched it; `sha256` of its bytes tells whether
    it is the same.
    """

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Seal:
        """The seal of a file as it is now. Reads all of it; raises OSError."""
        found = path.stat()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(size=found.st_size, mtime_ns=found.st_mtime_ns, sha256=digest)

    def untouched(self, path: Path) -> bool:
        """Whether the file looks as it did, by its size and time alone. Raises OSError."""
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)

    def holds(self, path: Path) -> bool:
        """Whether the file is the same, byte for byte. Raises OSError."""
        return Seal.of(path).sha256 == self.sha256


class Example(_Part):
    """One row that broke a rule: where it stands and the value that broke it."""

    file: str
    row: int
    value: str | None = None


class Conversion(_Part):
    """One value that was read as another one: `from` and `to` in JSON."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    file: str
    row: int
    before: str = Field(alias="from")
    after: str = Field(alias="to")


class Conversions(_Part):
    """The records of which one field's value was converted, and up to three of them."""

    count: int
    examples: tuple[Conversion, ...] = ()


class Facts(_Part):
    """What a plan tells before anything is sent. Times are ISO 8601 in UTC."""

    first_time: str | None = None
    last_time: str | None = None
    keys: int = 0  # distinct ordering keys among the ready records
    longest_lane: int = 0  # records
    longest_key: int = 0  # records of the most frequent ordering key
    requests: int = 0  # needed for the ready records in full batches of each lane
    samples: tuple[str, ...] = ()  # encoded bodies of a few records
    examples: Mapping[str, tuple[Example, ...]] = {}  # up to three for each broken rule
    malformed: Mapping[str, int] = {}  # why rows cannot be read -> how many
    conversions: Mapping[str, Conversions] = {}  # by field: national phones as E.164
    readings: Mapping[str, tuple[Conversion, ...]] = {}  # times and ids, as they are read
    unused_columns: tuple[str, ...] = ()  # "events.x", "contacts.y"
    selection: Mapping[str, str] = {}  # `where`, and `since` and `until` as moments in UTC
    tables: Mapping[str, Mapping[str, str]] = {}  # field -> value table or constant
    warnings: tuple[str, ...] = ()


class EarlierJob(_Part):
    """An earlier job that a plan was made after, and how it stood then.

    `name` is what it was called, `path` its directory from the job's own on, and `planned` when it
    was planned itself. With `rest` the job is the rest of it, by the `claim` that its ledger keeps.
    """

    name: str
    path: str
    planned: float
    address: str | None
    delivered: int
    unknown: int
    rest: bool = False
    claim: str | None = None


class Manifest(_Part):
    """A planned job."""

    format: int = FORMAT
    backfill: str  # the version that planned it
    polars: str
    created: float  # seconds since the epoch
    destination: str
    population: str | None = None
    shape: Mapping[str, Any]  # the part of the configuration that shaped the bodies, as JSON
    shape_sha256: str
    config_path: str | None = None  # the configuration file, from the job's directory on
    delivery: Mapping[str, Any] = {}  # its delivery settings, for runs that name only the job
    identity: tuple[str, ...]  # the fields that make two records the same one
    events: tuple[SourceEntry, ...]
    contacts: tuple[SourceEntry, ...] = ()
    columns: tuple[str, ...]  # the events source's own columns, in order
    input: int
    excluded: int = 0
    rejected: int
    duplicate: int
    ready: int
    exclusions: Mapping[str, int] = {}  # why records were excluded -> how many
    reasons: Mapping[str, int] = {}  # `field|rule` -> records that broke it
    dropped: Mapping[str, int] = {}  # `field|rule` -> optional values left out by drop_invalid
    buckets: tuple[Bucket, ...] = ()
    seals: Mapping[str, Seal] = {}  # by the file's path in the directory; none in older jobs
    earlier: tuple[EarlierJob, ...] = ()
    address: str | None = None  # for which the plan was made
    facts: Facts = Facts()

    @property
    def books(self) -> Books:
        """The books before anything is sent."""
        return Books(
            input=self.input,
            excluded=self.excluded,
            rejected=self.rejected,
            duplicate=self.duplicate,
            pending=self.ready,
        )

    @property
    def rest(self) -> EarlierJob | None:
        """The job that this one is the rest of, if it is one."""
        return next((each for each in self.earlier if each.rest), None)

    def config_file(self, directory: Path) -> Path | None:
        """The configuration file of this job, which lies in `directory`, where there was one."""
        if self.config_path is None:
            return None
        return Path(os.path.normpath(directory.absolute() / self.config_path))

    def source_directory(self, directory: Path) -> Path:
        """Where relative paths of the sources begin, as long as nobody names a configuration."""
        known = self.config_file(directory)
        return known.parent if known is not None else directory

    def with_notes(self, notes: Iterable[str]) -> Manifest:
        """The same manifest, with more that a person should know."""
        facts = self.facts.model_copy(update={"warnings": (*self.facts.warnings, *notes)})
        return self.model_copy(update={"facts": facts})

    def lanes(self) -> Iterator[Lane]:
        """Every lane of every bucket, in order."""
        for index, bucket in enumerate(self.buckets):
            start = 0
            for number, length in enumerate(bucket.lanes):
                yield Lane(index, number, start, start + length)
                start += length

    @property
    def content(self) -> bytes:
        """The bytes of the manifest's file."""
        return self.model_dump_json(indent=1).encode()

    def write(self, directory: Path) -> None:
        """Write the manifest durably and in one step.

        The job's ledger remembers the file's `fingerprint`, and is refused beside any other.
        """
        path = directory / MANIFEST
        draft = path.with_suffix(".draft")
        draft.write_bytes(self.content)
        draft.chmod(0o600)
        sync(draft)
        draft.replace(path)
        sync(directory)

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read a job's manifest. Raises JobError where there is none that this version reads."""
        path = directory / MANIFEST
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            owner = owner_of(directory)
            raise JobError(
                "there is no job here" if owner is None else f"there is no job here yet: {owner}",
                where=named(directory),
                hint="`backfill plan CONFIG` makes one." if owner is None else None,
            ) from None
        except (OSError, ValueError) as error:
            raise JobError(f"the manifest cannot be read: {error}", where=str(path)) from error
        if not isinstance(content, dict) or _FORMAT not in content:
            raise JobError(
                "this file is no job's manifest",
                where=str(path),
                hint="Name another directory: nothing in this one is backfill's.",
            )
        found = content[_FORMAT]
        if found not in _READABLE:
            raise JobError(
                f"the job has format {found}, and this version of backfill reads format {FORMAT}",
                where=str(path),
                hint="Open it with the version that planned it; it is named in the manifest.",
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise JobError(
                f"the manifest is damaged: {place}: {first['msg']}",
                where=str(path),
                hint="Restore it from a copy; nothing is sent from this job until then.",
            ) from error

    @staticmethod
    def exists(directory: Path) -> bool:
        return (directory / MANIFEST).exists()

    @staticmethod
    def looks_like_one(directory: Path) -> bool:
        """Whether the file of its name is a job's, of whatever version. Raises OSError."""
        try:
            content = json.loads((directory / MANIFEST).read_bytes())
        except ValueError:
            return False
        return isinstance(content, dict) and {_FORMAT, "destination"} <= content.keys()


def fingerprint(source: Manifest | Path) -> str:
    """What identifies a manifest: that of a directory's file, or of one that is to be written.

    Raises OSError.
    """
    content = source.content if isinstance(source, Manifest) else (source / MANIFEST).read_bytes()
    return hashlib.sha256(content).hexdigest()
