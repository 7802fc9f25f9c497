"""The configuration: what its file may say, as typed values."""

from __future__ import annotations

from backfill.config.cluster import Cluster
from backfill.config.load import config_from_mapping, load_config
from backfill.config.types import (
    Column,
    Config,
    Constant,
    Contacts,
    Dedupe,
    Delivery,
    Events,
    FieldSpec,
    Files,
    Lookup,
    Rate,
    Rules,
    Share,
    Sql,
    with_defaults,
)

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
    "Share",
    "Sql",
    "config_from_mapping",
    "load_config",
    "with_defaults",
]
