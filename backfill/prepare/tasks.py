"""What is done with a part of a source: plain functions, which any process can run.

A task writes into a directory of its own attempt, and returns the names of its files; whoever
reads takes those names. Another attempt of the same task, or what is left of one that was killed,
is never read.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from backfill.prepare.buckets import PartOutput, split_own, with_own
from backfill.prepare.dedupe import (
    Marks,
    marked_among,
    marks,
    marks_in_slices,
    sent_from,
)
from backfill.prepare.facts.plan_stats import PartStats, count_conversions
from backfill.prepare.identity import IDENTITY
from backfill.prepare.large_parts import LargePart
from backfill.prepare.left_out import LeftOut
from backfill.prepare.mapping.contacts import one_each_of_many
from backfill.prepare.partition import Files, Rows, scan_files, split
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
    return Split(chosen.rows, split(rows, recipe.part_keys.events, into, recipe.parts))


def split_contacts(recipe: Recipe, chosen: Range) -> Split:
    """Rows of the contacts that can be read, by the join key."""
    key = recipe.part_keys.contacts
    assert key is not None  # noqa: S101 - contacts that nothing asks for are not split
    into = _attempt(recipe, "contacts")
    rows = _contacts(recipe, chosen)
    return Split(chosen.rows, split(rows, key, into, recipe.parts))


def split_items(recipe: Recipe, files: Files) -> Split:
    """Good records by their ordering key."""
    rows = Rows.count(_scanned(files))
    into = _attempt(recipe, "items")
    return Split(rows.height, split(rows.source, pl.col("key"), into, recipe.parts))


def split_identities(recipe: Recipe, parts: int, files: Files) -> Split:
    """The identities of good records by their record keys."""
    rows = Rows.count(_identities(recipe, files))
    into = _attempt(recipe, "identities")
    return Split(rows.height, split(rows.source, pl.col("record"), into, parts))


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
    if recipe.is_large(rows):
        _write_items(recipe, output, part, rows, share=0.5)
        files = tuple(output.files.pop("items"))
        records = Rows.count(_scanned(files))
        if records.height:
            _settle_large(recipe, output, records, None, share=0.5)
        _remove(files)
    else:
        source = rows.read()
        items = _records(recipe, output, source, _joined(recipe, part))
        split_into = () if isinstance(part.events, Range) else part.events
        recipe.writer.settle(output, items, source, _marks(recipe, items), split_into)
    return output


def make_part(recipe: Recipe, part: Part) -> PartOutput:
    """First of two passes: the good records, with the source's own columns."""
    rows = _rows(recipe, part)
    output = PartOutput(_attempt(recipe, "made"), rows.height)
    _write_items(recipe, output, part, rows)
    return output


def find_duplicates(recipe: Recipe, part: Identities) -> PartOutput:
    """Mark the duplicates among the identities of one part."""
    if part.split:
        rows, known = _scanned(part.files), scan_files(part.earlier)
        earlier = known.drop(_PLACE) if known is not None else None
    else:
        rows, earlier = _identities(recipe, part.files), recipe.left_out.by_key
    identities = Rows.count(rows)
    output = PartOutput(_attempt(recipe, "marks"), identities.height)
    left_out = replace(recipe.left_out, by_key=earlier)
    _write_marks(recipe, output, identities, pl.col("record"), left_out)
    return output


def settle_gathered(recipe: Recipe, known: Files | None, files: Files) -> PartOutput:
    """Second of two passes: the records of one ordering key, together by now, as a bucket.

    `known` are the marks of all duplicates; None where they are to be found in this part.
    """
    part = Rows.count(_scanned(files))
    output = PartOutput(_attempt(recipe, "bucket"), part.height)
    marked = partial(marked_among, found=scan_files(known)) if known is not None else None
    if recipe.is_large(part):
        _settle_large(recipe, output, part, marked)
    else:
        records, rows = split_own(part.read())
        same = marked(records) if marked is not None else _marks(recipe, records)
        recipe.writer.settle(output, records, rows, same)
    return output


def _settle_large(
    recipe: Recipe, output: PartOutput, records: Rows, marked: Marks | None, *, share: float = 1.0
) -> None:
    """Write a bucket of records that memory does not hold all at once, with their own columns.

    That is so great a `share` of the work on the part.
    """
    marks_here: Files = ()
    if marked is None:
        identities = records.source.select(*_PLACE, IDENTITY)
        parts = recipe.parts_of_identities(records.height)
        found = split(identities, pl.col(IDENTITY), output.directory / "identities", parts)
        for files in found.values():
            part = Rows.count(_scanned(files))
            _write_marks(recipe, output, part, recipe.identity.record, recipe.left_out)
            _remove(files)
        marks_here = tuple(output.files.pop("marks", ()))
        marked = partial(marked_among, found=scan_files(marks_here))
    LargePart(
        recipe.writer,
        output,
        records,
        marked,
        recipe.at_once,
        moved=lambda rows: recipe.moved(output.directory, share * rows),
    ).settle()
    _remove(marks_here)


