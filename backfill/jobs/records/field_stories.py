"""From what stood in a row to what is sent, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from backfill.config import Config
from backfill.core.errors import SourceError
from backfill.destination import Destination
from backfill.jobdir.manifest import Manifest
from backfill.sources.scan import open_source

__all__ = ["FieldStory", "as_text", "field_stories"]


@dataclass(frozen=True, slots=True)
class FieldStory:
    """One field of the body: where it comes from, what stood there, what is sent.

    `raw` is None where it is not known any more, or came from an expression; `sent` where the
    field is left out or the record is not sent.
    """

    name: str
    origin: str
    raw: str | None
    sent: str | None
    broken: tuple[str, ...] = ()
    left_out: bool = False  # the record is sent, and this field is not in it

    def __str__(self) -> str:
        raw = "—" if self.raw is None else self.raw
        sent = "left out" if self.left_out else self.sent
        said = raw if sent is None or sent == raw else f"{raw} → {sent}"
        return f"{said} ({', '.join(self.broken)})" if self.broken else said


def field_stories(
    own: Mapping[str, str | None],
    *,
    reason: str | None,
    body: str | None,
    manifest: Manifest,
    destination: Destination,
    config: Config | None,
) -> tuple[FieldStory, ...]:
    """Each mapped field of a record, from the row's `own` columns as text to what is sent.

    A contact's columns are read from the contacts' files; where that is not possible any more,
    they are not known.
    """
    broken = reason.split(";") if reason and "|" in reason else []
    content = json.loads(body) if body else {}
    contact = _contact(own, manifest, config)
    specs: dict[str, Any] = dict(manifest.shape["fields"])
    time = destination.time_field
    if time is not None and time not in specs:
        specs[time] = _as_spec(manifest.shape["events"].get("time"))
    sent = {name: _sent_value(content, name, destination) for name in specs}
    return tuple(
        FieldStory(
            name,
            _origin(spec),
            _raw(spec, own, contact),
            sent[name],
            tuple(each for each in broken if each.rpartition("|")[0] == name),
            left_out=body is not None and sent[name] is None,
        )
        for name, spec in specs.items()
    )


def _as_spec(value: Any) -> dict[str, Any]:
    """A column that stands elsewhere than under [fields], as if it stood there."""
    return {"name": value, "side": "events"} if isinstance(value, str) else dict(value or {})


def _origin(spec: Mapping[str, Any]) -> str:
    if "value" in spec:
        return "constant"
    if "text" in spec:
        return f"{spec.get('side', 'events')}, SQL: {spec['text']}"
    column = spec.get("column", spec)
    table = ", by a table" if "values" in spec else ""
    return f"{column.get('side') or 'events'}.{column.get('name')}{table}"


def _raw(
    spec: Mapping[str, Any], own: Mapping[str, str | None], contact: Mapping[str, str | None]
) -> str | None:
    if "value" in spec:
        return str(spec["value"])
    column = spec.get("column", spec)
    name = column.get("name")
    if column.get("side") == "contacts" or (column.get("side") is None and name not in own):
        return contact.get(name)
    return own.get(name)


def _contact(
    own: Mapping[str, str | None], manifest: Manifest, config: Config | None
) -> dict[str, str | None]:
    """The columns of the record's contact, as far as they can still be read."""
    joined = manifest.shape["events"].get("contact_key")
    if config is None or config.contacts is None or not isinstance(joined, str):
        return {}
    key, wanted = config.contacts.key, own.get(joined)
    if not isinstance(key, str) or wanted is None:
        return {}
    try:
        source = open_source(config.contacts, config.directory, what="contacts")
        text = pl.col(key).cast(pl.String, strict=False).str.strip_chars()
        # UUIDs are joined whatever their case is.
        alike = source.scan().filter(text.str.to_lowercase() == wanted.strip().lower()).collect()
        same = alike.filter(text == wanted.strip())
        rows = same if same.height else alike
    except (SourceError, pl.exceptions.PolarsError, OSError):
        return {}
    if not rows.height:
        return {}
    found = rows.row(0 if config.contacts.keep == "first" else -1, named=True)
    return {name: as_text(found[name]) for name in source.columns}


def _sent_value(content: Any, name: str, destination: Destination) -> str | None:
    field = destination.field_for(name)
    parent = field.name.removesuffix(".*") if field is not None and field.family else None
    path = [*parent.split("."), name.removeprefix(f"{parent}.")] if parent else name.split(".")
    for part in path:
        content = content.get(part) if isinstance(content, dict) else None
    return content if content is None or isinstance(content, str) else json.dumps(content)


def as_text(value: Any) -> str | None:
    """A cell as a person reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
