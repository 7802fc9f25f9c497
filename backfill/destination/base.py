"""What a destination is: its fields, its requests, and how its replies are read.

A destination is data and three pure functions. `prepare` reads its fields and rules to turn
rows into bodies; `deliver` asks it for requests and verdicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backfill.core.model import Fault, Reply, Secret, Verdict

__all__ = ["AnyOf", "Destination", "Field", "Kind", "TargetAgrees"]


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


class Destination(ABC):
    """One endpoint that takes records."""

    name: str
    title: str
    base_url: str
    credential_env: str
    batch_size: int
    fields: tuple[Field, ...]
    checks: tuple[AnyOf | TargetAgrees, ...] = ()
    ordering_field: str
    time_field: str | None  # the body's field that carries the time; None where there is none
    needs_population: bool = False
    tie_order: Mapping[str, tuple[str, ...]] = {}  # at equal times: a field's values, in order
    notes: tuple[str, ...] = ()  # what a plan must tell its reader, one sentence each

    def field_for(self, name: str) -> Field | None:
        """The declared field, or the family, that a mapped name belongs to."""
        return next((field for field in self.fields if field.covers(name)), None)

    @abstractmethod
    def path(self, population: str | None) -> str:
        """The request's path, beginning with a slash."""

    @abstractmethod
    def headers(self, credential: Secret) -> dict[str, str]:
        """The headers that are the same for every request."""

    @abstractmethod
    def request_headers(self, record: str) -> dict[str, str]:
        """Headers of one request, from the record key of its first record."""

    @abstractmethod
    def body(self, items: Sequence[bytes]) -> bytes:
        """The request's body from 1 to `batch_size` encoded records."""

    @abstractmethod
    def verdict(self, answer: Reply | Fault, size: int) -> Verdict:
        """What an answer means for the `size` records of its request. Never raises."""

    def request_id_of(self, record: str) -> str | None:  # noqa: ARG002 - for those that have one
        """The id under which the destination knows a record's request, where we choose it."""
        return None
