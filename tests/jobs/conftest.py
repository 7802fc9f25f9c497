"""A job that was planned, and its ledger, without a source or a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill.ledger import Ledger
from tests.report import jobs


@pytest.fixture
def job(tmp_path: Path):
    """75 records came in: 5 were rejected, 5 are duplicates, and 65 are to be sent."""
    return jobs.make_job(tmp_path / "a.job", buckets=(40, 25), rejected=5, duplicate=5)


@pytest.fixture
def ledger(job):
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        yield ledger
