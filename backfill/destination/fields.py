"""The fields of a body, and the checks between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["AnyOf", "Field", "Kind", "TargetAgrees"]


class Kind(StrEnum):
    """What a field's values are, which decides how they are made canonical and checked."""

    TEXT = "text"  # sent exactly as it stands
    CUSTOM = "custom"  # any scalar, sent as text
    UUID = "uuid"
    PHONE = "phone"
    EMAIL = "email"
    LANGUAGE = "language"
    CHOICE = "choice"
    EVENT_TYPE = "event_type"  # text that an allow-list may restrict
    TIME = "time"
    TARGET = "target"  # a phone or an email address, as another field says


@dataclass(frozen=True, slots=True)
class Field:
    """One name of the body, dotted. A name that ends in `.*` is a family of names.

    `max_chars` counts characters; `warn_chars` is where another public page draws the line.
    `default` is sent when the field is not mapped, and exists only where the API knows a
    single value.
    """

    name: str
    kind: Kind
    required: bool = False
    choices: tuple[str, ...] = ()
    max_chars: int | None = None
    warn_chars: int | None = None
    default: str | None = None
    source: str = ""

    @property
    def family(self) -> bool:
        return self.name.endswith(".*")

    def covers(self, name: str) -> bool:
        if self.family:
            prefix = self.name[:-1]
            return name.startswith(prefix) and len(name) > len(prefix)
        return name == self.name


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the fields must be there, else the record breaks `name`."""

    name: str  # `field|rule`
    fields: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class TargetAgrees:
    """`value_field` must be what `type_field` says it is.

    `phone_type` and `email_type` are the two words of `type_field`; the latter is rejected as
    `{type_field}|phone_only` unless the rules allow email targets.
    """

    type_field: str
    value_field: str
    phone_type: str
    email_type: str
    source: str = ""
