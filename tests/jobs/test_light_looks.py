"""Looking at a job waits for nothing that only planning or sending needs."""

from __future__ import annotations

import subprocess
import sys

import backfill
from tests.acceptance.sources import pristo_job

LOOK = """
import sys
from backfill.jobs.opening import open_job
print(open_job(sys.argv[1]).status().books.pending)
print(sorted({"polars", "httpx", "httptools", "obstore"} & set(sys.modules)))
"""


def test_a_status_loads_neither_polars_nor_the_transport(tmp_path):
    job = backfill.plan(pristo_job(tmp_path, 30))
    done = subprocess.run(
        [sys.executable, "-c", LOOK, job.directory],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["30", "[]"], done.stderr
