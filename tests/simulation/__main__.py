"""`python -m tests.simulation --seeds 1000 --seed 1 --minutes 10`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("POLARS_ENGINE_AFFINITY", "in-memory")  # quickest for a few records

from tests.simulation.campaign import Batch, Lived, hear_nothing, kind_of, live_many, plans
from tests.simulation.checks.marks import unreached
from tests.simulation.plan import FAULTS
from tests.simulation.several import marks as of_several
from tests.simulation.several.plan import FAULTS as OF_SEVERAL
from tests.simulation.several.plan import SharedPlan
from tests.simulation.several.running import in_child, running_database
from tests.simulation.shrink import shrink
from tests.simulation.teeth import show_teeth

__all__ = ["main"]

_FAST = Path("/dev/shm")  # noqa: S108 - a file system in memory
_FOREVER = 10**9  # lives


def main() -> int:
    """Live the lives; one line for each finding, with its seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many lives")
    parser.add_argument("--seed", type=int, help="of the first life; the next is +1")
    parser.add_argument("--minutes", type=float, help="after which no life begins")
    parser.add_argument("--jobs", type=int, help="processes; as many as there are cores")
    parser.add_argument("--verbose", action="store_true", help="tell each life step by step")
    parser.add_argument("--several", action="store_true", help="only lives of several deliverers")
    parser.add_argument("--records", type=int, help="at most so many in a life")
    parser.add_argument("--without", default="", help="faults to leave out, with commas between")
    parser.add_argument(
        "--findings", type=int, help="stop after so many, or so many of each fault: 10"
    )
    parser.add_argument(
        "--shrink",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for a shorter life with the same finding",
    )
    parser.add_argument("--teeth", action="store_true", help="with each known fault put in")
    parser.add_argument("--tooth", default="", help="only faults whose name contains this")
    options = parser.parse_args()
    without = frozenset(filter(None, options.without.split(",")))
    faults = OF_SEVERAL if options.several else FAULTS
    if not without <= set(faults):
        parser.error(f"--without: specify some of {', '.join(faults)}")
    if options.jobs is None:
        options.jobs = len(os.sched_getaffinity(0))
    hear_nothing()
    fast = _FAST if _FAST.is_dir() else None
    place = tempfile.mkdtemp(prefix="simulation-", dir=fast)
    tempfile.tempdir = place
    try:
        with running_database(fast) as database:
            if options.several and database is None:
                return 2
            if options.teeth:
                return in_child(lambda: 0 if _teeth(options, database) else 1)
            return in_child(lambda: _campaign(options, Path(place), without, database))
    finally:
        tempfile.tempdir = None
        shutil.rmtree(place, ignore_errors=True)


def _teeth(options: argparse.Namespace, database: str | None) -> bool:
    return show_teeth(
        options.seeds or 1000,
        options.findings or 10,
        options.jobs,
        options.tooth,
        seconds=60 * options.minutes if options.minutes else None,
        database=database,
        several=options.several,
    )


def _campaign(
    options: argparse.Namespace, place: Path, without: frozenset[str], database: str | None
) -> int:
    """One life after another; what they came to is told at the end."""
    first = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    usual = _FOREVER if options.minutes else 1 if options.seed is not None else 1000
    until = time.monotonic() + 60 * options.minutes if options.minutes else None
    count = options.seeds or usual
    batch = Batch(first, count, options.records, without, until, database, options.several)
    print(f"first seed {first}", flush=True)
    began = time.monotonic()
    lived = Lived()
    for part in [_told(batch)] if options.verbose else live_many(batch, place, options.jobs):
        lived.add(part)
        for plan, found in part.findings:
            several = " --several" if isinstance(plan, SharedPlan) else ""
            print(f"{plan.seed}{several}: FOUND {found}", flush=True)
            if options.shrink:
                print(f"  {shrink(plan, found.partition(':')[0], kind_of)}", flush=True)
        over = until is not None and time.monotonic() > until
        if over or len(lived.findings) >= (options.findings or 10):
            break
    alone = lived.lives - lived.several
    missing = unreached(lived.marks, 0 if without else alone)
    missing += of_several.unreached(lived.marks, 0 if without else lived.several)
    for mark in missing:
        print(f"{first}: FOUND no life came to this: {mark}")
    print(
        f"{alone} lives, {lived.several} of several deliverers, {len(lived.findings)} findings,"
        f" {time.monotonic() - began:.0f} s,"
        f" {lived.lives / max(lived.seconds, 1e-9):.1f} lives a second of CPU"
    )
    for mark, count in sorted(lived.marks.items()):
        print(f"  {count:>9,} {mark}")
    return 1 if lived.findings or missing else 0


def _told(batch: Batch) -> Lived:
    """The lives step by step."""
    lived = Lived()
    for plan in plans(batch):
        lived.live(plan, print)
    return lived


if __name__ == "__main__":
    sys.exit(main())
