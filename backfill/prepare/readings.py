"""What times and ids of one's own are read as: a few examples, from the text to what is sent.

They show a day that was taken for a month, or a zone that is not meant, before anything leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from backfill.destination import Kind
from backfill.jobdir.manifest import Conversion
from backfill.prepare.mapping.inputs import Input
from backfill.prepare.shown_values import shown as shown_value

__all__ = ["Reading", "first_readings", "merged_readings", "readings_of", "shown_inputs"]

_SHOWN = 3
_ROWS = 1 << 40  # more than a file has, so that file and row make one number
_LONGEST = 200  # characters of a value that are shown


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One value of a record. `length` tells texts that are written in another form apart."""

    file: int
    row: int
    length: int
    before: str
    after: str


def shown_inputs(inputs: Iterable[Input], time: Input | None) -> tuple[Input, ...]:
    """The time, and ids: what of the events is read as something else than it looks like."""
    every = {each.name: each for each in (*inputs, *filter(None, [time]))}
    return tuple(
        each
        for each in every.values()
        if each.side == "events"
        and each.table is None
        and (each.field.kind is Kind.UUID or (time is not None and each.name == time.name))
    )


def first_readings(
    rows: pl.DataFrame, good: pl.DataFrame, shown: Sequence[Input]
) -> dict[str, list[Reading]]:
    """The first few records, and the first one of each form of text, by field.

    `good` has the canonical values of the records that are sent, with `__at` as the index of their
    row in `rows`.
    """
    found: dict[str, list[Reading]] = {}
    if good.is_empty():
        return found
    at = good["__at"]
    place = pl.col("__file").cast(pl.UInt64) * _ROWS + pl.col("__row")
    for each in shown:
        records = good.select(
            "__file", "__row", "__at", after=each.name, length=pl.lit(0, pl.UInt32), place=place
        )
        if each.dtype == pl.String:
            lengths = rows.select(each.raw.str.len_bytes()).to_series()
            records = records.with_columns(lengths.gather(at).alias("length"))
        there = records.filter(pl.col("after").is_not_null())
        forms = there.group_by("length").agg(pl.col("place").min())["place"]
        wanted = pl.concat([forms.bottom_k(_SHOWN), there["place"].bottom_k(_SHOWN)])
        first = there.filter(pl.col("place").is_in(wanted.implode())).sort("place")
        text = shown_value(each.raw, each.dtype)
        if text is None:
            continue
        before = rows[first["__at"]].select(text.alias("before"))["before"]
        found[each.name] = [
            Reading(file, row, length, str(raw)[:_LONGEST], _sent(after))
            for file, row, length, after, raw in zip(
                *(first[name] for name in ("__file", "__row", "length", "after")),
                before,
                strict=True,
            )
            if raw is not None
        ]
    return found


def merged_readings(
    one: Mapping[str, Sequence[Reading]], other: Mapping[str, Sequence[Reading]]
) -> dict[str, list[Reading]]:
    """The same of two parts together."""
    found: dict[str, list[Reading]] = {}
    for name in {**one, **other}:
        every = sorted({*one.get(name, ()), *other.get(name, ())})
        found[name] = sorted({*_forms(every), *every[:_SHOWN]})
    return found


def _forms(every: Sequence[Reading]) -> list[Reading]:
    """The first one of each form, the first few of these."""
    forms: dict[int, Reading] = {}
    for each in every:
        forms.setdefault(each.length, each)
    return list(forms.values())[:_SHOWN]


def readings_of(
    found: Mapping[str, Sequence[Reading]], names: Sequence[str]
) -> dict[str, tuple[Conversion, ...]]:
    """As the plan tells them; what is sent as it stands is not told. `names` are the files'."""
    told = {
        name: tuple(
            Conversion(file=names[each.file], row=each.row, before=each.before, after=each.after)
            for each in sorted(list(dict.fromkeys([*_forms(examples), *examples]))[:_SHOWN])
            if not _same(each)
        )
        for name, examples in sorted(found.items())
    }
    return {name: examples for name, examples in told.items() if examples}


def _sent(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _same(each: Reading) -> bool:
    """Whether a value says as it stands what is sent: a time in UTC, an id in capitals."""
    if each.before.strip().lower() == each.after.lower():
        return True
    with suppress(ValueError):
        return datetime.fromisoformat(each.before.strip()).utcoffset() == timedelta(0)
    return False
