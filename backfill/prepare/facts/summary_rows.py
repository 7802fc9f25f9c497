"""Rows of a file that are no records: a total or a count of rows at its end, empty ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.config.toml_strings import sql_text
from backfill.prepare.facts.id_spellings import sql_of

__all__ = [
    "SummaryRow",
    "count_empty_rows",
    "last_summaries",
    "leaving_out",
    "note_of_empty_rows",
    "notes_of_summaries",
    "without_empty_rows",
]

_LAST = 6  # rows at the end of a file that are looked at
_AT_ONCE = 100  # columns
_FILES = 20  # files that are looked into
_NAMED = 3  # files that are named
_TOTAL = re.compile(
    r"""\s*(?:(?:grand|sub|report|overall)[\s-]*)?
    (?:totals?|sum|summe|gesamt(?:summe)?|totale?s?|total\ g[eé]n[eé]ral|итого|всего|סה["״]כ)
    \s*(?:[:=(]|[0-9]|records?\b|rows?\b|count\b|amount\b|$).*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_COUNT = re.compile(
    r"\W*[0-9][0-9.,\s]*\s*(?:rows?|records?|results?|entries|lines|items)\b.{0,30}",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class SummaryRow:
    """What says of a row that it sums a file up: a cell of `column`, or of None its raw text."""

    column: str | None
    text: str


def _summary(cells: Sequence[tuple[str, str]], raw: str | None = None) -> SummaryRow | None:
    """Look at the cells of a row that are not empty, as column and text, or at its raw text."""
    if raw is not None:
        first = re.split(r"[,;\t|]", raw.strip().lstrip('"'))[0]
        says = _TOTAL.fullmatch(first.strip('"')) or _COUNT.fullmatch(raw.strip())
        return SummaryRow(None, raw.strip()) if says else None
    for column, text in cells:
        if _TOTAL.fullmatch(text):
            return SummaryRow(column, text)
    # The comma in "(2,000 rows)" makes two cells of it.
    if cells and len(cells) <= 3 and _COUNT.fullmatch(",".join(text for _, text in cells)):
        return SummaryRow(*cells[0])
    return None


def leaving_out(rows: Iterable[SummaryRow]) -> str | None:
    """An SQL condition that is true for all rows but these; None where no cell tells of them."""
    conditions = dict.fromkeys(_condition(each.column, each.text) for each in rows if each.column)
    if len(conditions) > 1:
        return " AND ".join(f"({each})" for each in conditions)
    return next(iter(conditions), None)


def note_of_empty_rows(rejected: Path, columns: Sequence[str]) -> str | None:
    """A note where rejected rows have no value in any of the events' own columns."""
    stored = pl.scan_parquet(rejected, glob=False)
    schema = stored.collect_schema()
    own = [each for each in columns if each in schema]
    if not own:
        return None
    empty = stored.select(pl.col("_raw").is_null()).collect(engine="streaming").to_series()
    # A few columns at a time: one condition on thousands takes Polars the square of their number.
    for at in range(0, len(own), _AT_ONCE):
        if not empty.any():
            return None
        some = stored.select(pl.all_horizontal(pl.col(own[at : at + _AT_ONCE]).is_null()))
        empty &= some.collect(engine="streaming").to_series()
    count = int(empty.sum())
    if not count:
        return None
    rows = "1 rejected row is" if count == 1 else f"{count:,} rejected rows are"
    return (
        f"{rows} empty from end to end, as spreadsheets leave them: where ="
        f" {sql_text(without_empty_rows(columns))} under [events] leaves"
        f" {'it' if count == 1 else 'them'} out"
    )


def count_empty_rows(rows: pl.DataFrame) -> int:
    """How many rows have no value at all."""
    if not rows.columns:
        return 0
    empty = pl.repeat(value=True, n=rows.height, eager=True)
    for column in rows:
        if not empty.any():
            return 0
        empty &= column.is_null()
    return int(empty.sum())


def without_empty_rows(columns: Sequence[str]) -> str:
    """An SQL condition that is true for all rows but those that have no value at all."""
    return " OR ".join(f"{sql_of(each, pl.String())} IS NOT NULL" for each in columns)


def _condition(column: str, text: str) -> str:
    column, text = column.replace('"', '""'), text.replace("'", "''")
    return f"'{text}' IS DISTINCT FROM \"{column}\""


def last_summaries(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[SummaryRow, ...]:
    """Rows at the ends of files that look like sums, told by a cell that stands nowhere else.

    `rows` have `__file` and `__row`; sums leave at least half of the cells empty.
    """
    schema = rows.schema  # made anew each time that it is asked for
    texts = [each for each in columns if schema[each] == pl.String]
    ends = rows.filter(pl.col("__row") + _LAST > pl.col("__row").max().over("__file"))
    found: dict[SummaryRow, None] = {}
    for row in ends.filter(pl.col("__file") < _FILES).select(texts).iter_rows(named=True):
        cells = [(key, text) for key, text in row.items() if text]
        says = _summary(cells) if 2 * len(cells) <= len(columns) else None
        if says is not None and says.column is not None:
            found[says] = None
    files = rows["__file"].n_unique()
    return tuple(each for each in found if _count_of(each, rows) <= files)


def _count_of(summary: SummaryRow, rows: pl.DataFrame) -> int:
    return int((rows[str(summary.column)] == summary.text).sum())


def notes_of_summaries(
    rejected: Path, files: Sequence[tuple[str, int]], columns: Sequence[str]
) -> list[str]:
    """A note where files end in rejected rows that look like sums. `files` are names and rows."""
    places = [
        (name, row)
        for name, rows in files[:_FILES]
        for row in range(max(1, rows - _LAST + 1), rows + 1)
    ]
    chosen = pl.LazyFrame(places, schema={"_file": pl.String, "_row": pl.UInt64}, orient="row")
    stored = pl.scan_parquet(rejected, glob=False)
    schema = stored.collect_schema()
    texts = [each for each in columns if schema[each] == pl.String]
    ends = (
        stored.join(chosen, on=["_file", "_row"], how="semi")
        .select("_file", "_row", pl.col("_raw").alias("__raw"), *texts)
        .collect()
    )
    rows = {(each["_file"], each["_row"]): each for each in ends.iter_rows(named=True)}
    found: list[tuple[str, int, SummaryRow]] = []
    for name, last in files[:_FILES]:
        # Rows before the last ones are records, so only those are asked that nothing good follows.
        number = last
        while (name, number) in rows:
            row = rows[name, number]
            cells = [(key, row[key]) for key in texts if row[key]]
            if (says := _summary(cells, row["__raw"])) is not None:
                found.append((name, number, says))
            number -= 1
    return [_note(found)] if found else []


def _note(found: Sequence[tuple[str, int, SummaryRow]]) -> str:
    shown = "; ".join(f"{name} row {row}: {each.text[:60]!r}" for name, row, each in found[:_NAMED])
    more = "; …" if len(found) > _NAMED else ""
    rows = "a rejected row at the end looks" if len(found) == 1 else "rejected rows at the end look"
    if condition := leaving_out(each for _, _, each in found):
        helps = f"where = {sql_text(condition)} under [events] leaves it out"
    else:
        helps = "no record is lost with it; take it from the file, and nothing is rejected for it"
    return f"{rows} like a total ({shown}{more}): {helps}"
