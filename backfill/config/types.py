"""What a configuration holds. Every section is frozen and knows no key beyond its own.

Names of destination fields are not checked here: only `prepare` knows both the configuration
and the destination. The text below a key says what it does; the documentation's reference is
made from these texts.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PositiveInt,
    field_validator,
    model_validator,
)

from backfill.config.cluster import Cluster
from backfill.config.field_specs import (
    Column,
    Constant,
    FieldSpec,
    Lookup,
    Scalar,
    Sql,
    read_field,
)
from backfill.config.sections import Contacts, Events, Files, Section, Texts
from backfill.config.values import Rate, Share, parse_duration, parse_rate, parse_share
from backfill.core.errors import ConfigError
from backfill.core.urls import check_base_url

__all__ = [
    "Cluster",
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
    "Scalar",
    "Share",
    "Sql",
    "with_defaults",
]


class ContactId(Section):
    """Ids that are no UUIDs become UUIDv5 of this namespace."""

    namespace: uuid.UUID
    """Your own UUID, the same for ever."""


def _region(value: Any) -> Any:
    spec = read_field(value) if isinstance(value, dict) else value
    named = isinstance(spec, str) and re.fullmatch("[A-Z]{2}", spec)
    if spec is not None and not named and not isinstance(spec, Column | Sql | Lookup):
        raise ValueError('is two capital letters, such as "IL", or { column = "…" }')
    if isinstance(spec, Lookup):
        if isinstance(value, dict) and "otherwise" in value:
            raise ValueError("takes no `otherwise`: a value without a line is taken for a code")
        for name, code in spec.values:
            if not re.fullmatch("[A-Z]{2}", str(code)):
                raise ValueError(f'the code of {name!r} is two capital letters, such as "DE"')
    return spec


class Rules(Section):
    """What a value must be like, beyond what the API demands."""

    phone: Literal["e164", "possible", "valid"] = "e164"
    """How closely phone numbers are looked at."""
    phone_region: Annotated[str | Column | Sql | Lookup | None, BeforeValidator(_region)] = None
    """The country in which national numbers are dialled, such as `IL`: they become E.164 where that
    gives a valid number. A column or an expression gives the ISO 3166 code of each row's country,
    or a name that `values` translates: `{ column = "country", values = { Germany = "DE" } }`. It
    stands in the file that holds the phones."""
    custom_value_max: Annotated[int, Field(ge=1, le=255)] = 50
    """Characters that a custom field may have. Longer ones are rejected, never cut."""
    event_types: Texts | None = None
    """The event types that may be sent to Pristo; any other is rejected. Without it all may."""
    drop_invalid: Texts = ()
    """Optional fields that are left out where their value breaks a rule; the record is sent."""
    contact_id: ContactId | None = None
    """`{ namespace = "<a UUID>" }` makes UUIDs (version 5) of contact ids that are none."""
    contact: Literal["full", "identifiers"] = "full"
    """What of a contact is sent: all that is mapped, or only its id, phone and email address."""
    reachable: Literal["required", "known"] = "required"
    """Whether each record needs a phone or an email address of its contact (Pristo demands one the
    first time that it hears of a contact), or `"known"`: contacts that Pristo has already may go by
    their id alone."""
    allow_email_targets: bool = False
    """Send email addresses to Watch, which supports phone numbers only for now."""


class Dedupe(Section):
    """Which records are the same one. Without a key: every mapped field and the time."""

    key: Texts | None = None
    """Destination fields whose values say that two records are the same one. A record that lacks
    all of them is compared by every mapped field and the time; of several, a missing one is equal
    to a missing one. The plan counts both."""
    keep: Literal["first", "last"] = "first"
    """Which of them is sent."""
    delivered_by: Texts = ()
    """Directories of earlier jobs, globs too; what they delivered to the same address counts as a
    duplicate."""

    @field_validator("key")
    @classmethod
    def _some_fields(cls, key: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if key is not None and not key:
            raise ValueError("names no field; leave `key` out for every mapped field and the time")
        return key


def _sendable(url: str | None) -> str | None:
    if url is not None:
        try:
            check_base_url(url.rstrip("/"))
        except ConfigError as error:
            raise ValueError(error.message) from None
    return url


class Delivery(Section):
    """How the job is delivered. May change between the runs of a job.

    A rate of None is found ("auto"); durations are in seconds.
    """

    base_url: Annotated[str | None, AfterValidator(_sendable)] = None
    """Where the destination is: https, or http on this machine. Else the vendor's own address."""
    rate: Annotated[
        Rate | None,
        BeforeValidator(parse_rate),
        PlainSerializer(lambda rate: "auto" if rate is None else str(rate), when_used="json"),
    ] = None
    """Requests: `"50/s"`, `"3000/min"`, a number a second; `"auto"` finds what is allowed."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Requests in flight at most."""
    guarantee: Literal["at-most-once", "at-least-once"] = "at-most-once"
    """Whether what may have been stored is left alone as `unknown`, or sent again."""
    max_errors: Annotated[
        Share, BeforeValidator(parse_share), PlainSerializer(str, when_used="json")
    ] = Share(fraction=0.01)
    """Failed records after which a run stops: a number, or a share such as `"1%"`."""
    timeout: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    """How long to wait for a reply."""
    max_wait: Annotated[float, BeforeValidator(parse_duration), Field(ge=0)] = 600.0
    """The longest wait that the destination may ask for; the run stops at a longer one."""
    patience: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    """How long a run goes on while the destination refuses or cannot be reached."""
    limit: PositiveInt | None = None
    """Records after which a run stops."""
    max_duration: Annotated[
        Annotated[float, Field(gt=0)] | None, BeforeValidator(parse_duration)
    ] = None
    """Time after which a run stops."""


