"""What earlier jobs sent, so that this one leaves it out: by record key, or by file and row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.config import Config, with_defaults
from backfill.core.errors import ChangedError, ConfigError
from backfill.core.terminal import path_argument
from backfill.jobdir.manifest import Manifest
from backfill.prepare.mapping.binding import Binding
from backfill.sources.entries import SourceEntry

__all__ = ["EARLIER", "LeftOut", "Previous", "check_recognised", "left_out"]

EARLIER = "__earlier"
"""Orders what earlier jobs sent: as the jobs are named, then by their files and rows."""

_LOOKED_AT = 5_000_000  # records, of which the keys and times take some 100 MB
_FILE_BITS, _ROW_BITS = 12, 40  # beyond them it is still an order, and the same one each time

# What else of a configuration decides the values that make two records the same one.
_SETTINGS = (("events", "time"), ("events", "timezone"), ("rules", "phone_region"))


@dataclass(frozen=True)
class Previous:
    """An earlier job that is named, with the records of it that are left out.

    `records` has the columns `record` (the key), `number` and `file` (the index and the name of
    its file), `row`, `key` and `time` (of ordering, and null where yet another job sent it), and
    `state`: "delivered", or "unknown", which only the rest of a job leaves out. With `rest` this
    job is the rest of that one, which is told by file and row alone. With `known` the one that this
    job is the rest of was planned after it, as it is now: what it sent of this source is among what
    that one left out.
    """

    name: str
    manifest: Manifest
    records: pl.LazyFrame
    rest: bool = False
    known: bool = False


@dataclass(frozen=True)
class LeftOut:
    """What is left out: `by_key` has `record` and EARLIER, `by_place` has `__file` and `__row`.

    Both have `_kept_file`, `_kept_row`, `_kept_job` and `_kept_state`; None where there is none.
    """

    by_key: pl.LazyFrame | None = None
    by_place: pl.LazyFrame | None = None


def left_out(
    previous: Sequence[Previous],
    config: Config,
    binding: Binding,
    *,
    events: Sequence[SourceEntry],
    contacts: Sequence[SourceEntry],
    work: Path,
    in_files: bool,
) -> LeftOut:
    """What the named jobs sent, as this job's source of `events` and `contacts` meets it.

    Where contacts changed, a row of a file that both read is known by its place, too: its record
    may have another key by now, and is the one that was sent all the same.

    Every part of the source asks for places, so these are gathered into a file in `work` once;
    `in_files` the keys are, too, for those who cannot see the ledgers of other jobs.

    Raises ConfigError for a job of another kind, whose records can never be the same, and
    ChangedError for the rest of a job whose source had other content.
    """
    keys, places = [], []
    for index, each in enumerate(previous):
        _check_same_kind(each, config, binding)
        kept = (
            pl.col("file").cast(pl.String).alias("_kept_file"),
            pl.col("row").cast(pl.UInt64).alias("_kept_row"),
            pl.lit(each.name).alias("_kept_job"),
            pl.col("state").cast(pl.String).alias("_kept_state"),
        )
        numbers: dict[int, int] = {}
        if each.rest:
            numbers = _same_files(each, events)
        elif sorted(each.manifest.identity) == sorted(binding.identity):
            keys.append(each.records.select("record", _order(index).alias(EARLIER), *kept))
            if _only_contacts_changed(each.manifest, config, binding, contacts):
                numbers, _ = _common_files(each.manifest.events, events)
        if numbers:
            place = _numbered(numbers).alias("__file")
            row = pl.col("row").cast(pl.UInt64).alias("__row")
            places.append(each.records.select(place, row, *kept).drop_nulls("__file"))
    by_key = pl.concat(keys) if keys else None
    by_place = pl.concat(places) if places else None
    if by_place is not None and len(places) > 1:  # two of them may have read one file
        by_place = by_place.unique(["__file", "__row"], keep="first", maintain_order=True)
    if by_key is not None and in_files:
        by_key = _gathered(by_key, work / "keys.parquet")
    if by_place is not None:
        by_place = _gathered(by_place, work / "places.parquet")
    return LeftOut(by_key, by_place)


def _order(job: int) -> pl.Expr:
    number, row = pl.col("number").cast(pl.UInt64), pl.col("row").cast(pl.UInt64)
    return ((job << _FILE_BITS) + number) * (1 << _ROW_BITS) + row


def _numbered(numbers: dict[int, int]) -> pl.Expr:
    """The index that a record's file has here, null where it is not read."""
    return pl.col("number").replace_strict(
        list(numbers), list(numbers.values()), default=None, return_dtype=pl.UInt32()
    )


