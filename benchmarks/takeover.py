"""How soon another deliverer has what one left behind that was killed, or frozen.

    python -m benchmarks.takeover --rounds 5

Needs a PostgreSQL on this machine, which it starts in a temporary directory. Two deliverers hold
buckets of a paused job; one is ended, and the time counts until the other has recovered all of its
buckets. The lease is one second.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import tempfile
import time
from pathlib import Path

from tests.ledger.postgres.server import PostgresServer, why_none
from tests.together.world import LEASE, World, running_world, until


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if (reason := why_none()) is not None:
        raise SystemExit(reason)
    database = PostgresServer()
    print("| a deliverer is | median | longest | wanted |")
    print("|---|---:|---:|---:|")
    try:
        for name, how, most in (
            ("killed", signal.SIGKILL, 1.0),
            ("frozen", signal.SIGSTOP, LEASE + 1.0),
        ):
            seconds = [_once(database, how) for _ in range(given.rounds)]
            short = "" if max(seconds) <= most else ": **falls short**"
            found = f"{statistics.median(seconds):.2f} s | {max(seconds):.2f} s"
            print(f"| {name} | {found} | within {most:.0f} s{short} |")
    finally:
        database.remove()


def _once(database: PostgresServer, how: signal.Signals) -> float:
    """Seconds until what a deliverer held is recovered, once it met its end."""
    with (
        tempfile.TemporaryDirectory() as place,
        running_world(Path(place), database.address, rows=400, lease=LEASE) as world,
    ):
        world.command("pace", world.job, "--pause", expect=(0,))
        victim, _ = world.deliverer(), world.deliverer()
        until(lambda: world.owners() == 2)
        names = _holders(world)
        victim.send_signal(how)
        ended = time.monotonic()
        until(lambda: len(names & _holders(world)) < len(names), within=LEASE + 30)
        return time.monotonic() - ended


def _holders(world: World) -> frozenset[str]:
    """The deliverers that have buckets which they did not give back."""
    with world.ledger() as ledger:
        rows = ledger._session.rows("SELECT DISTINCT name FROM owner WHERE name <> ''")  # noqa: SLF001
        return frozenset(name for (name,) in rows)


if __name__ == "__main__":
    main()
