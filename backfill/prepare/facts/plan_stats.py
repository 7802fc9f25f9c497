"""What a plan tells: counted while the parts are prepared, put together at the end."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from backfill.jobdir.manifest import Conversion, Conversions, Example, Facts
from backfill.prepare.identity import UNKEYED
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.fields import CONVERTED
from backfill.prepare.mapping.inputs import Input, Side
from backfill.prepare.order import requests_needed
from backfill.prepare.readings import Reading, merged_readings, readings_of
from backfill.prepare.records import REASON

__all__ = [
    "PartStats",
    "Place",
    "PlanStats",
    "Unreadable",
    "as_counts",
    "count_conversions",
    "facts_of",
    "seen_in_excluded",
    "seen_in_ready",
    "seen_in_rejected",
]

Place = tuple[int, int]
"""A row: the index of its file, and its number in it."""

EXAMPLES = 3
SAMPLES = 3


_SUMS = (
    "excluded", "rejected", "duplicate", "ready",
    "unmatched_events", "undecodable", "keys", "requests", "timeless",
)  # fmt: skip


_COUNTERS = (
    "exclusions", "reasons", "causes", "dropped", "warned", "lacking", "converted",
)  # fmt: skip


@dataclass
class PartStats:
    """What one part contributes, or all parts together."""

    excluded: int = 0
    rejected: int = 0
    duplicate: int = 0
    ready: int = 0
    unmatched_events: int = 0
    unmatched: list[tuple[Place, str | None]] = field(default_factory=list)
    undecodable: int = 0
    exclusions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Place]] = field(default_factory=dict)
    samples: list[tuple[Place, str]] = field(default_factory=list)
    converted: Counter[str] = field(default_factory=Counter)
    conversions: dict[str, list[tuple[Place, str, str]]] = field(default_factory=dict)
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    first_time: datetime | None = None
    last_time: datetime | None = None
    keys: int = 0
    longest_key: int = 0
    longest_lane: int = 0
    requests: int = 0
    timeless: int = 0


@dataclass(frozen=True)
class Unreadable:
    """Rows of the contacts that no reader can read: how many, of these with bytes that are no
    text, and file, row and text of some.
    """

    count: int = 0
    undecodable: int = 0
    first: tuple[tuple[str, int, str], ...] = ()


class PlanStats(PartStats):
    """The sum over parts, in whatever order they come."""

    def add(self, other: PartStats) -> None:
        """Count one more part."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("longest_key", "longest_lane"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        for reason, places in other.examples.items():
            known = self.examples.get(reason, [])
            self.examples[reason] = sorted([*known, *places])[:EXAMPLES]
        for name, shown in other.conversions.items():
            self.conversions[name] = sorted([*self.conversions.get(name, []), *shown])[:EXAMPLES]
        self.readings = merged_readings(self.readings, other.readings)
        unmatched = [*self.unmatched, *other.unmatched]
        self.unmatched = sorted(unmatched, key=lambda each: each[0])[:EXAMPLES]
        self.samples = sorted([*self.samples, *other.samples])[:SAMPLES]
        firsts = [each for each in (self.first_time, other.first_time) if each]
        lasts = [each for each in (self.last_time, other.last_time) if each]
        self.first_time = min(firsts, default=None)
        self.last_time = max(lasts, default=None)


def seen_in_excluded(excluded: pl.DataFrame) -> PartStats:
    """Count why rows were left out on purpose. `excluded` has REASON."""
    each = excluded[REASON].str.split(";").explode().value_counts()
    return PartStats(excluded=excluded.height, exclusions=Counter(dict(each.iter_rows())))


def seen_in_rejected(rejected: pl.DataFrame) -> PartStats:
    """Count reasons, and note the first places of each. `rejected` has a place and REASON."""
    each = (
        rejected.lazy()
        .select(pl.struct("__file", "__row").alias("place"), pl.col(REASON).str.split(";"))
        .explode(REASON)
        .group_by(REASON)
        .agg(pl.len().alias("count"), pl.col("place").bottom_k(EXAMPLES))
        .collect()
    )
    stats = PartStats(rejected=rejected.height)
    for reason, count, places in each.iter_rows():
        stats.reasons[reason] = count
        stats.examples[reason] = sorted((place["__file"], place["__row"]) for place in places)
    return stats


def count_conversions(stats: PartStats, converted: pl.DataFrame) -> None:
    """Count the values of a part that were converted, and keep the first of each field.

    `converted` has the row's place, and for each field its value and the column CONVERTED.
    """
    for column in converted.columns:
        if not column.startswith(CONVERTED):
            continue
        name = column.removeprefix(CONVERTED)
        found = converted.select("__file", "__row", column, name).drop_nulls(column)
        if found.height:
            stats.converted[name] += found.height
            first = found.bottom_k(EXAMPLES, by=["__file", "__row"])
            stats.conversions[name] = [
                ((file, row), old, new) for file, row, old, new in first.rows()
            ]


def seen_in_ready(ready: pl.DataFrame, lanes: Sequence[int], batch_size: int) -> PartStats:
    """Facts of one bucket's ready records, whose lanes hold so many each."""
    keys = ready["key"].value_counts(sort=False)["count"]
    first = ready.select("__file", "__row", "body").bottom_k(SAMPLES, by=["__file", "__row"])
    return PartStats(
        ready=ready.height,
        first_time=_moment(ready["time"].min()),
        last_time=_moment(ready["time"].max()),
        keys=len(keys),
        longest_key=_count(keys.max()),
        longest_lane=max(lanes, default=0),
        requests=requests_needed(tuple(lanes), batch_size),
        timeless=ready["time"].null_count(),
        samples=[((file, row), body) for file, row, body in first.iter_rows()],
        warned=Counter(
            {each: int(ready[each].sum()) for each in ready.columns if each.startswith("__warned")}
        ),
    )


