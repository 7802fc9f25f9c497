"""What is done with a part of a source: plain functions, which any process can run.

A task writes into a directory of its own attempt, and returns the names of its files; whoever
reads takes those names. Another attempt of the same task, or what is left of one that was killed,
is never read.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.prepare.buckets import OWN, PartOutput
from backfill.prepare.dedupe import MARKS, marks
from backfill.prepare.identity import IDENTITY
from backfill.prepare.partition import Files, scan_files, split
from backfill.prepare.plan_stats import count_conversions
from backfill.prepare.previous_jobs import LeftOut
from backfill.prepare.recipe import Recipe
from backfill.sources.ranges import Range

__all__ = [
    "Identities",
    "Part",
    "Split",
    "find_duplicates",
    "make_part",
    "settle_gathered",
    "settle_part",
    "split_contacts",
    "split_earlier",
    "split_events",
    "split_identities",
    "split_items",
]

_PLACE = ("__file", "__row")


@dataclass(frozen=True)
class Split:
    """So many rows in files, by the part that each belongs to."""

    rows: int
    files: Mapping[int, Files]


@dataclass(frozen=True)
class Part:
    """One part of the sources: in files, or ranges of them where they were not split.

    `contacts` is None where there are none at all.
    """

    number: int
    events: Range | Files
    contacts: Range | Files | None


@dataclass(frozen=True)
class Identities:
    """One part of the records' identities, and what earlier jobs sent of it.

    Where these were not `split`, the files are those of the good records.
    """

    number: int
    files: Files
    earlier: Files
    split: bool


# --- splitting -------------------------------------------------------------------------------


def split_events(recipe: Recipe, chosen: Range) -> Split:
    """Rows of the events by the join key, or by the ordering key where they alone have it."""
    rows = recipe.events.scan(chosen)
    into = _attempt(recipe, "events")
    return Split(chosen.rows, split(rows, recipe.mapping.events_part, into, recipe.parts))


def split_contacts(recipe: Recipe, chosen: Range) -> Split:
    """Rows of the contacts that can be read, by the join key."""
    join = recipe.mapping.join
    assert join is not None  # noqa: S101 - contacts that nothing asks for are not split
    into = _attempt(recipe, "contacts")
    rows = _contacts(recipe, chosen)
    return Split(chosen.rows, split(rows, join.contacts_part, into, recipe.parts))


def split_items(recipe: Recipe, files: Files) -> Split:
    """Good records by their ordering key."""
    rows = _scanned(files)
    return Split(_height(rows), split(rows, pl.col("key"), _attempt(recipe, "items"), recipe.parts))


def split_identities(recipe: Recipe, parts: int, files: Files) -> Split:
    """The identities of good records by their record keys."""
    rows = _identities(recipe, files)
    into = _attempt(recipe, "identities")
    return Split(_height(rows), split(rows, pl.col("record"), into, parts))


def split_earlier(recipe: Recipe, parts: int) -> Split:
    """What earlier jobs sent by its record keys."""
    assert recipe.left_out.by_key is not None  # noqa: S101 - the caller looked
    rows = recipe.left_out.by_key.with_columns(
        pl.lit(0, pl.UInt32).alias("__file"), pl.col("_kept_row").alias("__row")
    )
    return Split(0, split(rows, pl.col("record"), _attempt(recipe, "earlier"), parts))


# --- parts -----------------------------------------------------------------------------------


def settle_part(recipe: Recipe, part: Part) -> PartOutput:
    """From rows to a bucket in one pass."""
    rows = _rows(recipe, part)
    output = PartOutput(_attempt(recipe, "bucket"), rows.height)
    items = _records(recipe, output, part, rows)
    same = marks(
        items,
        recipe.config.dedupe.keep,
        record=recipe.identity.record,
        left_out=recipe.left_out,
    )
    recipe.writer.settle(output, items, rows, same)
    return output


def make_part(recipe: Recipe, part: Part) -> PartOutput:
    """First of two passes: the good records, with the source's own columns."""
    rows = _rows(recipe, part)
    output = PartOutput(_attempt(recipe, "made"), rows.height)
    items = _records(recipe, output, part, rows)
    own = [pl.col(name).alias(f"{OWN}{name}") for name in recipe.events.columns]
    whole = items.drop("__at").hstack(rows.select(own)[items["__at"]])
    whole.write_parquet(output.path("items"), compression="lz4", statistics=False)
    return output


