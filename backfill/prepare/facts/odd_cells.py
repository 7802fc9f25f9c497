"""Cells that are no values: words for "missing", several ids in one cell, a row for a header."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import polars as pl

from backfill.checks.checked import trimmed
from backfill.checks.text import as_text
from backfill.config import Config, Files, Sql
from backfill.config.toml_strings import sql_text
from backfill.destination import Kind
from backfill.prepare.facts.id_spellings import FORMULA, UNWRAPPED, note_of_two_spellings, sql_of
from backfill.prepare.facts.uuid_spellings import UUID_FORMS
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.first_rows import FirstRows
from backfill.prepare.mapping.inputs import Input, Side
from backfill.sources.file_columns import FileColumns
from backfill.sources.scan import Source

__all__ = [
    "NULL_WORDS",
    "SEVERAL",
    "header_remark",
    "names_like_values",
    "notes_of_odd_cells",
    "titles_remark",
]

NULL_WORDS = (r"\N", "NULL", "(null)", "#N/A", "NaN", "NaT")
"""What databases and frames write for a missing value, and people for none."""

SEVERAL = r"""^[\[{]?\s*"?[\w@.+-]{4,}"?(?:\s*[;|,]\s*"?[\w@.+-]{4,}"?)+\s*[\]}]?$"""
"""Several ids or addresses in one cell."""

_NAMED = 3
_DUMPED = r"\N"  # a missing value in what PostgreSQL's COPY and MySQL's OUTFILE write
_ESCAPE = r"\\[\\bfnrtvx0-7]"
_ESCAPES = (
    "Such files are PostgreSQL's or MySQL's own format, which writes \\n and \\t for line"
    " breaks and tabs, and these are sent so: export CSV instead"
)
_LONGEST = 60  # characters of a line that are shown
_VALUE = re.compile(
    r"""\\N | [0-9]{4}-[0-9]{2}-[0-9]{2}[T\ ][0-9]{2}:.* | [^@\s]+@[^@\s]+[.][a-z]+ | [+][0-9]{7,15}
    | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} | [{\[].*[}\]]""",
    re.VERBOSE | re.IGNORECASE,
)
_NUMBERED = r" \(column [0-9]+\)$"  # what the reader adds to names that come again


def notes_of_odd_cells(
    config: Config,
    binding: Binding,
    first: Mapping[Side, FirstRows],
    events: Source,
    contacts: Source | None,
) -> Iterator[str]:
    """Notes on the first rows of both sides, and on the columns' names."""
    sides: list[tuple[Side, Files, Source]] = [("events", config.events, events)]
    if contacts is not None and config.contacts is not None:
        sides.append(("contacts", config.contacts, contacts))
    for side, files, source in sides:
        texts = [each for each in source.files if each.location.format != "parquet"]
        if not texts:
            continue
        if (remark := titles_remark(source.files)) is not None:
            yield remark
        if (remark := header_remark(source.columns)) is not None:
            yield f"{texts[0].location.name}: {remark}"
        yield from _words_for_null(side, files, source, binding, first[side].rows)
        yield from _formulas(side, config, binding, first[side].readable)
    yield from _odd_ids(binding, config, first, events)


def titles_remark(files: Iterable[FileColumns]) -> str | None:
    """What to say of lines above the header that were passed over."""
    titled = [each for each in files if each.titles]
    if not titled:
        return None
    first, *others = titled
    one = "the first line stands above the header and is no row"
    several = f"the first {len(first.titles)} lines stand above the header and are no rows"
    lines = one if len(first.titles) == 1 else several
    shown = "; ".join(each[:_LONGEST] for each in first.titles[:_NAMED])
    more = "; …" if len(first.titles) > _NAMED else ""
    names = ", ".join(map(repr, first.columns[:_NAMED]))
    left = len(first.columns) - _NAMED
    columns = f"{names} and {left:,} more" if left > 0 else names
    too = f". So it is in {len(others):,} more files" if others else ""
    return f"{first.location.name}: {lines} ({shown}{more}). The columns are {columns}{too}"


def header_remark(names: Collection[str]) -> str | None:
    """What to say of a first line that holds no names."""
    found = names_like_values(names)
    if not found:
        return None
    return (
        f"the first line looks like a row and not like names"
        f" ({', '.join(map(repr, found[:_NAMED]))}), and is no record as it stands: write a line of"
        " names above it"
    )


def names_like_values(names: Collection[str]) -> list[str]:
    """Names of columns that only a row of values would have."""
    plain = [re.sub(_NUMBERED, "", each) for each in names]
    found = [each for each in plain if _VALUE.fullmatch(each)]
    return found or ([] if len(plain) < len({*plain}) or not plain else _numbers(plain))


def _numbers(names: Sequence[str]) -> list[str]:
    """Numbers among names, where at least half of them are."""
    found = [each for each in names if re.fullmatch(r"[+-]?[0-9]+([.][0-9]+)?", each)]
    return found if len(found) > 1 and 2 * len(found) >= len(names) else []


