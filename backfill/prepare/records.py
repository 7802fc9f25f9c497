"""From one part's rows to records: joined, mapped, checked, encoded.

Everything here happens in one part, to columns of canonical values beside the row's place in
the part (`__at`); the source's own columns stay where they are until a row's fate is known.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Final

import polars as pl

from backfill.checks.fields import warned
from backfill.config import Rules
from backfill.destination import AnyOf, Destination
from backfill.prepare.encode import Body, body_of
from backfill.prepare.identity import Identity
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.contacts import JOIN, one_each, with_join_key
from backfill.prepare.mapping.fields import CONVERTED, MALFORMED, FieldMapping, Rule, reasons
from backfill.prepare.mapping.inputs import Input
from backfill.prepare.readings import Reading, first_readings, shown_inputs

__all__ = ["REASON", "UNDECODABLE", "PreparedPart", "RecordMaker"]

REASON = "__reason"

UNDECODABLE = r"\\x[89a-f][0-9a-f]"
"""What the raw text of a malformed row has for a byte that is no text in the file's encoding.

A row that is malformed otherwise may hold these very characters; only a remark depends on it.
"""

_NAMED, _SHOWN = 3, 60  # events that name no known contact, and characters of the name

_PLACE = ("__at", "__file", "__row")
_MET = "__met"
_BROKEN = "__broken"

# A part is in memory already; cut into morsels for the streaming engine it would take longer.
_ENGINE: Final = "in-memory"


@dataclass(frozen=True)
class PreparedPart:
    """What became of one part's rows.

    `items` are good records: `__at`, `__file`, `__row`, `key`, `time`, the tie order's fields,
    `__warned0`…, the identity and `body`. `rejected` are the others: `__at`, `__file`, `__row`
    and REASON; `excluded` those that were left out on purpose, likewise. `converted` are the good
    records of which a field's value was read as another one: `__file`, `__row`, and for each such
    field its value and the column CONVERTED. `unmatched_events` counts events that name no known
    contact, and `unmatched` holds the first of them: file, row and the name. `undecodable` counts
    the rows with bytes that are no text, `lacking` the good records without a part of the dedupe
    key (`Identity.lacking`).
    """

    items: pl.DataFrame
    rejected: pl.DataFrame
    converted: pl.DataFrame
    excluded: pl.DataFrame
    unmatched_events: int
    unmatched: list[tuple[int, int, str | None]]
    undecodable: int
    dropped: MappingOf[str, int]
    lacking: MappingOf[str, int]
    readings: dict[str, list[Reading]]


class RecordMaker:
    """The expressions of one job, ready to be applied to any part."""

    def __init__(
        self, binding: Binding, mapping: FieldMapping, identity: Identity, rules: Rules
    ) -> None:
        self._binding = binding
        self._mapping = mapping
        self._identity = identity
        self._body: Body = body_of(binding.inputs)
        self._needed = _needed(binding.destination)
        self._shown = shown_inputs(binding.inputs, binding.time)
        warnings = [
            (each, expr)
            for each in binding.inputs
            if each.side and (expr := warned(each.field, each.name, rules)) is not None
        ]
        self.warned: tuple[Input, ...] = tuple(each for each, _ in warnings)
        named = [
            (each.side, expr.alias(f"__warned{index}"))
            for index, (each, expr) in enumerate(warnings)
        ]
        self._warnings = [expr for side, expr in named if side == "events"]
        self._contacts_warnings = [expr for side, expr in named if side == "contacts"]

    def make(self, rows: pl.DataFrame, contacts: pl.LazyFrame | None) -> PreparedPart:
        """Make records of one part. `rows` and `contacts` are rows of the two sources.

        Raises polars.exceptions.PolarsError where an SQL expression cannot be worked out.
        """
        judged = self._judged(rows.lazy().with_row_index("__at"), contacts)
        excluded = judged.filter("__excluded")
        if excluded.height:
            judged = judged.filter(~pl.col("__excluded"))
        bad = judged.filter(pl.col("__bad"))
        good = judged.filter(~pl.col("__bad")) if bad.height else judged
        rejected = bad.select(*_PLACE, self._reason().alias(REASON))
        unmatched_events, unmatched = 0, judged.clear()
        if contacts is not None:
            matched = judged.select(pl.col(_MET).is_null() & ~pl.col("__malformed")).to_series()
            unmatched_events = int(matched.sum())
            if unmatched_events:
                unmatched = judged.filter(matched)
        return PreparedPart(
            items=self._items(good),
            rejected=rejected,
            converted=self._converted(good),
            excluded=excluded.select(*_PLACE, reasons(self._mapping.excluding).alias(REASON)),
            unmatched_events=unmatched_events,
            unmatched=self._first(unmatched),
            undecodable=int(rows["__raw"].drop_nulls().str.contains(UNDECODABLE).sum()),
            dropped=self._dropped(good),
            lacking=self._lacking(good),
            readings=first_readings(rows, good, self._shown),
        )

    def _first(self, unmatched: pl.DataFrame) -> list[tuple[int, int, str | None]]:
        if unmatched.is_empty():
            return []
        name = pl.col(JOIN).str.slice(0, _SHOWN)
        return (
            unmatched.bottom_k(_NAMED, by=["__file", "__row"])
            .select("__file", "__row", name)
            .rows()
        )

    # --- joining and judging ---------------------------------------------------------------

    def _judged(self, rows: pl.LazyFrame, contacts: pl.LazyFrame | None) -> pl.DataFrame:
        malformed = pl.col("__raw").is_not_null().alias("__malformed")
        keep: list[str | pl.Expr] = ["__at", "__file", "__row", malformed]
        join = self._mapping.join
        if join is not None:
            keep.append(join.checked.alias(JOIN))
        judged = self._mapping.events.apply(rows, keep)
        if join is not None and contacts is not None:
            judged = judged.join(self._people(contacts, join.contacts), on=JOIN, how="left")
        constants = [
            pl.lit(each.constant).alias(each.name)
            for each in self._binding.inputs_for(None)
            if each.name in self._needed
        ]
        absent = self._absent()
        return (
            judged.with_columns(constants)
            .with_columns(absent)
            .with_columns(self._mapping.joined)
            .with_columns(
                pl.any_horizontal(self._faults(contacts is not None)).alias("__bad"),
                self._excluded().alias("__excluded"),
            )
            .collect(engine=_ENGINE)
        )

    def _absent(self) -> list[pl.Expr]:
        """Fields that a rule between fields reads and that nothing is mapped to."""
        mapped = {each.name for each in self._binding.inputs}
        fields = {
            name
            for check in self._binding.destination.checks
            if isinstance(check, AnyOf)
            for name in check.fields
        }
        return [pl.lit(None, pl.String).alias(name) for name in sorted(fields - mapped)]

    def _people(self, contacts: pl.LazyFrame, key: pl.Expr) -> pl.LazyFrame:
        """Each contact once: its key, what later steps read of it, its encoded part, warnings."""
        keyed = with_join_key(contacts, key)
        side = self._mapping.contacts
        broken = reasons(rule for rule in side.rules if rule.rejects)
        names = [each.name for each in self._binding.inputs_for("contacts")]
        once = (*self._body.fragments, *self._identity.fragments, *self._contacts_warnings)
        return (
            side.apply(one_each(keyed.sort("__file", "__row"), JOIN, self._binding), [JOIN])
            .with_columns(
                pl.lit(value=True).alias(_MET),
                pl.when(broken != "").then(broken).alias(_BROKEN),
                *once,
            )
            .select(
                JOIN,
                _MET,
                _BROKEN,
                *(name for name in names if name in self._read_after_join()),
                *(f"{CONVERTED}{name}" for name in side.conversions),
                *(rule.column for rule in side.rules if not rule.rejects),
                *(expr.meta.output_name() for expr in once),
            )
        )

    def _read_after_join(self) -> set[str]:
        """Fields of which later steps read the canonical value."""
        return self._needed | {*self._conversions()}

    def _conversions(self) -> list[str]:
        sides = (self._mapping.events, self._mapping.contacts)
        return [name for side in sides for name in side.conversions]

    def _faults(self, joined: bool) -> list[pl.Expr]:
        faults = [pl.col("__malformed")]
        faults += [pl.col(rule.column) for rule in self._mapping.events.rules if rule.rejects]
        faults += [pl.col(rule.column) for rule in self._mapping.joined_rules]
        if joined:
            faults.append(pl.col(_BROKEN).is_not_null())
            if self._required_of_contacts():
                faults.append(pl.col(_MET).is_null())
        return faults

    def _excluded(self) -> pl.Expr:
        """Left out on purpose. Of a row that cannot be read nobody can say so."""
        rules = self._mapping.excluding
        if not rules:
            return pl.lit(value=False)
        chosen = pl.any_horizontal(pl.col(rule.column) for rule in rules)
        return chosen.fill_null(value=False) & ~pl.col("__malformed")

    def _required_of_contacts(self) -> list[str]:
        return [
            f"{e.name}|required" for e in self._binding.inputs_for("contacts") if e.field.required
        ]

    def _reason(self) -> pl.Expr:
        """Every rule that a bad row broke, also those that alone would only leave a value out."""
        also: list[pl.Expr] = []
        if self._mapping.join is not None:
            also.append(pl.col(_BROKEN))
            if missing := self._required_of_contacts():
                also.append(pl.when(pl.col(_MET).is_null()).then(pl.lit(";".join(missing))))
        dropping = (rule for rule in self._mapping.contacts.rules if rule.drops)
        own = (rule for rule in self._mapping.events.rules if not rule.excludes)
        also += [self._unless_beside(rule) for rule in self._mapping.joined_rules]
        words = reasons((*own, *dropping), *also)
        return pl.when(pl.col("__malformed")).then(pl.lit(MALFORMED)).otherwise(words)

    def _unless_beside(self, rule: Rule) -> pl.Expr:
        """A rule between fields by name, but not where a field's own rule says enough."""
        own = [each for each in self._mapping.events.rules if each.rejects]
        said = [pl.col(e.column) for e in own if e.reason.partition("|")[0] in rule.beside]
        if self._mapping.join is not None:
            said += [
                pl.col(_BROKEN).str.contains(f"{name}|", literal=True).fill_null(value=False)
                for name in rule.beside
            ]
        holds = pl.col(rule.column) & ~pl.any_horizontal(said) if said else pl.col(rule.column)
        return pl.when(holds).then(pl.lit(rule.reason))

    # --- good records ----------------------------------------------------------------------

    def _items(self, good: pl.DataFrame) -> pl.DataFrame:
        destination = self._binding.destination
        time = pl.col(self._mapping.time) if self._mapping.time else pl.lit(None)
        mapped = [each.name for each in self._binding.inputs_for("events")]
        present = {name for name in mapped if not good[name].null_count()}
        ties = [name for name in destination.tie_order if name in good.columns]
        return (
            good.lazy()
            .select(
                "__at",
                "__file",
                "__row",
                pl.col(destination.ordering_field).alias("key"),
                time.cast(pl.Datetime("us", "UTC")).alias("time"),
                *ties,
                *self._warnings,
                *self._warnings_joined(),
                self._identity.text,
                self._body.item(present).alias("body"),
            )
            .collect(engine=_ENGINE)
        )

    def _warnings_joined(self) -> list[pl.Expr]:
        """Of an event without a contact there is nothing to warn of."""
        names = (expr.meta.output_name() for expr in self._contacts_warnings)
        return [pl.col(name).fill_null(value=False) for name in names]

    def _converted(self, good: pl.DataFrame) -> pl.DataFrame:
        columns = ["__file", "__row"]
        converted = [pl.lit(value=False)]
        for name in self._conversions():
            if f"{CONVERTED}{name}" in good.columns:
                columns += [name, f"{CONVERTED}{name}"]
                converted.append(pl.col(f"{CONVERTED}{name}").is_not_null())
        return good.select(columns).filter(pl.any_horizontal(converted))

    def _lacking(self, good: pl.DataFrame) -> dict[str, int]:
        if not self._identity.lacking:
            return {}
        sums = [expr.sum().alias(name) for name, expr in self._identity.lacking.items()]
        return {
            name: count for name, count in good.select(sums).row(0, named=True).items() if count
        }

    def _dropped(self, good: pl.DataFrame) -> dict[str, int]:
        counts: dict[str, int] = {}
        for rule in self._mapping.dropping:
            if count := int(good[rule.column].sum()):
                counts[rule.reason] = counts.get(rule.reason, 0) + count
        return counts


def _needed(destination: Destination) -> set[str]:
    """Fields whose canonical values are read after the join, other than by the encoding."""
    names = {destination.ordering_field, *destination.tie_order}
    for check in destination.checks:
        names |= (
            set(check.fields) if isinstance(check, AnyOf) else {check.type_field, check.value_field}
        )
    return names
