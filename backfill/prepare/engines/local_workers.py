"""Worker processes of this machine, started for one plan and stopped after it.

They are told to end by their standard input: it closes when this process ends, however it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backfill.prepare.engines.workers import ClusterError

__all__ = ["local_workers"]

_PRELOAD = "backfill.prepare.engines.end_with_parent"
_PATIENCE = 60.0  # seconds until a scheduler has said where it is
_GRACE = 5.0  # seconds for a process to end by itself
_TOLD = 2_000  # characters of what a process said before it died
_FORGOTTEN = "60s"  # after which a worker that says nothing has its tasks taken away


@contextmanager
def local_workers(count: int, credentials: Mapping[str, str]) -> Iterator[str]:
    """Start a scheduler and `count` workers, and yield the scheduler's address.

    Each worker has its share of the cores. `credentials` are the certificate of their authority,
    their own certificate and its key in PEM, under the names of Dask's options: on a machine with
    several users nobody else can have them run something.
    """
    threads = max(1, (os.cpu_count() or 1) // count)
    environment = {
        **os.environ,
        "POLARS_MAX_THREADS": str(threads),
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": _FORGOTTEN,
    }
    with tempfile.TemporaryDirectory(prefix="backfill-workers-") as directory:
        place = Path(directory)
        environment["DASK_TEMPORARY_DIRECTORY"] = directory
        options = ["--protocol", "tls", "--dashboard-address", "127.0.0.1:0"]
        for name, content in credentials.items():
            path = place / f"{name}.pem"
            path.touch(mode=0o600)
            path.write_text(content)
            options += [f"--{name}", str(path)]
        found = place / "scheduler.json"
        address = ["--host", "127.0.0.1", "--scheduler-file", str(found)]
        scheduler = ["--port", "0", "--preload", _PRELOAD]
        workers = [
            *("--nworkers", str(count), "--nthreads", "1", "--memory-limit", "0"),
            *("--preload-nanny", _PRELOAD),
        ]
        with (
            (place / "log").open("w+b") as log,
            _process(["scheduler", *address, *options, *scheduler], environment, log) as first,
            _process(["worker", *address, *options, *workers], environment, log) as second,
        ):
            yield _address(found, log, first, second)


@contextmanager
def _process(
    arguments: list[str], environment: Mapping[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: Ctrl-C is for us, and we end it in order.
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "dask", *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.close()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(found: Path, log: IO[bytes], *processes: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if found.exists():
            try:
                return str(json.loads(found.read_text())["address"])
            except ValueError:
                pass  # only half of it is written
        if any(process.poll() is not None for process in processes):
            break
        time.sleep(0.02)
    log.seek(0)
    said = log.read().decode(errors="replace")[-_TOLD:].strip()
    raise ClusterError(f"the worker processes do not start: {said or 'no reason is given'}")
