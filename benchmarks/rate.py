"""How much of a limit that it does not know an automatic rate uses, and at what cost.

    python -m benchmarks.rate
    python -m benchmarks.rate --limit 30 70 400
    python -m benchmarks.rate --sockets

In virtual time, with a network whose delays vary and timers of a machine that has other work: 2 ms
late on average, and some 20 ms. Jobs that would take 20 and 100 seconds at the limit, without and
with a `Retry-After` in whole seconds. The share is of the limit over the whole job, the start
included; above 1 the server's burst or first window was used, too. With `--sockets` also a
delivery with its ledger to a server on this machine, in real time: some three minutes, on cores
that have nothing else to do. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio

from backfill.core.secret import Secret
from backfill.deliver import Settings, StopRequest, deliver
from backfill.deliver.pacing.shared_budget import SharedBudget
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.ledger import Ledger
from benchmarks.limited_endpoint import limited_endpoint, seen_by
from benchmarks.ready_jobs import make_job
from tests.deliver.pacing.limiters import (
    Bucket,
    ConcurrencyLimit,
    FixedWindow,
    LeakyQueue,
    Limiter,
    Scheduled,
    SlidingWindow,
)
from tests.deliver.pacing.simulation import Outcome, simulate

_SEEDS = range(3)  # the worst of them counts
_LATE = 0.004  # seconds, of timers
_JOBS = 4

Headers = Callable[[Limiter, float], dict[str, str]]


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
        "limit that falls by a fifth": lambda: Scheduled(
            Bucket(limit, limit / 10), lambda now: changed if now < 10 else limit
        ),
    }


def _draft_10(limiter: Limiter, now: float) -> dict[str, str]:  # noqa: ARG001 - what servers know
    left, reset = limiter.left or (0.0, 0.0)
    return {
        "ratelimit-policy": f'"default";q={limiter.limit * 10:.0f};w=10',
        "ratelimit": f'"default";r={max(0.0, left):.0f};t={math.ceil(reset)}',
    }


def _draft_7(limiter: Limiter, now: float) -> dict[str, str]:  # noqa: ARG001
    left, reset = limiter.left or (0.0, 0.0)
    quota = limiter.limit * 10
    said = f"limit={quota:.0f}, remaining={max(0.0, left):.0f}, reset={math.ceil(reset)}"
    return {"ratelimit-policy": f"{quota:.0f};w=10", "ratelimit": said}


def _x_headers(limiter: Limiter, now: float) -> dict[str, str]:  # noqa: ARG001
    left, reset = limiter.left or (0.0, 0.0)
    return {
        "x-ratelimit-limit": f"{limiter.limit * 10:.0f}",
        "x-ratelimit-remaining": f"{max(0.0, left):.0f}",
        "x-ratelimit-reset": f"{math.ceil(reset)}",
    }


HEADERS: dict[str, Headers] = {
    "window of 10 s, `RateLimit` of draft 10": _draft_10,
    "window of 10 s, `RateLimit` of draft 7": _draft_7,
    "window of 10 s, `X-RateLimit-*`": _x_headers,
}


def _cells(run: Callable[[float, bool, int], Outcome], limit: float) -> list[str]:
    """Share and refusals of jobs of 20 and 100 s, silent and with a Retry-After: the worst."""
    cells = []
    for says_when in (False, True):
        for seconds in (20, 100):
            runs = [run(seconds * limit, says_when, seed) for seed in _SEEDS]
            share = min(each.share(limit) for each in runs)
            refused = max(each.refusals() for each in runs)
            early = sum(each.early for each in runs)
            cells.append(f"{share:.2f}, {refused:.2%}" + (f", {early} early" if early else ""))
    return cells


def _alone(
    make: Callable[[], Limiter],
    headers: Headers | None,
    requests: float,
    says_when: bool,
    seed: int,
) -> Outcome:
    return simulate(
        make(), requests=requests, says_when=says_when, seed=seed, late=_LATE, headers=headers
    )


def virtual(limit: float) -> None:
    """The table in virtual time."""

    def row(name: str, run: Callable[[float, bool, int], Outcome]) -> None:
        print(f"| {name} | {' | '.join(_cells(run, limit))} |", flush=True)

    print("| limiter | 20 s | 100 s | 20 s, Retry-After | 100 s, Retry-After |")
    print("|---|---:|---:|---:|---:|")
    for name, make in limiters(limit).items():
        row(name, partial(_alone, make, None))
    for name, headers in HEADERS.items():
        row(name, partial(_alone, partial(FixedWindow, limit, 10.0), headers))
    with tempfile.TemporaryDirectory(prefix="backfill-benchmark-") as room:

        def together(requests: float, says_when: bool, seed: int) -> Outcome:
            place = Path(room, f"{requests:.0f}-{says_when}-{seed}")
            return simulate(
                Bucket(limit, limit / 10),
                requests=requests,
                says_when=says_when,
                seed=seed,
                late=_LATE,
                shared=partial(_budgets, place),
            )

        row(f"{_JOBS} jobs with one budget, bucket of 0.1 s", together)


def _budgets(room: Path, wall: Callable[[], float]) -> Sequence[SharedBudget | None]:
    url, secret = "https://example.com", Secret("key")
    return [
        SharedBudget.open(room, url, secret, clock=lambda: 0.0, wall=wall) for _ in range(_JOBS)
    ]


def over_sockets(limit: float) -> None:
    """Deliveries to a token bucket of a tenth of a second, each answer after 20 ms."""
    print("| records | share | refused | before a Retry-After had passed |")
    print("|---:|---:|---:|---:|")
    for seconds in (20, 100):
        records = int(seconds * limit)
        with (
            tempfile.TemporaryDirectory(prefix="backfill-benchmark-") as room,
            limited_endpoint(limit, limit / 10, 0.02) as url,
        ):
            _send(Path(room, "a.job"), records, url)
            seen = seen_by(url)
        share = seen.accepted / seen.seconds / limit
        refused = seen.refused / (seen.accepted + seen.refused)
        print(f"| {records:,} | {share:.2f} | {refused:.2%} | {seen.early} |", flush=True)


def _send(directory: Path, records: int, url: str) -> None:
    make_job(directory, "pristo-events", records)
    manifest = Manifest.read(directory)

    async def go(ledger: Ledger) -> None:
        stop = await deliver(
            manifest=manifest,
            directory=directory,
            ledger=ledger,
            destination=destination(manifest.destination),
            credential=Secret("key"),
            settings=Settings(base_url=url, rate=None),
            halt=StopRequest(),
        )
        assert stop is None, stop

    with Ledger.open(directory / "ledger.sqlite", create=True) as ledger:
        anyio.run(go, ledger)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--limit", type=float, nargs="+", default=[150.0], help="requests a second, one or several"
    )
    parser.add_argument("--sockets", action="store_true", help="also in real time")
    given = parser.parse_args()
    for limit in given.limit:
        print(f"A limit of {limit:g} requests a second, 20 ms a reply; share and refusals.\n")
        virtual(limit)
        if given.sockets:
            print("\nOver sockets, a token bucket of 0.1 s with `Retry-After: 1`:\n")
            over_sockets(limit)


if __name__ == "__main__":
    main()
