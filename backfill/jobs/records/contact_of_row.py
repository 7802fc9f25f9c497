"""The contact that a row was joined with, read again from the contacts' files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from backfill.checks.text import as_text as text_of
from backfill.checks.uuids import one_spelling
from backfill.config import Config
from backfill.core.errors import ConfigError, SourceError
from backfill.jobdir.manifest import Manifest
from backfill.prepare.sql.expressions import row_expression
from backfill.prepare.sql.paths import path_value, root_of
from backfill.sources.scan import Source, open_source
from backfill.sources.schemas import flattened

__all__ = ["as_text", "contact_of", "read_cell"]

_WHERE = "the job"


def contact_of(row: pl.DataFrame, manifest: Manifest, config: Config | None) -> pl.DataFrame | None:
    """The contact's columns in one row; None where there is none, or where it cannot be read."""
    shape = manifest.shape
    if config is None or config.contacts is None or shape.get("contacts") is None:
        return None
    wanted, key = shape["events"].get("contact_key"), shape["contacts"]["key"]
    if wanted is None:
        return None
    zone = shape["events"].get("timezone")
    try:
        name = row.select(_key(wanted, row.schema, zone)).item()
        if name is None:
            return None
        source = open_source(config.contacts, config.directory, what="contacts")
        found = _found(source, _key(key, source.schema, zone), name)
    except (SourceError, ConfigError, pl.exceptions.PolarsError, OSError):
        return None
    if not found.height:
        return None
    match shape["contacts"]["keep"]:
        case "first":
            return found.head(1)
        case "last":
            return found.tail(1)
    return found.select(pl.col(name).filter(_said(found, name)).last() for name in found.columns)


def _found(source: Source, key: pl.Expr, name: str) -> pl.DataFrame:
    rows = source.scan().filter(pl.col("__raw").is_null() & (key == name))
    # Left to the scan, a filter in Python would be pickled, by a package that only Dask brings.
    here = pl.QueryOptFlags(predicate_pushdown=False)
    found = rows.select("__file", "__row", *source.columns)
    return (
        found.collect(engine="streaming", optimizations=here)
        .sort("__file", "__row")
        .select(source.columns)
    )


def _said(frame: pl.DataFrame, name: str) -> pl.Expr:
    value = pl.col(name)
    there = value.is_not_null()
    return there & (value != "") if frame.schema[name] == pl.String else there


def _key(
    spec: str | Mapping[str, Any], schema: Mapping[str, pl.DataType], zone: str | None
) -> pl.Expr:
    """The text that joins a side with the other one."""
    raw, dtype = _value(_as_column(spec), schema)
    return one_spelling(text_of(raw, dtype, timezone=zone).value)


def _as_column(spec: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": spec} if isinstance(spec, str) else spec


def _value(
    spec: Mapping[str, Any], schema: Mapping[str, pl.DataType]
) -> tuple[pl.Expr, pl.DataType]:
    """What a column, a way into one, or SQL gives, and its type."""
    if "text" in spec:
        raw = row_expression(spec["text"], schema, where=_WHERE)
        return raw, pl.LazyFrame(schema=dict(schema)).select(raw.alias("v")).collect_schema()["v"]
    name = spec["name"]
    if name in schema:
        return pl.col(name), schema[name]
    root = root_of(name, schema)
    if root is None:
        raise SourceError(f"there is no column {name!r}", where=_WHERE)
    return path_value(name, root, schema, where=_WHERE)


def read_cell(row: pl.DataFrame, spec: Mapping[str, Any]) -> str | None:
    """What a column or SQL gives for a row, as a person reads it; None where it gives nothing."""
    try:
        raw, dtype = _value(spec, row.schema)
        return as_text(row.select(raw.alias("value")).select(flattened("value", dtype)).item())
    except (ConfigError, SourceError, pl.exceptions.PolarsError):
        return None


def as_text(value: Any) -> str | None:
    """A cell as a person reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=as_text)
    return str(value)
