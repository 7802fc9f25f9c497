"""The names of the files in a job's directory.

They stand at the bottom because readers of sources must pass such a directory over, and writers
must never write into one.
"""

from __future__ import annotations

__all__ = ["LEDGER", "LEDGERS", "LEDGER_PLACE", "MANIFEST", "OWN_NAMES", "PACE", "PUBLISHED"]

MANIFEST = "manifest.json"

LEDGER = "ledger.sqlite"
"""The ledger's name in a job's directory, which no other directory has."""

LEDGER_PLACE = "ledger.json"
"""Stands in the ledger's place where that lies in a database, and names it."""

LEDGERS = (LEDGER, LEDGER_PLACE)
"""A directory that holds one of them is a job's."""

PACE = "pace.json"
"""How fast the job is to go, where `backfill pace` said so."""

OWN_NAMES = frozenset(
    {MANIFEST, PACE, "manifest.draft", "ready", "sources"}
    | {"excluded.parquet", "rejected.parquet", "duplicates.parquet"}
    | {".lock", ".preparing"}
)
"""What a job keeps in its directory besides its ledger and that one's companions."""

PUBLISHED = "job.json"
"""Names the plan that holds, in an object store and in the copy of what lies there."""
