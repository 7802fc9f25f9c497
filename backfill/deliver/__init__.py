"""Ready buckets to the destination: lanes, pacing, connections, verdicts, and when to stop."""

from __future__ import annotations

from backfill.deliver.meter import Snapshot
from backfill.deliver.run import REACHED, Settings, deliver
from backfill.deliver.stopping import Halt

__all__ = ["REACHED", "Halt", "Settings", "Snapshot", "deliver"]
