"""A past for a job, and how it stands after that."""

from __future__ import annotations

from backfill.core.model import State, Tick
from backfill.jobs.current_status import current_status
from backfill.jobs.status import Status
from backfill.ledger import Ledger
from tests.report import jobs

__all__ = ["ALL", "SOME", "URL", "stands", "told"]

URL = "https://api.example.com"


def stands(job, ledger: Ledger, **changes) -> Status:
    given = {"running": False, "name": "a.toml", "base_url": URL, **changes}
    return current_status(job.directory, job.manifest, ledger, **given)


def told(job, history: jobs.History) -> None:
    """A past of one request for each entry."""
    jobs.deliver(job, history, [Tick(jobs.NOW, sent=len(history))])


ALL = [(0, 40, State.DELIVERED, ""), (1, 25, State.DELIVERED, "")]
SOME = [(0, 40, State.DELIVERED, ""), (1, 3, State.FAILED, "bad"), (1, 2, State.UNKNOWN, "")]
