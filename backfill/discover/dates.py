"""Dates as people write them: in which order day, month and year stand, as far as a sample tells.

A column may mix several forms: each shape (by what stands between the numbers) is judged alone.

`03/05/2024` is a day of May for some and of March for others. One number above 12 settles it for
a column; without one it is a question.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backfill.checks.times import read_as
from backfill.config.time_formats import read_time_format

__all__ = ["Written", "looks_dated", "written_form"]

_RARE = 0.01  # the share of a column's values below which a shape is left to be rejected
_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DAY = "(?i:mon|tue|wed|thu|fri|sat|sun)"
_COMPACT = (
    "^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    "(?:T?(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?$"
)

# The shape of a date, and the orders that it can stand for.
_SHAPES = (
    *(
        (f"^[0-9]{{1,2}}[{mark}][0-9]{{1,2}}[{mark}][0-9]{{4}}\\b",
         (f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y"))
        for mark in "./-"
    ),
    *((f"^[0-9]{{4}}[{mark}][0-9]{{1,2}}[{mark}][0-9]{{1,2}}\\b", (f"%Y{mark}%m{mark}%d",))
      for mark in "./"),
    ("^[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}\\b", ("%d/%m/%y", "%m/%d/%y")),
    *((f"^[0-9]{{1,2}}{mark}{_MONTH}[a-z]*{mark}[0-9]{{4}}\\b", (f"%d{mark}%B{mark}%Y",))
      for mark in " -"),
    (f"^{_MONTH}[a-z]* [0-9]{{1,2}}, [0-9]{{4}}\\b", ("%B %d, %Y",)),
    (_COMPACT, ("%Y%m%d",)),
    (f"^{_DAY}, [0-9]{{1,2}} {_MONTH} [0-9]{{4}} ", ("%a, %d %b %Y",)),  # of mail: RFC 5322
    (f"^[0-9]{{1,2}}/{_MONTH}/[0-9]{{4}}:", ("%d/%b/%Y",)),  # of a web server's log
)  # fmt: skip
_CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_AFTER = ("", *(f"{comma} {clock}" for comma in ("", ",") for clock in _CLOCKS))
_OWN_CLOCKS = {
    "%Y%m%d": ("", "%H%M", "%H%M%S", "T%H%M%S", "T%H%M%S%#z"),
    "%a, %d %b %Y": (" %H:%M:%S %z", " %H:%M:%S GMT"),
    "%d/%b/%Y": (":%H:%M:%S %z",),
}
"""What stands behind dates that come with clocks of their own."""


@dataclass(frozen=True)
class Written:
    """How a column's times are written: the formats that occur, most frequent first.

    `other` are the same with day and month the other way round, where the sample does not tell;
    `torn` says that some values fit only the one order and some only the other. `share` is that
    of the values that fit.
    """

    formats: tuple[str, ...]
    share: float
    other: tuple[str, ...] = ()
    torn: bool = False

    @property
    def zoned(self) -> bool:
        """Whether each of them says its zone."""
        return all("z" in each for each in self.formats)

    @property
    def clocked(self) -> bool:
        return any("%M" in each for each in self.formats)


def looks_dated(text: pl.Expr) -> pl.Expr:
    """Whether a text has the shape of a date that `written_form` tries to read."""
    return text.str.contains("|".join(shape for shape, _ in _SHAPES))


def written_form(counts: pl.DataFrame) -> Written | None:
    """The forms of a column's values: texts in `inner`, how often they occur in `count`.

    None where none of the shapes has more than a few of them.
    """
    total = int(counts["count"].sum())
    inner = pl.col("inner")
    shaped = counts.select(
        pl.col("count").filter(inner.str.contains(shape)).sum().alias(shape) for shape, _ in _SHAPES
    ).row(0)
    found = [
        each
        for most, (_, orders) in zip(shaped, _SHAPES, strict=True)
        if most and most >= _RARE * total and (each := _written(counts, orders, total)) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda each: -each.share)
    other = [text for each in found for text in each.other or each.formats]
    return Written(
        tuple(text for each in found for text in each.formats),
        sum(each.share for each in found),
        other=tuple(other) if any(each.other for each in found) else (),
        torn=any(each.torn for each in found),
    )


def _written(counts: pl.DataFrame, orders: tuple[str, ...], total: int) -> Written | None:
    """The form of the values of one shape, which has one or two orders."""
    found = [_fitting(counts, order) for order in orders]
    best = max(sum(each.values()) for each in found)
    if not best or best < _RARE * total:
        return None
    if len(orders) == 1:
        return Written(tuple(found[0]), best / total)
    both = _both(counts, orders)
    first, second = (sum(each.values()) - both for each in found)
    if bool(first) != bool(second):
        clear = found[0] if first else found[1]
        return Written(tuple(clear), sum(clear.values()) / total)
    share = (both + first + second) / total
    return Written(tuple(found[0]), share, other=tuple(found[1]), torn=bool(first))


def _formats(order: str) -> list[str]:
    return [order + after for after in _OWN_CLOCKS.get(order, _AFTER)]


def _fits(formats: list[str]) -> pl.Expr:
    """Whether a text is a time in one of these formats."""
    read = [read_as(pl.col("inner"), read_time_format(each)).is_not_null() for each in formats]
    return pl.any_horizontal(read)


def _fitting(counts: pl.DataFrame, order: str) -> dict[str, int]:
    """How many values fit each format of an order, most first, without those that none fits."""
    sums = counts.select(
        pl.col("count").filter(_fits([each])).sum().alias(each) for each in _formats(order)
    ).row(0, named=True)
    return {each: sums[each] for each in sorted(sums, key=lambda each: -sums[each]) if sums[each]}


def _both(counts: pl.DataFrame, orders: tuple[str, ...]) -> int:
    """How many values fit each of two orders."""
    fits = pl.all_horizontal(_fits(_formats(order)) for order in orders)
    return int(counts.filter(fits)["count"].sum())
