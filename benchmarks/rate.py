"""How much of a limit that it does not know an automatic rate uses, and at what cost.

    python -m benchmarks.rate
    python -m benchmarks.rate --limit 40

In virtual time, with late timers and a network whose delays vary: jobs that would take 20 and 100
seconds at the limit, without and with a `Retry-After` in whole seconds. The share is of the limit
over the whole job, the start included; above 1 the server's burst or first window was used, too.
Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.deliver.pacing.limiters import (
    Bucket,
    ConcurrencyLimit,
    FixedWindow,
    LeakyQueue,
    Limiter,
    Scheduled,
    SlidingWindow,
)
from tests.deliver.pacing.simulation import simulate

_SEEDS = range(3)  # the worst of them counts


def limiters(limit: float) -> dict[str, Callable[[], Limiter]]:
    """Limiters of every usual kind, by name."""
    changed = 1.25 * limit
    return {
        "token bucket, no burst": lambda: Bucket(limit, 1),
        "token bucket, burst of 0.1 s": lambda: Bucket(limit, max(2.0, limit / 10)),
        "token bucket, burst of 1 s": lambda: Bucket(limit, limit),
        "token bucket, burst of 10 s": lambda: Bucket(limit, 10 * limit),
        "window of 1 s": lambda: FixedWindow(limit, 1.0),
        "window of 10 s": lambda: FixedWindow(limit, 10.0),
        "window of 60 s": lambda: FixedWindow(limit, 60.0),
        "window of 60 s, begun before": lambda: FixedWindow(limit, 60.0, 38.0),
        "sliding 1 s": lambda: SlidingWindow(limit, 1.0),
        "sliding 10 s": lambda: SlidingWindow(limit, 10.0),
        "sliding 60 s": lambda: SlidingWindow(limit, 60.0),
        "queue of 20": lambda: LeakyQueue(limit, 20),
        "so many at a time": lambda: ConcurrencyLimit(max(1, round(limit * 0.02)), 0.02),
        "a quarter more at first": lambda: Scheduled(
            Bucket(limit, limit / 10), lambda now: changed if now < 10 else limit
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=float, default=150.0, help="requests a second")
    given = parser.parse_args()
    print(f"A limit of {given.limit:g} requests a second, 20 ms a reply; share and refusals.\n")
    print("| limiter | 20 s | 100 s | 20 s, Retry-After | 100 s, Retry-After |")
    print("|---|---:|---:|---:|---:|")
    for name, make in limiters(given.limit).items():
        cells = []
        for says_when in (False, True):
            for seconds in (20, 100):
                runs = [
                    simulate(make(), requests=seconds * given.limit, says_when=says_when, seed=seed)
                    for seed in _SEEDS
                ]
                share = min(run.share(make().limit) for run in runs)
                refused = max(run.refusals() for run in runs)
                early = sum(run.early for run in runs)
                cells.append(f"{share:.2f}, {refused:.2%}" + (f", {early} early" if early else ""))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
