"""The names of the files in a job's directory.

They stand at the bottom because readers of sources must pass such a directory over, and writers
must never write into one.
"""

from __future__ import annotations

__all__ = ["LEDGER", "MANIFEST", "OWN_NAMES", "PACE"]

MANIFEST = "manifest.json"

LEDGER = "ledger.sqlite"
"""The ledger's name in a job's directory, which no other directory has."""

PACE = "pace.json"
"""How fast the job is to go, where `backfill pace` said so."""

OWN_NAMES = frozenset(
    {MANIFEST, PACE, "manifest.draft", "ready", "sources"}
    | {"excluded.parquet", "rejected.parquet", "duplicates.parquet"}
    | {".lock", ".preparing"}
)
"""What a job keeps in its directory besides its ledger and that one's companions."""
