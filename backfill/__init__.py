"""Deliver a company's history to Prelude Watch and Pristo, every row in one known state.

import backfill

job = backfill.plan("pristo.toml")
job.run(rate="50/s")
job.records(state="failed")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from backfill.core.errors import BackfillError
from backfill.core.version import VERSION

if TYPE_CHECKING:
    from backfill.api import Job, init, open_job, plan
    from backfill.checks.explanations import explain
    from backfill.jobs.status import Status

__version__ = VERSION

__all__ = ["BackfillError", "Job", "Status", "__version__", "explain", "init", "open_job", "plan"]

_HOMES = {
    "Job": "backfill.api",
    "Status": "backfill.jobs.status",
    "explain": "backfill.checks.explanations",
    "init": "backfill.api",
    "open_job": "backfill.api",
    "plan": "backfill.api",
}


def __getattr__(name: str) -> Any:
    # Found when first asked for, because the command line's help must not wait for Polars.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
