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
from functools import partial
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

from tests.simulation.findings import Finding
from tests.simulation.life import live
from tests.simulation.marks import unreached
from tests.simulation.plan import FAULTS, Plan, make_plan
from tests.simulation.shrink import shrink
from tests.simulation.teeth import show_teeth

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
    parser.add_argument("--findings", type=int, default=10, help="stop after so many")
    parser.add_argument(
        "--shrink",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for a shorter life with the same finding",
    )
    parser.add_argument("--teeth", action="store_true", help="with each known fault put in")
    options = parser.parse_args()
    without = frozenset(filter(None, options.without.split(",")))
    if not without <= set(FAULTS):
        parser.error(f"--without: specify some of {', '.join(FAULTS)}")
    if options.teeth:
        return 0 if show_teeth(options.seeds or 1000, options.findings) else 1
    place = tempfile.mkdtemp(prefix="simulation-", dir=_FAST if _FAST.is_dir() else None)
    tempfile.tempdir = place
    try:
        return _campaign(options, Path(place), without)
    finally:
        tempfile.tempdir = None
        shutil.rmtree(place, ignore_errors=True)


def _campaign(options: argparse.Namespace, place: Path, without: frozenset[str]) -> int:
    """One life after another; what they came to is told at the end."""
    first = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    seeds = options.seeds or (1 if options.seed is not None else 1000)
    print(f"first seed {first}", flush=True)
    began, cpu = time.monotonic(), time.process_time()
    lives = findings = 0
    marks: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        over = options.minutes and time.monotonic() - began > 60 * options.minutes
        if over or findings >= options.findings:
            break
        plan = make_plan(seed, most=options.records, without=without)
        found = _one(plan, place, marks, verbose=options.verbose)
        lives += 1
        if found:
            findings += 1
            print(f"{seed}: FOUND {found}", flush=True)
            if options.shrink:
                kind = found.partition(":")[0]
                print(f"  {shrink(plan, kind, partial(_kind, place))}", flush=True)
    missing = unreached(marks, 0 if without else lives)
    for mark in missing:
        print(f"{first}: FOUND no life came to this: {mark}")
    seconds = time.process_time() - cpu
    print(
        f"{lives} lives, {findings} findings, {time.monotonic() - began:.0f} s,"
        f" {lives / max(seconds, 1e-9):.1f} lives a second of CPU"
    )
    for mark, count in sorted(marks.items()):
        print(f"  {count:>9,} {mark}")
    return 1 if findings or missing else 0


def _kind(place: Path, plan: Plan) -> str | None:
    """The kind of what is found in a life."""
    found = _one(plan, place, Counter(), verbose=False)
    return found and found.partition(":")[0]


def _one(plan: Plan, place: Path, marks: Counter[str], *, verbose: bool) -> str | None:
    """One life; what was found in it."""
    try:
        with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as own:
            summary = live(plan, Path(own), print if verbose else None)
    except Finding as finding:
        return str(finding)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        return traceback.format_exc()
    marks.update(summary.marks)
    if verbose:
        print(summary.digest)
    return None


if __name__ == "__main__":
    sys.exit(main())
