"""Dates as people write them: in which order day, month and year stand, as far as a sample tells.

A column may mix several forms: each way to write the date is judged alone, whatever clock follows.

`03/05/2024` is a day of May for some and of March for others. One number above 12 settles it for
a column; without one it is a question. So it is where years have two digits and may come first, and
where digits such as 240131101112 are an epoch as well as a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_

import polars as pl

from backfill.checks.times import KNOWN, read_as
from backfill.config.time_formats import read_time_format
from backfill.discover.times.forms import form_of, joined, zone_name

__all__ = ["Written", "date_and_epoch", "perhaps_digits", "written_form"]

_RARE = 0.01  # the share of a column's values below which a form is left to be rejected
_LOOKED_AT = 2_000  # values of which the forms are found, about
_MOST = 12  # forms that are tried
_DAY_FIRST, _MONTH_FIRST = {"%1": "%d", "%2": "%m"}, {"%1": "%m", "%2": "%d"}
_DAY_LAST = {"%1": "%y", "%2": "%m", "%y": "%d"}
_SHORT_DATE = r"(?:^|[^0-9])([0-9]{1,2})[/.][0-9]{1,2}[/.]([0-9]{2})(?:[^0-9]|$)"
_DATE = "%1.%2.%[Yy]"
_MONTHS = 12
_UNMARKED = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S"}
"""Digits of dates without their century, which are epochs as well."""

_Order = Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """How a column's times are written: the formats that occur, most frequent first.

    `others` are the same in other readings, such as with day and month the other way round, where
    the sample does not tell; `torn` says that some values fit only the one order and some only the
    other, `epoch` that all of them are epochs, too. `share` is that of the values that fit and are
    times in no other form.
    """

    formats: tuple[str, ...]
    share: float
    others: tuple[tuple[str, ...], ...] = ()
    torn: bool = False
    epoch: bool = False

    @property
    def asked(self) -> bool:
        """Whether only a person can say which of several readings is right."""
        return bool(self.others) or self.epoch

    @property
    def zoned(self) -> bool:
        """Whether each of them says its zone."""
        return all(read_time_format(each).zoned for each in self.formats)

    @property
    def zones(self) -> frozenset[str | None]:
        """Names of zones in those that say no offset; None where one has no name either."""
        local = (each for each in self.formats if not read_time_format(each).zoned)
        return frozenset(map(zone_name, local))

    @property
    def clocked(self) -> bool:
        return any("%M" in each for each in self.formats)


def written_form(counts: pl.DataFrame) -> Written | None:
    """The forms of a column's values: texts in `inner`, how often they occur in `count`.

    None where no form has more than a few of them.
    """
    total = int(counts["count"].sum())
    unknown = counts.filter(~pl.col("inner").str.contains(KNOWN))
    if unknown.is_empty():
        return None
    some = unknown.gather_every(max(1, unknown.height // _LOOKED_AT))
    formed = some.with_columns(form=form_of(pl.col("inner"))).drop_nulls("form")
    share = pl.col("count").sum() / max(1, int(some["count"].sum()))
    most = (
        formed.group_by("form")
        .agg(share)
        .filter(pl.col("count") * unknown["count"].sum() >= _RARE * total)
        .sort("count", "form", descending=[True, False])
        .head(_MOST)
    )
    groups: dict[str, list[str]] = {}
    for form in joined(most["form"].to_list()):
        date = re.search(_DATE, form)
        groups.setdefault(date[0] if date else form, []).append(form)
    judged = (_written(unknown, formed, forms, total) for forms in groups.values())
    found = sorted(filter(None, judged), key=lambda each: -each.share)
    if not found:
        return None
    first, *others = (
        tuple(text for each in found for text in _reading(each, number))
        for number in range(1 + max(len(each.others) for each in found))
    )
    torn = any(each.torn for each in found)
    return Written(first, sum(each.share for each in found), tuple(others), torn=torn)


def _reading(written: Written, number: int) -> tuple[str, ...]:
    """One of the readings; the first again where there are not so many."""
    return written.others[number - 1] if 0 < number <= len(written.others) else written.formats


def perhaps_digits(counts: pl.DataFrame) -> Written | None:
    """The form of digits that are epochs as well: dates of which the years have two digits.

    None where some value is no such date, or where there is only one value.
    """
    lengths = counts["inner"].str.len_chars().unique().to_list()
    form = _UNMARKED.get(lengths[0]) if len(lengths) == 1 and counts.height > 1 else None
    if form is None or not _fitting(counts, form).all():
        return None
    return Written((form,), 0.0, epoch=True)


def date_and_epoch(digits: str, form: str) -> tuple[datetime, datetime]:
    """What digits are in a form of `perhaps_digits`, and what they are as an epoch; both without a
    zone.
    """
    date = pl.select(read_as(pl.lit(digits), read_time_format(form))).item()
    seconds = int(digits) if len(digits) == min(_UNMARKED) else int(digits) // 1_000
    return date, datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _written(
    counts: pl.DataFrame, formed: pl.DataFrame, forms: Sequence[str], total: int
) -> Written | None:
    """How the values of forms that write the date in one way are written, in one order or more."""
    count = counts["count"]
    readings = []
    for order in _orders(formed, forms):
        fitting = {text: _fitting(counts, text) for text in _in_order(forms, order)}
        sums = {text: int(count.filter(fits).sum()) for text, fits in fitting.items()}
        formats = sorted((each for each in sums if sums[each]), key=lambda each: -sums[each])
        if formats:
            readings.append((tuple(formats), _any(fitting[each] for each in formats)))
    if not readings:
        return None
    either = _any(fits for _, fits in readings)
    share = int(count.filter(either).sum()) / total
    if share < _RARE:
        return None
    whole = [formats for formats, fits in readings if (fits == either).all()]
    first, *others = whole or [formats for formats, _ in readings]
    return Written(first, share, tuple(others), torn=not whole)


def _orders(formed: pl.DataFrame, forms: Sequence[str]) -> Iterator[_Order]:
    """The orders in which day, month and year may stand in these forms."""
    date = re.search(_DATE, forms[0])
    if date is None:
        yield {}
        return
    short = date[0].endswith("%y")
    yield _DAY_FIRST
    if not (short and "." in date[0]):  # 13.01.24 is nowhere a month first
        yield _MONTH_FIRST
    if short and _year_may_be_first(formed, date[0]):
        yield _DAY_LAST


def _year_may_be_first(formed: pl.DataFrame, date: str) -> bool:
    """Whether the first numbers may be years: they are few, or fewer than the last ones."""
    texts = formed.filter(pl.col("form").str.contains(date, literal=True))["inner"]
    found = texts.str.extract_groups(_SHORT_DATE).struct.unnest()
    first, last = (each.n_unique() for each in found)
    return first <= max(_MONTHS, last)


def _in_order(forms: Sequence[str], order: _Order) -> list[str]:
    """The formats that forms are in an order, without what is none, such as a zone and no clock."""
    formats = [re.sub("%[12y]", lambda found: order.get(found[0], found[0]), f) for f in forms]
    return [each for each in formats if _is_format(each)]


def _is_format(text: str) -> bool:
    try:
        read_time_format(text)
    except ValueError:
        return False
    return True


def _fitting(counts: pl.DataFrame, text: str) -> pl.Series:
    """Which values are times in a format."""
    read = read_as(pl.col("inner"), read_time_format(text))
    return counts.select(read.is_not_null()).to_series()


def _any(several: Iterable[pl.Series]) -> pl.Series:
    return reduce(or_, several)