def _marks(recipe: Recipe, records: pl.DataFrame) -> pl.DataFrame:
    return marks(
        records,
        recipe.config.dedupe.keep,
        record=recipe.identity.record,
        left_out=recipe.left_out,
    )


def _write_marks(
    recipe: Recipe, output: PartOutput, part: Rows, record: pl.Expr, left_out: LeftOut
) -> None:
    """Write the marks of a part of identities, whose record keys are `record`."""
    keep = recipe.config.dedupe.keep
    if recipe.is_large(part, of_identities=True):
        found = marks_in_slices(part, recipe.at_once, keep, record=record, left_out=left_out)
    else:
        found = iter([marks(part.read(), keep, record=record, left_out=left_out)])
    for same in found:
        if same.height:
            same.write_parquet(output.path("marks"), compression="lz4")


def _write_items(
    recipe: Recipe, output: PartOutput, part: Part, rows: Rows, *, share: float = 1.0
) -> None:
    """Write the good records of a part with the source's own columns, a slice at a time.

    That is so great a `share` of the work on the part.
    """
    contacts = _joined(recipe, part)
    for each in rows.slices(recipe.at_once) if recipe.is_large(rows) else [rows.read()]:
        items = _records(recipe, output, each, contacts)
        with_own(items, each, recipe.events.columns).write_parquet(
            output.path("items"), compression="lz4", statistics=False
        )
        recipe.moved(output.directory, share * each.height)


def _joined(recipe: Recipe, part: Part) -> pl.LazyFrame | None:
    """The contacts of a part; of a large part of them one row for each, as far as they are told."""
    if part.contacts is None:
        return None
    contacts, join = _contacts(recipe, part.contacts), recipe.mapping.join
    if isinstance(part.contacts, Range) or not join or not recipe.is_large(Rows.count(contacts)):
        return contacts
    return one_each_of_many(contacts, join.contacts, recipe.binding)


def _records(
    recipe: Recipe, output: PartOutput, rows: pl.DataFrame, contacts: pl.LazyFrame | None
) -> pl.DataFrame:
    """Make records of a part; the rejected and excluded ones are written at once."""
    made = recipe.maker.make(rows, contacts)
    # What was sent stays so: mended and fed back in, a rejected row would be sent again.
    rejected = _without_sent(recipe, output, rows, made.rejected)
    excluded = _without_sent(recipe, output, rows, made.excluded)
    recipe.writer.reject(output, rows, rejected)
    recipe.writer.exclude(output, rows, excluded)
    stats = PartStats(
        unmatched_events=made.unmatched_events,
        unmatched=[((file, row), name) for file, row, name in made.unmatched],
        undecodable=made.undecodable,
        dropped=Counter(made.dropped),
        lacking=Counter(made.lacking),
        readings=made.readings,
    )
    count_conversions(stats, made.converted)
    output.stats.add(stats)
    return made.items


def _without_sent(
    recipe: Recipe, output: PartOutput, rows: pl.DataFrame, left: pl.DataFrame
) -> pl.DataFrame:
    """Rows that are no good records, but for those that an earlier job sent: these are written."""
    sent = sent_from(left, recipe.left_out.by_place)
    if sent.is_empty():
        return left
    places = left.select("__at", *_PLACE)
    recipe.writer.sent_before(output, rows, places.join(sent, on=_PLACE))
    return left.join(sent, on=_PLACE, how="anti", maintain_order="left")


# --- reading ---------------------------------------------------------------------------------


def _rows(recipe: Recipe, part: Part) -> Rows:
    chosen = part.events
    if isinstance(chosen, Range):
        return Rows(recipe.events.scan(chosen), chosen.rows)
    return Rows.count(_scanned(chosen))


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


def _remove(files: Files) -> None:
    for name in files:
        Path(name).unlink()


def _attempt(recipe: Recipe, kind: str) -> Path:
    """A new directory for what one attempt of a task writes."""
    directory = recipe.work / f"{kind}-{uuid.uuid4().hex}"
    directory.mkdir(mode=0o700)
    return directory
