"""The configuration: what its file may say, as typed values."""

from __future__ import annotations

from backfill.config.cluster import Cluster
from backfill.config.config import Config, with_defaults
from backfill.config.delivery import Delivery
from backfill.config.field_specs import Column, Constant, FieldSpec, Lookup, Sql
from backfill.config.load import config_from_mapping, load_config
from backfill.config.rules import Dedupe, Rules
from backfill.config.sources import Contacts, Events, Files
from backfill.config.values import Rate, Share

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
