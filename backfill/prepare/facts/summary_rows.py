"""Rows of a file that are no records: a total or a count of rows at its end, what ends a report,
empty ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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

_LAST = 8  # rows at the end of a file that are looked at
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


_CLOSING = re.compile(
    r"""\W*(?:
    end\ of\ (?:the\ )?(?:file|report|data|export|list|document|results?)|ende\ der\ (?:datei|liste)
    |fin\ d[ue]\s.*|copyright\b.*|©.*|confidential\b.*|all\ rights\ reserved.*
    |(?:report|list|file|data)?\s*(?:generated|created|exported|printed)\ (?:by|on|at|from)\b.*
    |(?:erstellt|exportiert|gedruckt)\ (?:am|von)\b.*
    )\W*|\W+(?:end|eof|ende|fin)\W+|EOF""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_WORDS = re.compile(r".*[^\W\d_]\S*\s+\S.*", re.DOTALL)
_LONGEST = 300  # characters of a text that sums up or ends a file; of a cut line there are millions
_FEW = 2  # cells of a row that may belong to what ends a report


@dataclass(frozen=True)
class SummaryRow:
    """What says of a row that it sums a file up, or ends a report: a cell of `column`, or of None
    its raw text.
    """

    column: str | None
    text: str


@dataclass(frozen=True)
class _LastRow:
    """A row near the end of a file: the cells that are not empty, as column and text, or the raw
    text of one that cannot be read.
    """

    number: int
    cells: Sequence[tuple[str, str]]
    raw: str | None = None
    full: bool = False  # more than half of its cells are filled

    @property
    def summary(self) -> SummaryRow | None:
        """What says that this row is a total or a count."""
        if self.raw is not None:
            text = self.raw.strip()
            first = re.split(r"[,;\t|]", text[:_LONGEST].lstrip('"'))[0].strip('"')
            says = _TOTAL.fullmatch(first) or _fits(_COUNT, text)
            return SummaryRow(None, text) if says else None
        for column, text in self.cells:
            if _fits(_TOTAL, text):
                return SummaryRow(column, text)
        # The comma in "(2,000 rows)" makes two cells of it.
        few = 0 < len(self.cells) <= 3
        if few and _fits(_COUNT, ",".join(text for _, text in self.cells)):
            return SummaryRow(*self.cells[0])
        return None

    @property
    def closing(self) -> bool:
        """Whether this row is one that only the end of a report has."""
        return _fits(_CLOSING, self._first) and len(self.cells) <= _FEW

    @property
    def beside(self) -> SummaryRow | None:
        """The row as one that may stand beside a closing one: some words and nothing else."""
        if len(self.cells) > _FEW or not (_fits(_WORDS, self._first) or self.closing):
            return None
        column = self.cells[0][0] if self.raw is None else None
        return SummaryRow(column, self._first)

    @property
    def _first(self) -> str:
        return self.raw.strip() if self.raw is not None else self.cells[0][1] if self.cells else ""


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a text is such words; a long one, on which patterns take for ever, is not."""
    return len(text) <= _LONGEST and pattern.fullmatch(text) is not None


def _no_records(rows: Sequence[_LastRow]) -> Iterator[tuple[int, SummaryRow]]:
    """Of the last rows of a file, the last one first, the numbers of those that are no records."""
    end: list[tuple[int, SummaryRow]] = []
    closed = False
    ending = True
    for row in rows:
        if row.full:
            ending = False
        elif row.raw is None and not row.cells:
            continue
        elif (total := row.summary) is not None:
            yield row.number, total
        elif ending and (beside := row.beside) is not None:
            closed = closed or row.closing
            end.append((row.number, beside))
        else:
            ending = False
    if closed:
        yield from end


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
    text = text.replace("'", "''")
    return f"'{text}' IS DISTINCT FROM {sql_of(column, pl.String())}"


def last_summaries(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[SummaryRow, ...]:
    """Rows at the ends of files that look like sums, told by a cell that stands nowhere else.

    `rows` have `__file` and `__row`; sums leave at least half of the cells empty.
    """
    schema = rows.schema  # made anew each time that it is asked for
    texts = [each for each in columns if schema[each] == pl.String]
    last = pl.col("__row").max().over("__file")
    ends = rows.filter(pl.col("__row") + _LAST > last, pl.col("__file") < _FILES).select(
        "__file", "__row", *texts
    )
    found: dict[SummaryRow, None] = {}
    for end in ends.sort("__row", descending=True).partition_by("__file", maintain_order=True):
        last_rows = []
        for row in end.iter_rows(named=True):
            cells = [(key, row[key]) for key in texts if row[key]]
            full = 2 * len(cells) > len(columns)
            last_rows.append(_LastRow(row["__row"], cells, full=full))
        found |= dict.fromkeys(each for _, each in _no_records(last_rows))
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
        number, end = last, []
        while (name, number) in rows:
            row = rows[name, number]
            cells = [(key, row[key]) for key in texts if row[key]]
            end.append(_LastRow(number, cells, row["__raw"]))
            number -= 1
        found += [(name, number, says) for number, says in _no_records(end)]
    return [_note(found)] if found else []


def _note(found: Sequence[tuple[str, int, SummaryRow]]) -> str:
    found = sorted(found, key=lambda each: each[:2])
    shown = "; ".join(f"{name} row {row}: {each.text[:60]!r}" for name, row, each in found[:_NAMED])
    more = "; …" if len(found) > _NAMED else ""
    rows = "a rejected row at the end looks" if len(found) == 1 else "rejected rows at the end look"
    if condition := leaving_out(each for _, _, each in found):
        leaves = "leaves it out" if len(found) == 1 else "leaves them out"
        helps = f"where = {sql_text(condition)} under [events] {leaves}"
    else:
        helps = "no record is lost with it; take it from the file, and nothing is rejected for it"
    return f"{rows} like a total or the end of a report ({shown}{more}): {helps}"
