"""Ready buckets to the destination: lanes, pacing, connections, verdicts, and when to stop."""

from __future__ import annotations

from backfill.deliver.pacing import state_directory
from backfill.deliver.run.reached import was_sent
from backfill.deliver.run.run import deliver
from backfill.deliver.run.run_metrics import Snapshot
from backfill.deliver.run.settings import Settings
from backfill.deliver.run.stopping import StopRequest

__all__ = ["Settings", "Snapshot", "StopRequest", "deliver", "state_directory", "was_sent"]
