"""What earlier jobs sent, so that this one leaves it out: by record key, or by file and row."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.config import Config, with_defaults
from backfill.core.errors import ChangedError, ConfigError
from backfill.jobdir.manifest import Manifest
from backfill.prepare.mapping.binding import Binding
from backfill.sources.entries import SourceEntry

__all__ = ["EARLIER", "LeftOut", "Previous", "left_out", "refuse_unrecognised"]

EARLIER = "__earlier"
"""Orders what earlier jobs sent: as the jobs are named, then by their files and rows."""

_FILE_BITS, _ROW_BITS = 12, 40  # beyond them it is still an order, and the same one each time

# What else of a configuration decides the values that make two records the same one.
_SETTINGS = (("events", "time"), ("events", "timezone"), ("rules", "phone_region"))


@dataclass(frozen=True)
class Previous:
    """An earlier job that is named, with the records of it that are left out.

    `records` has the columns `record` (the key), `number` and `file` (the index and the name of
    its file), `row`, and `state`: "delivered", or "unknown", which only the rest of a job leaves
    out. With `rest` this job is the rest of that one, which is told by file and row alone.
    """

    name: str
    manifest: Manifest
    records: pl.LazyFrame
    rest: bool = False


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
    entries: Sequence[SourceEntry],
    work: Path,
    *,
    in_files: bool,
) -> LeftOut:
    """What the named jobs sent, as this job's source of `entries` meets it.

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
        if each.rest:
            numbers = _same_files(each, entries)
            place = (
                pl.col("number")
                .replace_strict(list(numbers), list(numbers.values()), return_dtype=pl.UInt32())
                .alias("__file")
            )
            row = pl.col("row").cast(pl.UInt64).alias("__row")
            places.append(each.records.select(place, row, *kept))
        elif sorted(each.manifest.identity) == sorted(binding.identity):
            keys.append(each.records.select("record", _order(index).alias(EARLIER), *kept))
    by_key = pl.concat(keys) if keys else None
    by_place = pl.concat(places) if places else None
    if by_key is not None and in_files:
        by_key = _gathered(by_key, work / "keys.parquet")
    if by_place is not None:
        by_place = _gathered(by_place, work / "places.parquet")
    return LeftOut(by_key, by_place)


def _order(job: int) -> pl.Expr:
    number, row = pl.col("number").cast(pl.UInt64), pl.col("row").cast(pl.UInt64)
    return ((job << _FILE_BITS) + number) * (1 << _ROW_BITS) + row


def _gathered(rows: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    rows.sink_parquet(path, compression="lz4")
    return pl.scan_parquet(path, glob=False)


def refuse_unrecognised(
    previous: Sequence[Previous], config: Config, binding: Binding, duplicates: Path
) -> None:
    """Raise ConfigError where a job that was mapped otherwise delivered what is not found here.

    Whether those records are none of this source's, or the same ones in another form, only a
    person can say. `duplicates` is the file of this plan's duplicates.
    """
    for each in previous:
        changed = [] if each.rest else list(_mapped_otherwise(each.manifest, config, binding))
        if not changed:
            continue
        found = (
            pl.scan_parquet(duplicates, glob=False)
            .filter(pl.col("_kept_job").is_not_null())
            .select(record=pl.col("__record"))
        )
        total = each.records.select(pl.len()).collect().item()
        lost = each.records.join(found, on="record", how="anti").select(pl.len()).collect().item()
        if lost:
            raise ConfigError(
                f"{each.name} delivered {total:,} records under another mapping"
                f" ({', '.join(changed)}), and {lost:,} of them cannot be recognised here",
                where="[dedupe] delivered_by",
                hint="For the rows of the same source that it has not delivered, whatever the"
                f" mapping: backfill plan {_named(config)} --rest-of {shlex.quote(each.name)}\n"
                "  Only if its records are none of this source's, leave it out of delivered_by.",
            )


def _named(config: Config) -> str:
    return shlex.quote(str(config.path)) if config.path else "CONFIG"


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
    here: dict[tuple[str, int], list[int]] = {}
    for number, entry in enumerate(entries):
        here.setdefault((entry.sha256, entry.rows), []).append(number)
    numbers = {}
    for number, entry in enumerate(each.manifest.events):
        same = here.get((entry.sha256, entry.rows))
        if not same:
            raise _other_source(each, f"{entry.name} is not the file that it was")
        numbers[number] = same.pop(0)
    if new := [entries[number].name for same in here.values() for number in same]:
        raise _other_source(each, f"{new[0]} is new")
    return numbers


def _other_source(each: Previous, difference: str) -> ChangedError:
    return ChangedError(
        f"the source is not the one that {each.name} was planned from: {difference}",
        where="--rest-of",
        hint="The rest of a job is told by file and row, so its files must be what they were."
        " Nothing was planned, and the job stays as it is.",
    )
