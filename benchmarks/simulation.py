"""How many simulated lives of jobs one core lives in a second.

    python -m benchmarks.simulation --lives 300

The same lives each time, in one process, after one that loads what lives need. Counts the
processor's time; prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("POLARS_ENGINE_AFFINITY", "in-memory")  # quickest for a few records

from tests.simulation.campaign import Batch, Lived, live_many

WANTED = 20
"""Lives in a second of one core."""

_FAST = Path("/dev/shm")  # noqa: S108 - a file system in memory


def measure(lives: int, place: Path) -> Lived:
    """The lives from the first one on, and what they took."""
    lived = Lived()
    for part in live_many(Batch(1, lives), place, 1):
        lived.add(part)
    return lived


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lives", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3, help="whose median counts")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="lives-", dir=_FAST if _FAST.is_dir() else None))
    try:
        measure(1, place)
        rounds = [measure(given.lives, place) for _ in range(given.rounds)]
    finally:
        tempfile.tempdir = None
        shutil.rmtree(place)
    speed = statistics.median(each.lives / each.seconds for each in rounds)
    short = ": **falls short**" if speed < WANTED else ""
    print("| lives | findings | lives a CPU second | wanted |")
    print("|---:|---:|---:|---:|")
    findings = sum(len(each.findings) for each in rounds)
    print(f"| {given.lives} | {findings} | {speed:.1f} | at least {WANTED}{short} |")


if __name__ == "__main__":
    main()
