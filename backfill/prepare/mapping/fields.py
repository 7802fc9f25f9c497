"""One side's rows as canonical fields and the rules that they broke.

Fields of the events are mapped on the events, fields of the contacts once for each contact;
only then are the two joined. A rule is a Boolean column of its own until a row is known to be
bad: words are written for bad rows alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from backfill.checks.checked import in_upper_case
from backfill.checks.fields import check, cross_rules, required_rule
from backfill.checks.text import as_text
from backfill.checks.uuids import one_spelling, spelling_in, without_case
from backfill.config import Config
from backfill.destination import AnyOf, Kind
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.inputs import Input, Key, Table

__all__ = [
    "CONVERTED",
    "MALFORMED",
    "FieldMapping",
    "Join",
    "PartKeys",
    "Rule",
    "SideMapping",
    "mapping_of",
    "part_keys_of",
    "reasons",
]

MALFORMED = "row|malformed"

CONVERTED = "__from:"
"""Before a field's name: the column of what its value was read from."""


@dataclass(frozen=True)
class Rule:
    """A rule on its way: `column` is true where a row broke it.

    Where `drops` is set the value was left out and the record goes on; where `excludes` is set
    the record is left out on purpose. Any other rule rejects the record. It is not named where
    a value of one of the fields in `beside` rejects the record already.
    """

    reason: str
    column: str
    drops: bool = False
    excludes: bool = False
    beside: tuple[str, ...] = ()

    @property
    def rejects(self) -> bool:
        return not (self.drops or self.excludes)


@dataclass(frozen=True)
class SideMapping:
    """How the rows of one side become canonical.

    `inputs` are named raw values (needed once each, read by everything after), `values` the
    canonical columns named by their fields, `breaks` Boolean columns, one for each rule.
    `conversions` are, by field, texts that were read as another value, null where none was.
    """

    inputs: tuple[pl.Expr, ...]
    values: tuple[pl.Expr, ...]
    breaks: tuple[pl.Expr, ...]
    rules: tuple[Rule, ...]
    conversions: MappingOf[str, pl.Expr]

    def apply(self, rows: pl.LazyFrame, keep: Sequence[str | pl.Expr]) -> pl.LazyFrame:
        """Canonical columns and Boolean columns of rows, beside the columns of `keep`."""
        converted = [expr.alias(f"{CONVERTED}{name}") for name, expr in self.conversions.items()]
        return rows.with_columns(self.inputs).select(*keep, *self.values, *self.breaks, *converted)


@dataclass(frozen=True)
class Join:
    """The text that joins the sides, on each of them.

    `checked` is that of the events beside their named raw values (`SideMapping.inputs`), where a
    check may have found it already.
    """

    events: pl.Expr
    checked: pl.Expr
    contacts: pl.Expr


@dataclass(frozen=True)
class PartKeys:
    """What each side is split by; None for contacts that nothing asks for."""

    events: pl.Expr
    contacts: pl.Expr | None


@dataclass(frozen=True)
class FieldMapping:
    """Both sides, the rules between fields, and what joins the sides."""

    events: SideMapping
    contacts: SideMapping
    joined: tuple[pl.Expr, ...]
    joined_rules: tuple[Rule, ...]
    join: Join | None  # None where no field comes from the contacts
    gathered: bool  # whether a split brings the records of one ordering key together
    time: str | None  # the canonical column of the event's time

    @property
    def dropping(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in (*self.events.rules, *self.contacts.rules) if rule.drops)

    @property
    def excluding(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in (*self.events.rules, *self.contacts.rules) if rule.excludes)