def _moment(value: object) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def as_counts(counter: Mapping[str, int]) -> dict[str, int]:
    """Counts as a plain table, the most frequent first, then by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def facts_of(
    stats: PlanStats,
    binding: Binding,
    *,
    examples: Mapping[str, tuple[Example, ...]],
    unreadable: Unreadable,
    warned: Sequence[Input],
    encodings: Mapping[Side, str],
    names: Sequence[str],
    selection: Mapping[str, str],
    noticed: Sequence[str],
) -> Facts:
    """Put the facts of a plan together.

    `encodings` are those of the two sources' text files, `names` those of the events' files,
    `noticed` questions and remarks about the source as a whole, `selection` what says which rows
    are wanted.
    """
    return Facts(
        first_time=_iso(stats.first_time),
        last_time=_iso(stats.last_time),
        keys=stats.keys,
        longest_lane=stats.longest_lane,
        longest_key=stats.longest_key,
        requests=stats.requests,
        samples=tuple(body for _, body in stats.samples),
        malformed=as_counts(stats.causes),
        examples=examples,
        conversions={
            name: Conversions(
                count=stats.converted[name],
                examples=tuple(
                    Conversion(file=names[file], row=row, before=old, after=new)
                    for (file, row), old, new in shown
                ),
            )
            for name, shown in sorted(stats.conversions.items())
        },
        readings=readings_of(stats.readings, names),
        unused_columns=binding.unused,
        tables=binding.tables,
        selection=selection,
        warnings=(
            *noticed,
            *_undecodable("events", stats.undecodable, encodings),
            *_warnings(stats, binding, unreadable, warned, names),
            *_undecodable("contacts", unreadable.undecodable, encodings),
        ),
    )


def _warnings(
    stats: PlanStats,
    binding: Binding,
    unreadable: Unreadable,
    warned: Sequence[Input],
    names: Sequence[str],
) -> Iterator[str]:
    if stats.unmatched_events:
        shown = "; ".join(
            f"{names[file]} row {row}: {'no id' if name is None else repr(name)}"
            for (file, row), name in stats.unmatched
        )
        more = "; …" if stats.unmatched_events > len(stats.unmatched) else ""
        yield (
            f"{_events(stats.unmatched_events)} a contact that is not in the contacts' files"
            f" ({shown}{more})"
        )
    if unreadable.count:
        rows = "1 row" if unreadable.count == 1 else f"{unreadable.count:,} rows"
        some = "; ".join(f"{file} row {row}: {text!r}" for file, row, text in unreadable.first)
        more = "; …" if unreadable.count > len(unreadable.first) else ""
        yield f"{rows} of the contacts cannot be read and were left out ({some}{more})"
    if stats.timeless and binding.time is not None:
        yield f"{_have(stats.timeless)} no time, and so the last place among those of the same key"
    yield from _lacking(stats, binding)
    for index, each in enumerate(warned):
        count = stats.warned[f"__warned{index}"]
        if count and each.field.warn_chars is None:
            yield (
                f"{_have(count)} a phone in {each.name} that nobody can have, by the length of"
                " numbers in its country or a 0 after its calling code. It is sent as it stands;"
                ' phone = "possible" under [rules] rejects it, and shows which'
            )
        elif count:
            yield (
                f"{_have(count)} a {each.name} of more than {each.field.warn_chars} characters;"
                f" it is sent, since {each.field.max_chars} are allowed by the API document, but"
                f" another public page says {each.field.warn_chars}"
            )


def _undecodable(side: Side, count: int, encodings: Mapping[Side, str]) -> Iterator[str]:
    """Malformed rows that another encoding might read."""
    if not count:
        return
    known = encodings[side]
    same = _codec(known)
    name = "UTF-8" if same == "utf-8" else known
    other = "windows-1255" if same == _codec("windows-1252") else "windows-1252"
    rows, they = ("1 row", "holds") if count == 1 else (f"{count:,} rows", "hold")
    of = " of the contacts" if side == "contacts" else ""
    yield (
        f"{rows}{of} {they} bytes that are not {name}; `encoding` under [{side}] names another"
        f' encoding, such as "{other}"'
    )


def _codec(name: str) -> str:
    """What Python calls an encoding, which has many names."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name


def _lacking(stats: PlanStats, binding: Binding) -> Iterator[str]:
    """Records without the dedupe key, or without a part of it."""
    if count := stats.lacking[UNKEYED]:
        they = "it is" if count == 1 else "they are"
        if len(binding.identity) == 1:
            key = f"no {binding.identity[0]}, which is the dedupe key"
        else:
            key = f"no part of the dedupe key ({', '.join(binding.identity)})"
        yield f"{_have(count)} {key}; {they} compared by every mapped field and the time"
    for name, count in sorted(stats.lacking.items()):
        if name != UNKEYED and count:
            yield (
                f"{_have(count)} no {name}, which is part of the dedupe key; a missing value is"
                " taken to be equal to a missing one"
            )


def _have(count: int) -> str:
    return "1 record has" if count == 1 else f"{count:,} records have"


def _events(count: int) -> str:
    return "1 event names" if count == 1 else f"{count:,} events name"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
