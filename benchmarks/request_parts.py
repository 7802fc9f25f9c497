"""What a request's CPU time is spent on, part by part, from a sampling profile.

    python -m benchmarks.request_parts
    python -m benchmarks.request_parts --tree ../an-older-checkout

Delivers the job that `benchmarks.deliver` does. A timer that runs with the process's CPU time looks
at the event loop's thread, and what that thread has used since is added to the part of the
innermost function of backfill that it is in: what the parser, the sockets or the queue of a thread
do for a part is that part's. Commits, in a thread of their own, take their own time. With `--tree`
the code of another checkout is measured. Each measurement is a process, taken in turns with the
other's, and the median of the rounds counts. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from backfill.core.model import Batch, Settlement, Tick
from backfill.ledger import Ledger
from benchmarks.deliver import backfill
from benchmarks.endpoint import endpoint
from benchmarks.ready_jobs import make_job

_EVERY = 0.002  # seconds of CPU
_LOOP = "event loop"
_COMMITS = "ledger, commits"
_READING = "ready files"
_PARTS = {
    "destination/": "verdict",
    "destinations/": "verdict",
    "deliver/http/redaction": "verdict",
    "deliver/http/response_reader": "verdict",
    "deliver/http/": "transport",
    "deliver/run/send": "transport",
    "deliver/run/group_commit": "ledger, groups",
    "ledger/": "ledger, groups",
    "deliver/pacing/": "pacing",
    "deliver/run/ready_reader": _READING,
    "deliver/run/lane_queue": _READING,
    "deliver/": "lanes and counts",
}
"""Which module belongs to which part; the first that fits."""


class _Profile:
    """CPU seconds of this process by part, from entering the block to its end."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __enter__(self) -> _Profile:
        self._began = time.process_time() - time.thread_time()
        self._looked = time.thread_time()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        others = time.process_time() - time.thread_time() - self._began
        self.seconds[_READING] += others - self.seconds[_COMMITS]

    def _look(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        self.seconds[_part(frame)] += now - self._looked
        self._looked = now


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_code.co_filename.rpartition("/backfill/")[2]
        for start, name in _PARTS.items():
            if module.startswith(start):
                return name
        frame = frame.f_back
    return _LOOP


def profiled(url: str, directory: str, *, uvloop: bool) -> dict[str, Any]:
    """One run: its requests, and the CPU seconds of each part."""
    profile = _Profile()
    commit = Ledger.commit

    def timed(
        self: Ledger,
        settled: Sequence[Settlement],
        started: Sequence[Batch],
        tick: Tick | None = None,
    ) -> None:
        began = time.thread_time()
        commit(self, settled, started, tick)
        profile.seconds[_COMMITS] += time.thread_time() - began

    Ledger.commit = timed  # type: ignore[method-assign]
    with profile:
        taken = backfill(url, directory, None, uvloop=uvloop)
    return {"requests": taken["requests"], "seconds": dict(profile.seconds)}


def measure(job: Path, tree: Path, url: str, core: int, *, uvloop: bool) -> dict[str, float]:
    """CPU microseconds of a request by part, in a process of its own with the code of a tree."""
    for old in job.glob("ledger.sqlite*"):
        old.unlink()
    found: dict[str, Any] = json.loads(_with(tree, "--one", url, str(job), core, uvloop))
    return {part: 1e6 * each / found["requests"] for part, each in found["seconds"].items()}


def _with(tree: Path, what: str, *arguments: object) -> bytes:
    """What this very program prints, with the code of a tree."""
    command = [sys.executable, __file__, what, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{tree}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True, timeout=600
    )
    return done.stdout


def table(columns: dict[str, list[dict[str, float]]]) -> None:
    parts = sorted({part for rounds in columns.values() for each in rounds for part in each})
    print(f"| part | {' | '.join(columns)} |")
    print(f"|---|{'---:|' * len(columns)}")
    for part in parts:
        cells = [
            f"{statistics.median(each.get(part, 0.0) for each in rounds):.1f}"
            for rounds in columns.values()
        ]
        print(f"| {part} | {' | '.join(cells)} |")
    cells = [
        f"{statistics.median(sum(each.values()) for each in rounds):.1f}"
        for rounds in columns.values()
    ]
    print(f"| all | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tree", type=Path, help="another checkout, to be compared with this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        directory, requests = json.loads(given.make)
        make_job(Path(directory), "pristo-events", requests)
        return
    if given.one:
        url, job, core, uvloop = json.loads(given.one)
        os.sched_setaffinity(0, {core})
        print(json.dumps(profiled(url, job, uvloop=uvloop)))
        return
    here = Path(__file__).resolve().parent.parent
    trees = {"before": given.tree.resolve()} if given.tree else {}
    trees["now"] = here
    cores = sorted(os.sched_getaffinity(0))
    columns: dict[str, list[dict[str, float]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="backfill-benchmark-") as room,
        endpoint(cores[-1]) as (url, what),
    ):
        for name, tree in trees.items():  # each understands its own jobs
            _with(tree, "--make", str(Path(room, name)), given.requests)
        print(f"Pristo, {what}: CPU microseconds of a request.\n")
        for _ in range(given.rounds):
            for name, tree in trees.items():
                found = measure(Path(room, name), tree, url, cores[0], uvloop=given.uvloop)
                columns.setdefault(name, []).append(found)
    table(columns)


if __name__ == "__main__":
    main()