class Config(Section):
    """One backfill of one source to one destination.

    `directory` is what relative paths are relative to; `path` the file, where there is one.
    """

    destination: str
    """`pristo-events`, `watch-events`, `watch-feedbacks`, or one that a package brings."""
    population: str | None = None
    """The UUID of the population that the events belong to. Pristo only, and needed there."""
    events: Events
    contacts: Contacts | None = None
    fields: dict[str, Annotated[FieldSpec, BeforeValidator(read_field)]]
    rules: Rules = Rules()
    dedupe: Dedupe = Dedupe()
    delivery: Delivery = Delivery()
    cluster: Cluster | None = None
    directory: Path = Field(default=Path(), exclude=True)
    path: Path | None = Field(default=None, exclude=True)

    def shape(self) -> dict[str, Any]:
        """The part that shapes the bodies, as JSON: not how they are delivered, nor from where."""
        shape: dict[str, Any] = self.model_dump(mode="json", exclude={"delivery", "cluster"})
        return shape

    def has_shape(self, shape: Mapping[str, Any]) -> bool:
        """Whether this is the configuration that another one's `shape` was taken from."""
        return self.shape() == with_defaults(shape)

    def digest(self) -> str:
        """SHA-256 of the shape, in hexadecimal: what a job is bound to."""
        text = json.dumps(self.shape(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

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


def with_defaults(shape: Mapping[str, Any]) -> dict[str, Any]:
    """A shape as this version would have written it, with the keys that an older one did not know.

    A key that is new has what it meant before it was there as its default.
    """
    whole = dict(shape)
    for name, section in _SECTIONS.items():
        if isinstance(known := whole.get(name), Mapping):
            defaults = section.model_construct().model_dump(mode="json", warnings=False)
            whole[name] = {**defaults, **known}
    return whole


_SECTIONS: Mapping[str, type[Section]] = {
    "events": Events,
    "contacts": Contacts,
    "rules": Rules,
    "dedupe": Dedupe,
}
