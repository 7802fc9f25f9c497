"""From what stood in a row to what is sent, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from backfill.checks.phone.how_dialled import how_dialled, stray_mark
from backfill.config import Config
from backfill.destination import Destination
from backfill.jobdir.manifest import Manifest
from backfill.jobs.records.contact_of_row import as_text, contact_of, read_cell
from backfill.prepare.mapping.inputs import Side
from backfill.prepare.sql.paths import root_of

__all__ = ["FieldStory", "as_text", "field_stories"]


@dataclass(frozen=True, slots=True)
class FieldStory:
    """One field of the body: where it comes from, what stood there, what is sent.

    `raw` is None where it is missing or not known any more; `sent` where the field is left out or
    the record is not sent. `note` says of a phone that is refused how its country was read.
    """

    name: str
    origin: str
    raw: str | None
    sent: str | None
    broken: tuple[str, ...] = ()
    left_out: bool = False  # the record is sent, and this field is not in it
    note: str | None = None

    def __str__(self) -> str:
        raw = "—" if self.raw is None else self.raw
        sent = "left out" if self.left_out else self.sent
        said = raw if sent is None or sent == raw else f"{raw} → {sent}"
        said = f"{said} ({', '.join(self.broken)})" if self.broken else said
        return f"{said}: {self.note}" if self.note else said


def field_stories(
    row: pl.DataFrame,
    *,
    reason: str | None,
    body: str | None,
    manifest: Manifest,
    destination: Destination,
    config: Config | None,
) -> tuple[FieldStory, ...]:
    """Each mapped field of a record, from the source's own columns in `row` to what is sent.

    A contact's columns are read from the contacts' files; where that is not possible any more,
    they are not known.
    """
    broken = reason.split(";") if reason and "|" in reason else []
    content = json.loads(body) if body else {}
    values = _Values(row, contact_of(row, manifest, config), manifest)
    specs: dict[str, Any] = dict(manifest.shape["fields"])
    time = destination.time_field
    if time is not None and time not in specs:
        specs[time] = _as_spec(manifest.shape["events"].get("time"))
    sent = {name: _sent_value(content, name, destination) for name in specs}
    return tuple(
        FieldStory(
            name,
            _origin(spec, values.side(spec)),
            raw := values.text(spec),
            sent[name],
            rules := tuple(each for each in broken if each.rpartition("|")[0] == name),
            left_out=body is not None and sent[name] is None,
            note=values.country(spec, raw) if f"{name}|e164" in rules else None,
        )
        for name, spec in specs.items()
    )


class _Values:
    """What stood in a row and in its contact, by what a configuration says of a field."""

    def __init__(self, row: pl.DataFrame, contact: pl.DataFrame | None, manifest: Manifest) -> None:
        self._row = row
        self._contact = contact
        self._manifest = manifest

    def text(self, spec: Mapping[str, Any]) -> str | None:
        if "value" in spec:
            return str(spec["value"])
        there = self._columns(spec)
        return None if there is None else read_cell(there, spec.get("column", spec))

    def country(self, spec: Mapping[str, Any], phone: str | None) -> str | None:
        """How a phone that is refused was read, where `phone_region` is set."""
        region = self._manifest.shape["rules"].get("phone_region")
        there = self._columns(spec)
        if phone is not None and (mark := stray_mark(phone)):
            return mark
        if region is None or phone is None or there is None:
            return None
        if isinstance(region, str):
            return how_dialled(phone, region)
        code = read_cell(there, region.get("column", region))
        names = {str(name).strip(): str(code) for name, code in region.get("values", ())}
        return how_dialled(phone, names.get((code or "").strip(), code))

    def side(self, spec: Mapping[str, Any]) -> Side:
        """Where a column is that a configuration may name without its side."""
        column = spec.get("column", spec)
        side, name = column.get("side"), column.get("name")
        theirs = side == "contacts" or (
            side is None and name is not None and not _has(self._row, name)
        )
        return "contacts" if theirs else "events"

    def _columns(self, spec: Mapping[str, Any]) -> pl.DataFrame | None:
        return self._contact if self.side(spec) == "contacts" else self._row


def _has(frame: pl.DataFrame, name: str) -> bool:
    return name in frame.columns or root_of(name, frame.columns) is not None


def _as_spec(value: Any) -> dict[str, Any]:
    """A column that stands elsewhere than under [fields], as if it stood there."""
    return {"name": value, "side": "events"} if isinstance(value, str) else dict(value or {})


def _origin(spec: Mapping[str, Any], side: Side) -> str:
    if "value" in spec:
        return "constant"
    if "text" in spec:
        return f"{side}, SQL: {spec['text']}"
    table = ", by a table" if "values" in spec else ""
    return f"{side}.{spec.get('column', spec).get('name')}{table}"


def _sent_value(content: Any, name: str, destination: Destination) -> str | None:
    field = destination.field_for(name)
    parent = field.name.removesuffix(".*") if field is not None and field.family else None
    path = [*parent.split("."), name.removeprefix(f"{parent}.")] if parent else name.split(".")
    for part in path:
        content = content.get(part) if isinstance(content, dict) else None
    return content if content is None or isinstance(content, str) else json.dumps(content)
