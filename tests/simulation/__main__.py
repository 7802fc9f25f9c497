"""`python -m tests.simulation --seeds 1000 --seed 1 --minutes 10`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

from tests.simulation.findings import Finding
from tests.simulation.life import live
from tests.simulation.plan import FAULTS, make_plan

__all__ = ["main"]

_FAST = Path("/dev/shm")  # noqa: S108 - a file system in memory


def main() -> int:
    """Live the lives; one line for each finding, with its seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many lives")
    parser.add_argument("--seed", type=int, help="of the first life; the next is +1")
    parser.add_argument("--minutes", type=float, help="begin no life after so many minutes")
    parser.add_argument("--verbose", action="store_true", help="tell each life step by step")
    parser.add_argument("--records", type=int, help="at most so many in a life")
    parser.add_argument("--without", default="", help="faults to leave out, with commas between")
    parser.add_argument("--keep-going", type=int, default=10, help="findings before it stops")
    options = parser.parse_args()
    without = frozenset(filter(None, options.without.split(",")))
    if not without <= set(FAULTS):
        parser.error(f"--without: specify some of {', '.join(FAULTS)}")
    first = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    seeds = options.seeds or (1 if options.seed is not None else 1000)
    place = tempfile.mkdtemp(prefix="simulation-", dir=_FAST if _FAST.is_dir() else None)
    tempfile.tempdir = place
    print(f"first seed {first}", flush=True)
    began, cpu = time.monotonic(), time.process_time()
    lives = findings = 0
    marks: Counter[str] = Counter()
    try:
        for seed in range(first, first + seeds):
            if options.minutes and time.monotonic() - began > 60 * options.minutes:
                break
            plan = make_plan(seed, most=options.records, without=without)
            tell = print if options.verbose else None
            try:
                with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as own:
                    summary = live(plan, Path(own), tell)
                marks.update(summary.marks)
                if options.verbose:
                    print(summary.digest)
            except Finding as finding:
                findings += 1
                print(f"{seed}: FOUND {finding}", flush=True)
            except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                findings += 1
                print(f"{seed}: FOUND {traceback.format_exc()}", flush=True)
            lives += 1
            if findings >= options.keep_going:
                break
    finally:
        tempfile.tempdir = None
        shutil.rmtree(place, ignore_errors=True)
    seconds = time.process_time() - cpu
    print(
        f"{lives} lives, {findings} findings, {time.monotonic() - began:.0f} s,"
        f" {lives / max(seconds, 1e-9):.1f} lives a second of CPU"
    )
    for mark, count in sorted(marks.items()):
        print(f"  {count:>9,} {mark}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