def find_duplicates(recipe: Recipe, part: Identities) -> PartOutput:
    """Mark the duplicates among the identities of one part."""
    if part.split:
        rows, known = _scanned(part.files), scan_files(part.earlier)
        earlier = known.drop(_PLACE) if known is not None else None
    else:
        rows, earlier = _identities(recipe, part.files), recipe.left_out.by_key
    identities = rows.collect()
    output = PartOutput(_attempt(recipe, "marks"), identities.height)
    same = marks(
        identities,
        recipe.config.dedupe.keep,
        record=pl.col("record"),
        left_out=LeftOut(earlier, recipe.left_out.by_place),
    )
    if same.height:
        same.write_parquet(output.path("marks"), compression="lz4")
    return output


def settle_gathered(recipe: Recipe, known: Files | None, files: Files) -> PartOutput:
    """Second of two passes: the records of one ordering key, together by now, as a bucket.

    `known` are the marks of all duplicates; None where they are to be found in this part.
    """
    part = _in_one_chunk(_scanned(files))
    output = PartOutput(_attempt(recipe, "bucket"), part.height)
    own = [name for name in part.columns if name.startswith(OWN)]
    rows = part.select(pl.col(name).alias(name.removeprefix(OWN)) for name in own)
    records = part.drop(own).with_row_index("__at")
    if known is None:
        same = marks(records, recipe.config.dedupe.keep, left_out=recipe.left_out)
    elif known:
        place = records.lazy().select(_PLACE)
        same = _scanned(known).join(place, on=_PLACE, how="semi").collect()
    else:
        same = pl.DataFrame(schema=MARKS)
    recipe.writer.settle(output, records, rows, same)
    return output


def _records(recipe: Recipe, output: PartOutput, part: Part, rows: pl.DataFrame) -> pl.DataFrame:
    """Make records of a part; the rejected and excluded ones are written at once."""
    contacts = _contacts(recipe, part.contacts) if part.contacts is not None else None
    made = recipe.maker.make(rows, contacts)
    recipe.writer.reject(output, rows, made.rejected)
    recipe.writer.exclude(output, rows, made.excluded)
    stats = output.stats
    stats.unmatched_events = made.unmatched_events
    stats.unmatched = [((file, row), name) for file, row, name in made.unmatched]
    stats.undecodable = made.undecodable
    stats.dropped.update(made.dropped)
    count_conversions(stats, made.converted)
    stats.lacking.update(made.lacking)
    return made.items


# --- reading ---------------------------------------------------------------------------------


def _rows(recipe: Recipe, part: Part) -> pl.DataFrame:
    chosen = part.events
    rows = recipe.events.scan(chosen) if isinstance(chosen, Range) else _scanned(chosen)
    return _in_one_chunk(rows)


def _contacts(recipe: Recipe, chosen: Range | Files) -> pl.LazyFrame:
    """The contacts that can be read, with the columns that are needed."""
    assert recipe.contacts is not None  # noqa: S101 - a part of them was chosen
    columns = recipe.binding.contacts_columns()
    if isinstance(chosen, Range):
        readable = recipe.contacts.scan(chosen).filter(pl.col("__raw").is_null())
        return readable.select(*_PLACE, *columns)
    empty = {name: recipe.contacts.schema[name] for name in columns}
    found = scan_files(chosen)
    return (
        found
        if found is not None
        else pl.LazyFrame(schema={"__file": pl.UInt32, "__row": pl.UInt64, **empty})
    )


def _identities(recipe: Recipe, files: Files) -> pl.LazyFrame:
    record = recipe.identity.record.alias("record")
    return _scanned(files).select(*_PLACE, IDENTITY).with_columns(record)


def _scanned(files: Files) -> pl.LazyFrame:
    found = scan_files(files)
    assert found is not None  # noqa: S101 - a part without files is no part
    return found


def _in_one_chunk(rows: pl.LazyFrame) -> pl.DataFrame:
    """Rows that are gathered by their positions later, which costs ten times as much from two."""
    return rows.collect().rechunk()


def _height(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())


def _attempt(recipe: Recipe, kind: str) -> Path:
    """A new directory for what one attempt of a task writes."""
    directory = recipe.work / f"{kind}-{uuid.uuid4().hex}"
    directory.mkdir(mode=0o700)
    return directory
