"""Which pending records a run sends that was asked for some only: a canary of one's choice.

The records of one key are sent in order, so a record is chosen only where no earlier one of its
key stays behind. What fits and has to wait for that reason is counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path

import polars as pl

from backfill.checks.uuids import is_uuid
from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.model import Lane, Range
from backfill.deliver.run.ready_reader import read_bucket
from backfill.destination import Destination, Kind
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.storage_wait import StorageWait

__all__ = ["Selection"]

_COMPARED = 1000  # values of a bucket among which the nearest one is looked for
_LOWER_CASE = frozenset({Kind.UUID, Kind.LANGUAGE})  # kinds that are sent in lower case


class Selection:
    """The pending records whose body has one of the wanted values in each of the named fields.

    `only` maps a field of the body (`contact.id`, `customFields.channel`) to the values that
    will do; the destination has these fields. `chosen` counts the records picked so far, and
    `waiting` those that fit and stay pending, because an earlier record of their key does.
    """

    def __init__(
        self,
        only: Mapping[str, Sequence[str]],
        *,
        directory: Path,
        manifest: Manifest,
        destination: Destination,
        storage: StorageWait,
    ) -> None:
        self._directory = directory
        self._storage = storage
        self._manifest = manifest
        namespace = _namespace(manifest)
        self._wanted = {
            _path(destination, name): [
                _as_sent(destination, name, value, namespace) for value in values
            ]
            for name, values in only.items()
        }
        self._only = only
        self.chosen = 0
        self._waiting: dict[tuple[int, int], int] = {}  # by lane, which may be looked at again

    @property
    def waiting(self) -> int:
        return sum(self._waiting.values())

    def choose(
        self, bucket: int, pending: Sequence[tuple[Lane, list[Range]]]
    ) -> list[tuple[Lane, list[Range]]]:
        """What of a bucket's pending ranges is to be sent, lane by lane; empty lanes are left out.

        Reads the bucket's bodies. Raises JobError for a ready file that cannot be read, and
        StorageError where it cannot be reached.
        """
        records = self._read(bucket)
        bodies = records["body"].cast(pl.String).str.json_decode(_schema(set(self._wanted)))
        fits = pl.repeat(value=True, n=records.height, eager=True)
        for path, values in self._wanted.items():
            fits &= _at(bodies, path).is_in(values).fill_null(value=False)
        positions = pl.concat(
            [
                pl.DataFrame({"lane": number, "at": pl.int_range(start, stop, eager=True)})
                for number, (_, ranges) in enumerate(pending)
                for start, stop in ranges
            ]
        )
        rows = (
            records.lazy()
            .select("key", fits=fits)
            .with_row_index("at")
            .with_columns(pl.col("at").cast(pl.Int64))
            .join(positions.lazy(), on="at", maintain_order="left")
            .with_columns(goes=pl.col("fits").cast(pl.Int8).cum_min().over("key") == 1)
            .filter("fits")
            .collect()
        )
        going = rows.filter("goes")
        self.chosen += going.height
        stay = dict(rows.group_by("lane").agg((~pl.col("goes")).sum()).iter_rows())
        for number, (lane, _) in enumerate(pending):
            self._waiting[bucket, lane.number] = stay.get(number, 0)
        runs = (
            going.lazy()
            .with_columns(run=pl.col("at") - pl.int_range(pl.len()))
            .group_by("lane", "run", maintain_order=True)
            .agg(start=pl.col("at").first(), stop=pl.col("at").last() + 1)
            .collect()
        )
        found: dict[int, list[Range]] = {}
        for lane, _, start, stop in runs.iter_rows():
            found.setdefault(lane, []).append((start, stop))
        return [(pending[number][0], ranges) for number, ranges in found.items()]

    def refuse_unknown_value(self) -> None:
        """Raise ConfigError where nothing was found, and no record has these values in any state.

        Reads all of the job's bodies where nothing was found.
        """
        if self.chosen or self.waiting:
            return
        schema = _schema(set(self._wanted))
        known: dict[tuple[str, ...], set[str]] = {path: set() for path in self._wanted}
        met: set[tuple[str, ...]] = set()
        for bucket in range(len(self._manifest.buckets)):
            bodies = self._read(bucket)["body"]
            decoded = bodies.cast(pl.String).str.json_decode(schema)
            fits = pl.repeat(value=True, n=decoded.len(), eager=True)
            for path, values in self._wanted.items():
                found = _at(decoded, path)
                known[path] |= set(found.drop_nulls().unique().head(_COMPARED))
                wanted = found.is_in(values).fill_null(value=False)
                if wanted.any():
                    met.add(path)
                fits &= wanted
            if fits.any():
                return
        hint = self._helps(known, met)
        raise ConfigError(f"no record has {self._said()}", where="only", hint=hint)

    def _read(self, bucket: int) -> pl.DataFrame:
        return self._storage.until_there(
            partial(read_bucket, self._directory, self._manifest, bucket)
        )

    def _helps(self, known: Mapping[tuple[str, ...], set[str]], met: Set[tuple[str, ...]]) -> str:
        """Which value or field may have been meant, by some of the `known` values of each field.

        Of the fields that were `met` some record has a wanted value.
        """
        fields = ", ".join(self._manifest.shape.get("fields", ()))
        for (name, values), path in zip(self._only.items(), self._wanted, strict=True):
            if not known[path]:
                return f"No record has a {name}. Fields are {fields}."
            if path not in met:
                near = did_you_mean(values[0], known[path])
                return near or f"Values are compared as they are sent. Fields are {fields}."
        return "Each of these values is there, but no record has all of them."

    def _said(self) -> str:
        return " and ".join(
            f"{name} = {' or '.join(values)}" for name, values in self._only.items()
        )

    def message(self) -> str:
        """Why a run ended with records pending."""
        said = self._said()
        if not self.chosen and not self.waiting:
            return f"no pending record has {said}"
        left = f"only records with {said} were to be sent"
        if not self.waiting:
            return left
        wait = "1 of them waits" if self.waiting == 1 else f"{self.waiting:,} of them wait"
        return f"{left}; {wait} for earlier records of the same key, which stay pending"


def _path(destination: Destination, name: str) -> tuple[str, ...]:
    """The names of the objects that lead to a field of the body, and its own."""
    field = destination.field_for(name)
    if field is None or not field.family:
        return tuple(name.split("."))
    parent = field.name.removesuffix(".*")
    return (*parent.split("."), name.removeprefix(f"{parent}."))


def _as_sent(destination: Destination, name: str, value: str, namespace: uuid.UUID | None) -> str:
    """A value as planning makes it: one's own id is the UUID that it became."""
    field = destination.field_for(name)
    if field is None or field.kind not in _LOWER_CASE:
        return value
    text = value.strip()
    if field.kind is not Kind.UUID or namespace is None or is_uuid(text):
        return text.lower()
    return str(uuid.uuid5(namespace, text))


def _namespace(manifest: Manifest) -> uuid.UUID | None:
    """Of which ids that are no UUIDs become ones."""
    rule = manifest.shape.get("rules", {}).get("contact_id")
    return uuid.UUID(rule["namespace"]) if rule else None


def _at(value: pl.Series, path: Sequence[str]) -> pl.Series:
    for name in path:
        value = value.struct.field(name)
    return value


def _schema(paths: set[tuple[str, ...]]) -> pl.Struct:
    """A type that holds these paths and nothing else."""
    heads = sorted({path[0] for path in paths})
    inner = {head: {path[1:] for path in paths if path[0] == head} - {()} for head in heads}
    return pl.Struct({head: _schema(rest) if rest else pl.String() for head, rest in inner.items()})