def mapping_of(
    binding: Binding,
    config: Config,
    *,
    now: datetime,
) -> FieldMapping:
    """Work out the expressions of a binding."""
    mapper = _Mapper(config, binding, now)
    timed = binding.time if binding.time not in binding.inputs else None
    own = (*binding.inputs_for("events"), *([timed] if timed else []))
    joined = cross_rules(binding.destination.checks, config.rules)
    # Whose phone cannot be read has one: "neither a phone nor an address" would mislead.
    beside = {e.name: e.fields for e in binding.destination.checks if isinstance(e, AnyOf)}
    join = None
    gathered = True
    if binding.contact_key is not None and binding.contacts_key is not None:
        gathered = _is_join_key(binding.ordering, binding)
        ordering = binding.ordering if gathered else None
        key, other = binding.contact_key, binding.contacts_key
        text = checked = mapper.key(key)
        if ordering is not None and ordering.side == "events" and _is_uuid(ordering):
            checked = spelling_in(pl.col(_named(ordering)))
        join = Join(text, checked, mapper.key(other))
    return FieldMapping(
        events=mapper.side(own, "e"),
        contacts=mapper.side(binding.inputs_for("contacts"), "c"),
        joined=tuple(expr.alias(f"__j{index}") for index, (_, expr) in enumerate(joined)),
        joined_rules=tuple(
            Rule(name, f"__j{index}", beside=beside.get(name, ()))
            for index, (name, _) in enumerate(joined)
        ),
        join=join,
        gathered=gathered,
        time=binding.time.name if binding.time else None,
    )


def part_keys_of(binding: Binding, config: Config, *, now: datetime) -> PartKeys:
    """Work out what a source of more than one part is split by."""
    mapper = _Mapper(config, binding, now)
    key, other = binding.contact_key, binding.contacts_key
    if key is None or other is None:
        return PartKeys(mapper.ordering_key(binding.ordering), None)
    ordering = binding.ordering if _is_join_key(binding.ordering, binding) else None
    return PartKeys(mapper.part(key, ordering), mapper.part(other, ordering))


def _is_join_key(each: Input, binding: Binding) -> bool:
    """Whether a field's value is the join key itself, as it stands on its side."""
    key = binding.contact_key if each.side == "events" else binding.contacts_key
    plain = each.table is None and each.region is None
    return plain and key is not None and bool(each.raw.meta.eq(key.raw))


def _is_uuid(each: Input) -> bool:
    return each.field.kind is Kind.UUID


def _named(each: Input) -> str:
    """The column of what is worked out of a field's raw value."""
    return f"__in:{each.name}"


def reasons(rules: Iterable[Rule], *also: pl.Expr) -> pl.Expr:
    """The broken rules of a row as text, `;` between them; empty where it broke none."""
    words = [pl.when(pl.col(rule.column)).then(pl.lit(rule.reason)) for rule in rules]
    parts = [*words, *also]
    if not parts:
        return pl.lit("")
    return pl.concat_str(parts, separator=";", ignore_nulls=True)