def _gathered(rows: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    rows.sink_parquet(path, compression="lz4")
    return pl.scan_parquet(path, glob=False)


def check_recognised(
    previous: Sequence[Previous], config: Config, binding: Binding, manifest: Manifest, into: Path
) -> list[str]:
    """Notes on what the named jobs delivered and what is not found in this one, planned `into`.

    Raises ConfigError for a job that was mapped otherwise: whether those records are none of this
    source's, or the same ones in another form, only a person can say.
    """
    notes: list[str] = []
    found = (
        pl.scan_parquet(into / "duplicates.parquet", glob=False)
        .filter(pl.col("_kept_job").is_not_null())
        .select(record=pl.col("__record"))
    )
    for each in previous:
        if each.rest or each.known:
            continue
        changed = list(_mapped_otherwise(each.manifest, config, binding))
        of_contacts = _changed_with_contacts(each.manifest, binding, manifest.contacts)
        if not changed and not of_contacts:
            notes += _alike(each, found, manifest, into)
            continue
        total = each.records.select(pl.len()).collect().item()
        missed = each.records.join(found, on="record", how="anti")
        if not changed:  # what it sent of the files that both read was left out by its place
            both, _ = _common_files(each.manifest.events, manifest.events)
            missed = missed.filter(~pl.col("number").is_in(list(both)))
            others = [other for other in previous if other is not each]
            for known in _known_to(others, config, binding, manifest.events):
                missed = missed.join(known, on="record", how="anti")
        lost = missed.select(pl.len()).collect().item()
        if not lost:
            continue
        if changed:
            raise ConfigError(
                f"{each.name} delivered {total:,} records under another mapping"
                f" ({', '.join(changed)}), and {lost:,} of them cannot be recognised here",
                where="[dedupe] delivered_by",
                hint=_way_on(each, config, manifest.events),
            )
        fields = ", ".join(of_contacts)
        notes.append(
            f"{lost:,} of the {total:,} records that {each.name} delivered are not recognised here,"
            f" and the contacts are not those that it was planned with: where {fields} of a contact"
            " changed, its rows in this source are sent again. With `key` under [dedupe], named"
            " from the first job on, only what you name there counts"
        )
    return notes


def _alike(each: Previous, found: pl.LazyFrame, manifest: Manifest, into: Path) -> Iterator[str]:
    """A note on records that go as new ones, though the job delivered some of the same key at the
    same time that were not `found` again: a row that was corrected, or written otherwise by another
    export, looks so. Of more than _LOOKED_AT records of either job a share is looked at.
    """
    if manifest.facts.first_time is None:  # nothing is ready, or nothing has a time
        return
    ready = [into / "ready" / bucket.file for bucket in manifest.buckets]
    share = -(-max(manifest.ready, each.manifest.ready) // _LOOKED_AT)
    moment = pl.struct("key", "time").hash()
    chosen = pl.col("time").is_not_null() & (moment % share == 0)
    here = pl.scan_parquet(ready, glob=False).filter(chosen)
    here = here.select(moment.alias("moment"), "file", "row")
    sent = (
        each.records.filter(chosen)
        .select(moment.alias("moment"), "record")
        .join(here, on="moment", how="semi")
        .join(found, on="record", how="anti")
    )
    alike = here.join(sent, on="moment", how="semi").select("file", "row")
    rows = alike.collect(engine="streaming")
    if rows.is_empty():
        return
    file, row = rows.sort("file", "row").row(0)
    number = f"{'some ' if share > 1 else ''}{rows.height * share:,}"
    yield (
        f"{number} of the {manifest.ready:,} ready records: the key and the time of one that"
        f" {each.name} delivered, but not recognised as that one (row {row:,} of"
        f" {manifest.events[file].name}, for one). Where it is the same, corrected or written"
        " otherwise, it goes a second time. With `key` under [dedupe], named from the first job on,"
        " only what you name there counts"
    )


def _known_to(
    others: Sequence[Previous], config: Config, binding: Binding, events: Sequence[SourceEntry]
) -> Iterator[pl.LazyFrame]:
    """The keys of what other jobs have of a file that is read here: it was left out by its place,
    whichever job had sent it."""
    for each in others:
        if not any(_mapped_otherwise(each.manifest, config, binding)):
            both, _ = _common_files(each.manifest.events, events)
            yield each.records.filter(pl.col("number").is_in(list(both))).select("record")


def _way_on(each: Previous, config: Config, events: Sequence[SourceEntry]) -> str:
    """What to do about a job whose records are mapped otherwise here."""
    both, new = _common_files(each.manifest.events, events)
    rest = f"--rest-of {path_argument(each.name)}"
    leave_out = "leave it out of delivered_by."
    if not new and len(both) == len(each.manifest.events):
        return (
            "For the rows of the same source that it has not delivered, whatever the mapping:"
            f" backfill plan {_named(config)} {rest}\n  Only if its records are none of this"
            f" source's, {leave_out}"
        )
    if both:
        return (
            f"It has read {events[min(both.values())].name} as well: read only files here that it"
            f" has not, and {leave_out}\n  What it has not delivered goes by a configuration that"
            f" reads all of its files and no others: backfill plan CONFIG {rest}"
        )
    return f"Map these as it did. Only if its records are none of this source's, {leave_out}"


def _only_contacts_changed(
    before: Manifest, config: Config, binding: Binding, contacts: Sequence[SourceEntry]
) -> bool:
    """Whether a record differs from that of the same row in an earlier job by its contact alone."""
    changed = _changed_with_contacts(before, binding, contacts)
    return bool(changed) and not any(_mapped_otherwise(before, config, binding))


def _changed_with_contacts(
    before: Manifest, binding: Binding, contacts: Sequence[SourceEntry]
) -> list[str]:
    """The fields by which records are the same one that come from contacts, if these changed."""
    contents = [sorted(each.sha256 for each in files) for files in (before.contacts, contacts)]
    if contents[0] == contents[1]:
        return []
    names = {each.name for each in binding.inputs_for("contacts")}
    return [name for name in binding.identity if name in names]


def _named(config: Config) -> str:
    return path_argument(config.path) if config.path else "CONFIG"


def _check_same_kind(each: Previous, config: Config, binding: Binding) -> None:
    for what, theirs, ours in (
        ("destination", each.manifest.destination, binding.destination.name),
        ("population", each.manifest.population, config.population),
    ):
        if theirs != ours:
            raise ConfigError(
                f"the {what} of {each.name} is {theirs}, and here it is {ours}",
                where="--rest-of" if each.rest else "[dedupe] delivered_by",
                hint="Only a job of the same kind can have delivered the same records.",
            )


def _mapped_otherwise(manifest: Manifest, config: Config, binding: Binding) -> Iterator[str]:
    """What decides the identity of a record and is not what it was, by name."""
    before, now = with_defaults(manifest.shape), config.shape()
    if sorted(manifest.identity) != sorted(binding.identity):
        theirs, ours = (", ".join(sorted(names)) for names in (manifest.identity, binding.identity))
        yield f"identity: {theirs}; here: {ours}"
        return
    names = [("fields", name) for name in binding.identity]
    for section, name in (*names, *_SETTINGS):
        if (before.get(section) or {}).get(name) != (now.get(section) or {}).get(name):
            yield f"[{section}] {name}"


def _same_files(each: Previous, entries: Sequence[SourceEntry]) -> dict[int, int]:
    """For the index of each of its files the index that the file has here.

    Raises ChangedError unless the files of both have the same content, under whatever names.
    """
    numbers, new = _common_files(each.manifest.events, entries)
    for number, entry in enumerate(each.manifest.events):
        if number not in numbers:
            raise _other_source(each, f"{entry.name} is not the file that it was")
    if new:
        raise _other_source(each, f"{entries[new[0]].name} is new")
    return numbers


def _common_files(
    before: Sequence[SourceEntry], now: Sequence[SourceEntry]
) -> tuple[dict[int, int], list[int]]:
    """Files of the same content, under whatever names: the index that each had and has. And the
    indexes of those that are new.
    """
    here: dict[tuple[str, int], list[int]] = {}
    for number, entry in enumerate(now):
        here.setdefault((entry.sha256, entry.rows), []).append(number)
    numbers = {}
    for number, entry in enumerate(before):
        if same := here.get((entry.sha256, entry.rows)):
            numbers[number] = same.pop(0)
    return numbers, [number for same in here.values() for number in same]


def _other_source(each: Previous, difference: str) -> ChangedError:
    return ChangedError(
        f"the source is not the one that {each.name} was planned from: {difference}",
        where="--rest-of",
        hint="The rest of a job is told by file and row, so its files must be what they were."
        " Nothing was planned, and the job stays as it is.",
    )
