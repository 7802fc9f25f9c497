"""What a configuration holds. Every section is frozen and knows no key beyond its own.

Names of destination fields are not checked here: only `prepare` knows both the configuration
and the destination.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PositiveInt,
    field_validator,
    model_validator,
)

from backfill.config.values import Rate, Share, parse_duration, parse_rate, parse_share

__all__ = [
    "Column",
    "Config",
    "Constant",
    "Contacts",
    "Dedupe",
    "Delivery",
    "Events",
    "FieldSpec",
    "Files",
    "Lookup",
    "Rate",
    "Rules",
    "Share",
    "Sql",
]

Side = Literal["events", "contacts"]
Scalar = str | bool | int | float | Decimal | datetime | date | time

# --- where a field's value comes from ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `side` is None where the configuration leaves it to the one file that has it."""

    name: str
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression over the columns of one side."""

    text: str
    side: Side = "events"


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Lookup:
    """A column's value translated by a table.

    A value that is in no row of the table is rejected as `unmapped` ("reject"), leaves the
    field out ("omit"), is sent as it is ("keep"), or becomes a constant.
    """

    column: Column
    values: tuple[tuple[str, Scalar], ...]
    otherwise: Literal["reject", "omit", "keep"] | Constant = "reject"


FieldSpec = Column | Sql | Constant | Lookup


def _column(text: str, side: Side | None = None) -> Column:
    prefix, dot, rest = text.partition(".")
    if dot and rest and prefix in ("events", "contacts"):
        if side not in (None, prefix):
            raise ValueError(f"{text!r} and from = {side!r} name two different files")
        return Column(rest, "events" if prefix == "events" else "contacts")
    if not text:
        raise ValueError("a column's name is empty")
    return Column(text, side)


def _field_spec(value: Any) -> FieldSpec:  # noqa: PLR0912 - one branch for each form
    if isinstance(value, Column | Sql | Constant | Lookup):
        return value
    if isinstance(value, str):
        return _column(value)
    if not isinstance(value, dict):
        raise ValueError(
            "is neither a column's name nor a table; a constant is written { value = … }"
        )
    forms = [form for form in ("column", "sql", "value") if form in value]
    if len(forms) != 1:
        raise ValueError("needs exactly one of `column`, `sql`, `value`")
    allowed = {
        "column": {"column", "from", "values", "otherwise"},
        "sql": {"sql", "from"},
        "value": {"value"},
    }[forms[0]]
    for key in value:
        if key not in allowed:
            raise ValueError(
                f"unknown key {key!r} beside `{forms[0]}`: {sorted(allowed)} may stand"
            )
    side = value.get("from")
    if side not in (None, "events", "contacts"):
        raise ValueError('`from` is "events" or "contacts"')
    if forms[0] == "value":
        return Constant(_scalar(value["value"]))
    text = value[forms[0]]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"`{forms[0]}` needs a text")
    if forms[0] == "sql":
        return Sql(text, side or "events")
    column = _column(text, side)
    if "values" not in value:
        if "otherwise" in value:
            raise ValueError("`otherwise` needs `values`")
        return column
    table = value["values"]
    if not isinstance(table, dict) or not table:
        raise ValueError('`values` is a table such as { p1 = "gold", p2 = "silver" }')
    rows = tuple((str(key), _scalar(each)) for key, each in table.items())
    return Lookup(column, rows, _otherwise(value.get("otherwise", "reject")))


def _otherwise(value: Any) -> Literal["reject", "omit", "keep"] | Constant:
    match value:
        case "reject":
            return "reject"
        case "omit":
            return "omit"
        case "keep":
            return "keep"
    if isinstance(value, dict) and set(value) == {"value"}:
        return Constant(_scalar(value["value"]))
    raise ValueError('`otherwise` is "reject", "omit", "keep" or { value = … }')


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str | bool | int | float | Decimal | datetime | date | time):
        return value
    raise ValueError("a value is a text, a number, a truth value or a date, never a list or table")


# --- sections ------------------------------------------------------------------------------


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _one_or_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


class Files(_Section):
    """Which files, and how they are read where their ending does not say it."""

    files: Annotated[tuple[str, ...], BeforeValidator(_one_or_list), Field(min_length=1)]
    format: Literal["csv", "tsv", "ndjson", "parquet"] | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    null_values: tuple[str, ...] = ()
    hive: bool = False

    @field_validator("files", mode="after")
    @classmethod
    def _not_empty(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if any(not each.strip() for each in files):
            raise ValueError("a file's name is empty")
        return files

    @field_validator("separator")
    @classmethod
    def _one_byte(cls, separator: str | None) -> str | None:
        if separator is not None and (len(separator.encode()) != 1 or separator in '"\r\n'):
            raise ValueError('is one ASCII character, such as ";" or "\\t"')
        return separator

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"{encoding!r} is no encoding that Python knows") from None
        return encoding


class Events(Files):
    """The events source. `time` may be left out where the destination takes no timestamp."""

    contact_key: str | None = None
    time: str | None = None
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(
                    f'{name!r} is no time zone; names look like "Asia/Jerusalem" or "UTC"'
                ) from None
        return name

    @field_validator("contact_key", "time")
    @classmethod
    def _events_column(cls, name: str | None) -> str | None:
        return name.removeprefix("events.") if name else name


class Contacts(Files):
    """The contacts source, joined to the events by its key."""

    key: str
    keep: Literal["first", "last"] = "last"

    @field_validator("key")
    @classmethod
    def _contacts_column(cls, name: str) -> str:
        return name.removeprefix("contacts.")


class ContactId(_Section):
    """Ids that are no UUIDs become UUIDv5 of this namespace."""

    namespace: uuid.UUID


class Rules(_Section):
    """What a value must be like, beyond what the API demands."""

    phone: Literal["e164", "possible", "valid"] = "e164"
    phone_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    custom_value_max: Annotated[int, Field(ge=1, le=255)] = 50
    event_types: tuple[str, ...] | None = None
    drop_invalid: tuple[str, ...] = ()
    contact_id: ContactId | None = None
    contact: Literal["full", "identifiers"] = "full"
    allow_email_targets: bool = False


class Dedupe(_Section):
    """Which records are the same one. Without a key: every mapped field and the time."""

    key: tuple[str, ...] | None = None
    keep: Literal["first", "last"] = "first"
    delivered_by: Annotated[tuple[str, ...], BeforeValidator(_one_or_list)] = ()

    @field_validator("key", mode="before")
    @classmethod
    def _some_fields(cls, key: Any) -> Any:
        names = _one_or_list(key)
        if names is not None and not names:
            raise ValueError("names no field; leave `key` out for every mapped field and the time")
        return names


class Delivery(_Section):
    """How the job is delivered. May change between the runs of a job.

    `rate` is in requests; None finds it ("auto"). `max_wait` is the longest wait, in seconds,
    that a server may ask for; `patience` how long a run goes on without any success.
    """

    base_url: str | None = None
    rate: Annotated[
        Rate | None,
        BeforeValidator(parse_rate),
        PlainSerializer(lambda rate: "auto" if rate is None else str(rate), when_used="json"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    guarantee: Literal["at-most-once", "at-least-once"] = "at-most-once"
    max_errors: Annotated[
        Share, BeforeValidator(parse_share), PlainSerializer(str, when_used="json")
    ] = Share(fraction=0.01)
    timeout: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    max_wait: Annotated[float, BeforeValidator(parse_duration), Field(ge=0)] = 600.0
    patience: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    limit: PositiveInt | None = None
    max_duration: Annotated[
        Annotated[float, Field(gt=0)] | None, BeforeValidator(parse_duration)
    ] = None


class Config(_Section):
    """One backfill of one source to one destination.

    `directory` is what relative paths are relative to; `path` the file, where there is one.
    """

    destination: str
    population: str | None = None
    events: Events
    contacts: Contacts | None = None
    fields: dict[str, Annotated[FieldSpec, BeforeValidator(_field_spec)]]
    rules: Rules = Rules()
    dedupe: Dedupe = Dedupe()
    delivery: Delivery = Delivery()
    directory: Path = Field(default=Path(), exclude=True)
    path: Path | None = Field(default=None, exclude=True)

    def shape(self) -> dict[str, Any]:
        """The part that shapes the bodies, as JSON: everything but how they are delivered."""
        shape: dict[str, Any] = self.model_dump(mode="json", exclude={"delivery"})
        return shape

    @field_validator("fields")
    @classmethod
    def _some(cls, fields: dict[str, FieldSpec]) -> dict[str, FieldSpec]:
        if not fields:
            raise ValueError("maps no field")
        return fields

    @field_validator("population")
    @classmethod
    def _population_uuid(cls, text: str | None) -> str | None:
        # P13: the id goes into the address, so it is checked before anything is sent there.
        if text is not None and not re.fullmatch(
            "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text.strip()
        ):
            raise ValueError("is a UUID of 36 characters; look it up in Pristo's settings")
        return text.strip().lower() if text is not None else None

    @model_validator(mode="after")
    def _contacts_are_there(self) -> Config:
        if self.contacts is not None and self.events.contact_key is None:
            raise ValueError(
                "[contacts] needs `contact_key` in [events]: the column that names one"
            )
        if self.contacts is None:
            for name, spec in self.fields.items():
                side = spec.column.side if isinstance(spec, Lookup) else getattr(spec, "side", None)
                if side == "contacts":
                    raise ValueError(f"field {name!r} reads contacts, but there is no [contacts]")
        return self
