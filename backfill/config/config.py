"""A whole configuration: its sections, and what they ask of each other.

Names of destination fields are not checked here: only `prepare` knows both the configuration
and the destination.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from backfill.config.cluster import Cluster
from backfill.config.delivery import Delivery
from backfill.config.field_specs import FieldSpec, Lookup, read_field
from backfill.config.rules import Dedupe, Rules
from backfill.config.section import Section
from backfill.config.sources import Contacts, Events

__all__ = ["Config", "with_defaults"]


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