@dataclass(frozen=True)
class _Mapper:
    config: Config
    binding: Binding
    now: datetime

    def key(self, key: Key) -> pl.Expr:
        """The text of a join key: the same for 123 in one file and "123" in the other.

        UUIDs meet whatever their case, as they are the same id when they are sent.
        """
        return one_spelling(self._text(key))

    def _text(self, key: Key) -> pl.Expr:
        return as_text(key.raw, key.dtype, timezone=self.config.events.timezone).value

    def part(self, key: Key, ordering: Input | None) -> pl.Expr:
        """What a side is split by: the join key in a form that its spellings share.

        Where the join key is the ordering key too, its canonical form is that form, so the
        records of one ordering key come together however the sources write it.
        """
        lower = without_case(self._text(key))
        if ordering is None or _is_uuid(ordering):
            return lower  # a UUID's spellings differ in case alone
        text = replace(ordering, raw=self.key(key), dtype=pl.String())
        return pl.coalesce(self._field(text, None)[0], lower)

    def ordering_key(self, ordering: Input) -> pl.Expr:
        """The canonical ordering key, where the events alone have it."""
        return self._field(ordering, None)[0]

    def side(self, inputs: Sequence[Input], letter: str) -> SideMapping:
        named: list[pl.Expr] = []
        values: list[pl.Expr] = []
        breaks: list[pl.Expr] = []
        rules: list[Rule] = []
        conversions: dict[str, pl.Expr] = {}
        selection = self.binding.selection
        excluding = list(selection.by_row() if letter == "e" else selection.by_contact())
        for each in inputs:
            value, broken, converted = self._field(each, named)
            if converted is not None:
                conversions[each.name] = converted
            columns = []
            for rule, expr in broken:
                column = f"__{letter}{len(rules)}"
                columns.append(expr)
                breaks.append(expr.alias(column))
                rules.append(Rule(rule, column, drops=each.optional))
            if each.optional and columns:
                value = pl.when(~pl.any_horizontal(columns)).then(value)
            values.append(value.alias(each.name))
            excluding += self._excluding(each, value)
        for reason, expr in excluding:
            column = f"__{letter}{len(rules)}"
            breaks.append(expr.fill_null(value=False).alias(column))
            rules.append(Rule(reason, column, excludes=True))
        return SideMapping(tuple(named), tuple(values), tuple(breaks), tuple(rules), conversions)

    def _excluding(self, each: Input, value: pl.Expr) -> Iterator[tuple[str, pl.Expr]]:
        """Where a record is excluded by this field, whose canonical value is `value`."""
        if each.table is not None and each.table.otherwise == "exclude":
            text = as_text(each.raw, each.dtype, timezone=self.config.events.timezone).value
            yield f"{each.name}|otherwise", _unlisted(text, each.table)
        if self.binding.time is not None and each.name == self.binding.time.name:
            yield from self.binding.selection.by_moment(value)

    def _field(
        self, each: Input, named: list[pl.Expr] | None
    ) -> tuple[pl.Expr, list[tuple[str, pl.Expr]], pl.Expr | None]:
        """A field's canonical value, its rules by full name, and what it was converted from.

        What is worked out before the check goes to `named` as a column of its own.
        """
        raw, dtype = each.raw, each.dtype
        broken: list[tuple[str, pl.Expr]] = []
        if each.table is not None:
            text = as_text(raw, dtype, timezone=self.config.events.timezone)
            broken += [(f"{each.name}|{rule}", expr) for rule, expr in text.broken]
            raw, unmapped = _looked_up(text.value, each.table)
            dtype = pl.String()
            if unmapped is not None:
                broken.append((f"{each.name}|unmapped", unmapped))
        checked = check(
            each.field,
            raw,
            dtype,
            rules=self.config.rules,
            timezone=self.config.events.timezone,
            now=self.now,
            time_format=self.config.events.time_format,
            region=None if each.region is None else in_upper_case(each.region),
        )
        if named is not None:
            named.append(checked.packed.alias(_named(each)))
            checked = checked.within(_named(each))
        broken += [(f"{each.name}|{rule}", expr) for rule, expr in checked.broken]
        if each.field.required:
            broken.append(required_rule(each.name, checked.value, [rule for _, rule in broken]))
        return checked.value, broken, checked.converted


def _looked_up(text: pl.Expr, table: Table) -> tuple[pl.Expr, pl.Expr | None]:
    """A text's translation, and where the table has none though it should."""
    found = text.replace_strict(
        list(table.old), list(table.new), default=None, return_dtype=pl.String
    )
    strange = _unlisted(text, table)
    match table.otherwise:
        case "reject":
            return found, strange
        case "omit" | "exclude":
            return found, None
        case "keep":
            return pl.when(strange).then(text).otherwise(found), None
    return pl.when(strange).then(pl.lit(table.constant)).otherwise(found), None


def _unlisted(text: pl.Expr, table: Table) -> pl.Expr:
    """Where there is a text and the table has no row for it."""
    return text.is_not_null() & ~text.is_in(list(table.old))