def _words_for_null(
    side: Side, files: Files, source: Source, binding: Binding, rows: pl.DataFrame
) -> Iterator[str]:
    used = {name for each in binding.inputs_for(side) for name in each.columns()}
    key = binding.contact_key if side == "events" else binding.contacts_key
    used |= key.columns() if key is not None else set()
    names = [name for name in source.columns if name in used and source.schema[name] == pl.String]
    words = [each for each in NULL_WORDS if each not in files.null_values]
    if names and _DUMPED in files.null_values and _tabbed(source):
        escaped = rows[names].select(pl.all().str.contains(_ESCAPE).any()).row(0)
        if holding := [name for name, holds in zip(names, escaped, strict=True) if holds]:
            more = " and more" if len(holding) > _NAMED else ""
            yield f"{', '.join(map(repr, holding[:_NAMED]))}{more} hold backslashes. {_ESCAPES}"
    if not names or not words:
        return
    held = rows[names].select(pl.all().is_in(words).any()).row(0)
    suspects = [name for name, holds in zip(names, held, strict=True) if holds]
    for word in words:
        holding = [name for name in suspects if (rows[name] == word).any()]
        if holding:
            more = " and more" if len(holding) > _NAMED else ""
            literal = word.replace("\\", "\\\\")
            yield (
                f"{word!r} stands in {', '.join(map(repr, holding[:_NAMED]))}{more} and is taken"
                f' for a value; null_values = ["{literal}"] under [{side}] makes it a missing one'
                + _escapes(word, source)
            )


def _formulas(side: Side, config: Config, binding: Binding, rows: pl.DataFrame) -> Iterator[str]:
    """A note where texts are written as formulas, and sent as these."""
    texts = {
        each.name: as_text(each.raw, each.dtype, timezone=config.events.timezone).value
        for each in binding.inputs_for(side)
        if each.table is None
    }
    if not texts:
        return
    written = [
        trimmed(text).str.contains(FORMULA).sum().alias(name) for name, text in texts.items()
    ]
    counts = rows.select(written).row(0, named=True)
    found = [name for name, count in counts.items() if count]
    if found:
        yield (
            f'values of {", ".join(found)} are written as formulas, such as ="0044", and taken as'
            f" they stand: {UNWRAPPED.format('…')} takes what is inside"
        )


def _escapes(word: str, source: Source) -> str:
    return f". {_ESCAPES}" if word == _DUMPED and _tabbed(source) else ""


def _tabbed(source: Source) -> bool:
    return any(each.location.separator == "\t" for each in source.files)


def _odd_ids(
    binding: Binding, config: Config, first: Mapping[Side, FirstRows], events: Source
) -> Iterator[str]:
    for each in binding.inputs:
        if each.field.kind is not Kind.UUID or each.table is not None or each.side is None:
            continue
        text = as_text(each.raw, each.dtype, timezone=config.events.timezone).value
        rows = first[each.side].readable.select("__file", "__row", text=trimmed(text))
        yield from _uuids_written_otherwise(each, config, rows["text"].drop_nulls())
        if each.side != "events":
            continue
        several = rows.filter(pl.col("text").str.contains(SEVERAL)).sort("__file", "__row")
        if several.height:
            file, row, shown = several.row(0)
            mark = next(char for char in shown if char in ";|,")
            yield (
                f"{several.height:,} of the first {rows.height:,} rows have several ids in"
                f" {each.name}: {shown[:60]!r} ({events.entries[file].name} row {row}). Such a text"
                f" is nobody's id. SPLIT_PART(…, '{mark}', 1) takes the first one; a record for"
                " each needs a row for each"
            )
        if config.rules.contact_id is not None:
            note = note_of_two_spellings(each.name, rows["text"])
            yield from [note] if note else []


def _uuids_written_otherwise(source: Input, config: Config, ids: pl.Series) -> Iterator[str]:
    """Notes on UUIDs that are not in their form of 36 characters, with SQL that makes them so."""
    spec = config.fields.get(source.name)
    for form in UUID_FORMS:
        found = ids.filter(ids.str.contains(form.pattern))
        if found.is_empty():
            continue
        if isinstance(spec, Sql):
            column = f"({spec.text})"
        else:
            column = sql_of(source.raw.meta.root_names()[0], source.dtype)
        beside = ', from = "contacts"' if source.side == "contacts" else ""
        if config.rules.contact_id is not None:
            becomes = "`contact_id` makes another contact of each than that UUID is"
        else:
            becomes = "rejected as they stand; `contact_id` would make other contacts of them"
        yield (
            f"{len(found):,} of the first {len(ids):,} ids of {source.name} are UUIDs {form.what},"
            f" such as {found[0]!r}: {becomes}. {{ sql = {sql_text(form.sql.format(column))}"
            f"{beside} }} writes them plainly"
        )
