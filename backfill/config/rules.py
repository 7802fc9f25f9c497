"""What a value must be like, and which records are the same: the sections [rules] and [dedupe]."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, field_validator

from backfill.config.field_specs import Column, Lookup, Sql, read_field
from backfill.config.section import Section, Texts

__all__ = ["ContactId", "Dedupe", "Rules"]


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
    custom_value_max: Annotated[StrictInt, Field(ge=1, le=255)] = 50
    """Characters that a custom field may have. Longer ones are rejected, never cut. Pristo only."""
    event_types: Texts | None = None
    """The event types that may be sent; any other is rejected. Without it all may. Pristo only."""
    drop_invalid: Texts = ()
    """Optional fields that are left out where their value breaks a rule; the record is sent."""
    contact_id: ContactId | None = None
    """`{ namespace = "<a UUID>" }` makes UUIDs (version 5) of contact ids that are none. Pristo
    only."""
    contact: Literal["full", "identifiers"] = "full"
    """What of a contact is sent: all that is mapped, or only its id, phone and email address.
    Pristo only."""
    reachable: Literal["required", "known"] = "required"
    """Whether each record needs a phone or an email address of its contact (Pristo demands one the
    first time that it hears of a contact), or `"known"`: contacts that Pristo has already may go by
    their id alone. Pristo only."""
    allow_email_targets: StrictBool = False
    """Send email addresses to Watch, which supports phone numbers only for now. Watch only."""


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
