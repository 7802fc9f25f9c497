"""Configuration, destination and source columns together: which expression feeds which field.

Everything that can be wrong with a configuration as a whole is found here, before a row is
read: fields the destination does not know, columns the files do not have, constants that
break a rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import polars as pl

from backfill.checks.fields import check
from backfill.config import Column, Config, Constant, FieldSpec, Lookup, Sql
from backfill.config.field_specs import Scalar
from backfill.core.errors import ConfigError, did_you_mean
from backfill.destination import Destination, Field, Kind
from backfill.prepare.mapping.columns import Columns
from backfill.prepare.mapping.inputs import Expression, Input, Key, Side, Table, as_fraction_from
from backfill.prepare.mapping.phone_regions import region_of
from backfill.prepare.mapping.requirements import check_keys, check_required, listed
from backfill.prepare.mapping.selection import Selection, selection_of
from backfill.sources.scan import Source
from backfill.sources.schemas import MIXED

__all__ = ["Binding", "bind"]

_TIME = "time"  # the identity's name for the event's time where the body has no field for it
_OTHERS = {"reject": "rejected", "omit": "left out", "keep": "as it is", "exclude": "excluded"}
_RESERVED = ";|"  # they separate the parts of a reason


@dataclass(frozen=True)
class Binding:
    """What `prepare` needs to know of a configuration, with every name resolved.

    `inputs` stand in the order of the body. `time` is the event's time: one of the inputs where
    the body has a field for it, else it only orders. `identity` names inputs, and the time as
    the destination's field or as `time`.
    """

    destination: Destination
    inputs: tuple[Input, ...]
    time: Input | None
    contact_key: Key | None
    contacts_key: Key | None
    keep_contact: Literal["first", "last", "fill"]
    identity: tuple[str, ...]
    keep: Literal["first", "last"]
    unused: tuple[str, ...]
    tables: Mapping[str, Mapping[str, str]]
    selection: Selection
    expressions: tuple[Expression, ...]

    @property
    def ordering(self) -> Input:
        """The input whose canonical value is the ordering key."""
        name = self.destination.ordering_field
        return next(each for each in self.inputs if each.name == name)

    def inputs_for(self, side: Side | None) -> tuple[Input, ...]:
        return tuple(each for each in self.inputs if each.side == side)

    def numbers_as_written(self, side: Side) -> dict[str, float]:
        """The columns of a side in which fractions must be seen, and `as_fraction_from` of each."""
        found: dict[str, float] = {}
        for each in self.inputs_for(side):
            if (least := as_fraction_from(each.field)) < math.inf:
                read = each.raw.meta.root_names()
                found |= {name: min(least, found.get(name, least)) for name in read}
        return found

    def contacts_columns(self) -> list[str]:
        """The columns of the contacts source that are needed at all."""
        used = {name for each in self.inputs_for("contacts") for name in each.columns()}
        used |= self.selection.columns("contacts")
        return sorted(used | self.contacts_key.columns() if self.contacts_key else used)


def bind(
    config: Config,
    destination: Destination,
    events: Source,
    contacts: Source | None,
    *,
    now: datetime,
) -> Binding:
    """Resolve a configuration. Raises ConfigError, and SourceError where a file lacks a column."""
    check_keys(config, destination)
    sides: dict[Side, Source] = {"events": events}
    if contacts is not None:
        sides["contacts"] = contacts
    filled = config.contacts is not None and config.contacts.keep == "fill"
    columns = Columns(sides, filled=frozenset({"contacts"} if filled else ()))
    binder = _Binder(config, destination, columns, now, [])
    contact_key = binder.key("events", config.events.contact_key, "[events] contact_key")
    contacts_key = None
    if config.contacts is not None:
        contacts_key = binder.key("contacts", config.contacts.key, "[contacts] key")
    selection = binder.selection()
    time = binder.time(needed=selection.by_time)
    mapped = {name: spec for name, spec in config.fields.items() if binder.sends(name)}
    inputs = binder.inputs(mapped, time)
    check_required(config, destination, {each.name for each in inputs})
    named = [*(name for name in mapped), *([time.name] if time and time.name not in mapped else [])]
    used = (*inputs, *([time] if time else []))
    also: dict[Side, set[str]] = {"events": selection.columns("events")}
    if contact_key is not None and contacts_key is not None:
        also["events"] |= contact_key.columns()
        also["contacts"] = contacts_key.columns() | selection.columns("contacts")
    return Binding(
        destination=destination,
        inputs=inputs,
        time=time,
        contact_key=contact_key if contacts else None,
        contacts_key=contacts_key,
        keep_contact=config.contacts.keep if config.contacts else "last",
        identity=_identity(config, destination, named, used),
        keep=config.dedupe.keep,
        selection=selection,
        unused=tuple(columns.unused(used, also)),
        tables={each.name: shown for each in inputs if (shown := _shown(each))},
        expressions=tuple(binder.expressions),
    )


def _identity(
    config: Config, destination: Destination, named: list[str], used: Sequence[Input]
) -> tuple[str, ...]:
    time = destination.time_field or _TIME
    if config.dedupe.key is None:
        return tuple(named)
    names = [time if name == _TIME else name for name in config.dedupe.key]
    for name in names:
        if name not in named:
            raise ConfigError(
                f"{name!r} is not a field that is sent, nor the time",
                where="[dedupe] key",
                hint=did_you_mean(name, named),
            )
    telling = [each.name for each in used if each.constant is None]
    if telling and not set(names) & set(telling):
        raise ConfigError(
            "every record has the same value there, so all of them would be one",
            where="[dedupe] key",
            hint=f"Name a field that differs, such as {telling[0]!r}.",
        )
    return tuple(dict.fromkeys(names))


def _shown(each: Input) -> dict[str, str]:
    """A constant or a table as a plan shows it."""
    if each.side is None:
        return {"(always)": each.constant or ""}
    if each.table is None:
        return {}
    way = each.table.otherwise
    last = f"({_OTHERS[way]})" if way else each.table.constant or ""
    return {**dict(zip(each.table.old, each.table.new, strict=True)), "(any other)": last}


@dataclass(frozen=True)
class _Binder:
    config: Config
    destination: Destination
    columns: Columns
    now: datetime
    expressions: list[Expression]  # takes those that were parsed, in their order

    def sends(self, name: str) -> bool:
        """Whether a mapped field goes into the body; some stay out by `contact = "identifiers"`."""
        field = self.destination.field_for(name)
        if field is None or any(mark in name for mark in _RESERVED):
            raise self._unknown_field(name)
        return not (
            self.config.rules.contact == "identifiers"
            and name.startswith("contact.")
            and field.kind not in (Kind.UUID, Kind.PHONE, Kind.EMAIL)
        )

    def _unknown_field(self, name: str) -> ConfigError:
        families = [field.name for field in self.destination.fields if field.family]
        declared = [field.name for field in self.destination.fields if not field.family]
        own = name.rpartition(".")[2]
        spec = self.config.fields[name]
        if isinstance(spec, Constant) and self.destination.field_for(f"{name}.value"):
            # TOML reads `target.value = "phone"` as a table `target` with a key `value`.
            return ConfigError(
                f"{self.destination.name} has no field {name!r}",
                where="[fields]",
                hint=f'The name of a field stands in quotes: "{name}.value" = …',
            )
        if f"{name}*" in families:
            return ConfigError(
                f"{self.destination.name} has no field {name!r}",
                where="[fields]",
                hint=f"A field of your own has a name after the dot, such as '{name}plan'.",
            )
        near = did_you_mean(name, [*declared, *(f"{family[:-1]}{own}" for family in families)])
        if near is None or "Did you mean" not in near:
            near = did_you_mean(name, declared) or ""
            if families:
                near += f" Fields of your own go under {' or '.join(families)}."
        return ConfigError(
            f"{self.destination.name} has no field {name!r}",
            where="[fields]",
            hint=near.strip() or None,
        )

    def time(self, *, needed: bool) -> Input | None:
        """The event's time. Where it is `needed` to choose the rows, one without it is rejected."""
        spec = self.config.events.time
        if spec is None:
            return None
        name = self.destination.time_field
        field = self.destination.field_for(name) if name else None
        field = field or Field(_TIME, Kind.TIME)
        field = replace(field, required=field.required or needed)
        where = "[events] time"
        if isinstance(spec, Sql):
            return self._sql(name or _TIME, field, spec, where)
        return self._column(name or _TIME, field, Column(spec, "events"), where)

    def key(self, side: Side, spec: str | Sql | None, where: str) -> Key | None:
        """What joins a side with the other one."""
        if isinstance(spec, Sql):
            key = Key(*self._parsed(spec, where, in_each_file=True))
        elif spec is not None:
            _, raw, dtype = self.columns.value(Column(spec, side), where, in_each_file=True)
            key = Key(raw, dtype)
        else:
            return None
        if key.dtype.is_nested() and key.dtype != MIXED:
            raise ConfigError(
                f"{spec.text if isinstance(spec, Sql) else spec!r} holds {key.dtype}, which joins"
                " with nothing",
                where=where,
            )
        return key

    def selection(self) -> Selection:
        """Which rows are wanted."""
        rows = contacts = None
        if (text := self.config.events.where) is not None:
            rows = self._parsed(Sql(text), "[events] where")
        if self.config.contacts is not None and (text := self.config.contacts.where) is not None:
            contacts = self._parsed(Sql(text, "contacts"), "[contacts] where")
        return selection_of(self.config, rows, contacts)

    def _parsed(
        self, spec: Sql, where: str, *, in_each_file: bool = False, as_written: float = math.inf
    ) -> tuple[pl.Expr, pl.DataType]:
        raw, dtype = self.columns.expression(
            spec, where, in_each_file=in_each_file, as_written=as_written
        )
        self.expressions.append(Expression(spec.text, raw, spec.side, where))
        return raw, dtype

    def inputs(self, mapped: Mapping[str, FieldSpec], time: Input | None) -> tuple[Input, ...]:
        """An input for every field of the body, in its order."""
        found = []
        for field in self.destination.fields:
            names = [name for name in mapped if self.destination.field_for(name) == field]
            if field.kind is Kind.TIME:
                for name in names:
                    self._same_as_time(name, mapped[name])
                found += [time] if time else []
            elif names:
                found += [self._input(name, field, mapped[name]) for name in names]
            elif field.default is not None:
                found.append(self._constant(field.name, field, field.default))
        return tuple(found)

    def _same_as_time(self, name: str, spec: FieldSpec) -> None:
        time = self.config.events.time
        same = spec.name == time if isinstance(spec, Column) else spec == time
        if not same or getattr(spec, "side", None) == "contacts":
            raise ConfigError(
                f"{name!r} comes from the column that [events] time names",
                where="[fields]",
                hint="Delete the line here"
                + ("." if time else ' and write time = "…" under [events].'),
            )

    def _input(self, name: str, field: Field, spec: FieldSpec) -> Input:
        where = f"[fields] {name}"
        match spec:
            case Column():
                bound = self._column(name, field, spec, where)
            case Constant():
                bound = self._constant(name, field, spec.value)
            case Sql():
                bound = self._sql(name, field, spec, where)
            case Lookup():
                column = self._column(name, field, spec.column, where)
                bound = replace(column, table=self._table(name, field, spec))
        return replace(
            bound,
            optional=name in self.config.rules.drop_invalid,
            region=region_of(bound, self.config, self.columns),
        )

    def _column(self, name: str, field: Field, column: Column, where: str) -> Input:
        least = as_fraction_from(field)
        return Input(name, field, *self.columns.value(column, where, as_written=least))

    def _sql(self, name: str, field: Field, spec: Sql, where: str) -> Input:
        least = as_fraction_from(field)
        return Input(name, field, spec.side, *self._parsed(spec, where, as_written=least))

    def _constant(self, name: str, field: Field, value: Scalar) -> Input:
        text = self._checked(name, field, value)
        return Input(name, field, None, pl.lit(text), pl.String(), constant=text)

    def _table(self, name: str, field: Field, spec: Lookup) -> Table:
        new = tuple(self._checked(name, field, value) for _, value in spec.values)
        old = tuple(key for key, _ in spec.values)
        if isinstance(spec.otherwise, Constant):
            return Table(old, new, None, self._checked(name, field, spec.otherwise.value))
        return Table(old, new, spec.otherwise)

    def _checked(self, name: str, field: Field, value: Scalar) -> str:
        """A constant in its canonical form. One that breaks a rule is the user's mistake."""
        where = f"[fields] {name}"
        frame = pl.DataFrame({"value": [value]}, strict=False)
        checked = check(
            field,
            pl.col("value"),
            frame.schema["value"],
            rules=self.config.rules,
            timezone=self.config.events.timezone,
            now=self.now,
        )
        broken = [rule for rule, breaks in checked.broken if frame.select(breaks).item()]
        text = frame.select(checked.value).item()
        if broken or text is None:
            choices = f" It is one of {listed(field.choices)}." if field.choices else ""
            raise ConfigError(
                f"{value!r} breaks {', '.join(broken) or 'the rule that a value is not empty'}",
                where=where,
                hint=choices.strip() or None,
            )
        return str(text)
