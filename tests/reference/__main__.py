"""Compare plans of random jobs with the row-by-row reference, for as many seeds as one likes.

    python -m tests.reference --seeds 1000 --seed 1

A seed stands for one job, and for a chain of jobs that come after one another. Each finding is one
line that begins with its seed. Every job follows from its seed alone. Ends with 1 if there is a
finding, with 2 where the command line is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tests.reference.comparison import differences, differences_in_chain
from tests.reference.configurations import random_chain, random_job

_PARTS = (None, 1, 7)  # as many parts as the program would take, one, and more than it would
_SHOWN = 5  # findings of one seed; the others mostly have the same cause


def findings(seed: int) -> list[str]:
    """What is wrong with the plans of a seed's jobs. A crash of either program is a finding."""
    parts = _PARTS[seed % len(_PARTS)]
    return [
        *_findings("job", lambda: differences(random_job(seed), parts)),
        *_findings("chain", lambda: differences_in_chain(random_chain(seed), parts)),
    ]


def _findings(what: str, compare: Callable[[], list[str]]) -> list[str]:
    try:
        return [f"{what}: {each}" for each in compare()]
    except Exception as error:  # noqa: BLE001 - the next seeds are wanted, too
        return [f"{what}: {type(error).__name__}: {error}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many of them")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    if given.seeds < 1 or given.jobs < 1:
        parser.error("there is nothing to compare")
    seeds = range(given.seed, given.seed + given.seeds)
    wrong = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for seed, found in zip(seeds, pool.map(findings, seeds), strict=True):
            wrong += bool(found)
            for each in found[:_SHOWN]:
                print(f"{seed}: {' '.join(each.split())}", flush=True)
            if len(found) > _SHOWN:
                print(f"{seed}: and {len(found) - _SHOWN} more")
    print(f"{given.seeds:,} seeds compared, {wrong} of them with findings", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
