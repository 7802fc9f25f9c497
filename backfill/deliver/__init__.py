"""Ready buckets to the destination: lanes, pacing, connections, verdicts, and when to stop."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backfill.deliver.delivery import deliver
    from backfill.deliver.run.reached import was_sent
    from backfill.deliver.run.run_metrics import Snapshot
    from backfill.deliver.run.settings import Settings
    from backfill.deliver.run.stopping import StopRequest
    from backfill.deliver.together.joining import Joined, join

__all__ = [
    "Joined",
    "Settings",
    "Snapshot",
    "StopRequest",
    "deliver",
    "join",
    "was_sent",
]

_HOMES = {
    "Joined": "backfill.deliver.together.joining",
    "join": "backfill.deliver.together.joining",
    "Settings": "backfill.deliver.run.settings",
    "Snapshot": "backfill.deliver.run.run_metrics",
    "StopRequest": "backfill.deliver.run.stopping",
    "deliver": "backfill.deliver.delivery",
    "was_sent": "backfill.deliver.run.reached",
}


def __getattr__(name: str) -> Any:
    # Found when first asked for: whoever looks at a job must not wait for what sends it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
