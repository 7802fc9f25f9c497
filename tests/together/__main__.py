"""`python -m tests.together --rounds 20 --seed 1 --minutes 10`: deliverers among mishaps."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.ledger.postgres.server import PostgresServer, why_none
from tests.together.world import LEASE, World, running_world

__all__ = ["main"]

_MISHAPS = ("kill", "freeze", "thaw", "join", "interrupt", "crash", "away", "nothing")
_FAULTS = ("cut-after:1", "429:0.5", "503:0.3", "slow:0.3", "500")


def main() -> int:
    """Play rounds of random mishaps; 0 without findings, 1 with, 2 without a PostgreSQL."""
    parser = argparse.ArgumentParser(prog="python -m tests.together", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next is +1")
    parser.add_argument("--minutes", type=float, help="begin no round after so many minutes")
    options = parser.parse_args()
    if (reason := why_none()) is not None:
        print(reason)
        return 2
    findings, began = 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.rounds):
        if options.minutes and time.monotonic() - began > 60 * options.minutes:
            break
        place, at = Path(tempfile.mkdtemp(prefix=f"together-{seed}-")), time.monotonic()
        try:
            words = _play(place, random.Random(seed))
            print(f"{seed}: {time.monotonic() - at:.1f} s; {words}", flush=True)
        except KeyboardInterrupt:
            break
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            findings += 1
            print(f"{seed}: FOUND {traceback.format_exc()}", flush=True)
            print(f"  python -m tests.together --rounds 1 --seed {seed}", flush=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    print(f"{findings} findings in {time.monotonic() - began:.0f} s")
    return 1 if findings else 0


def _play(place: Path, chance: random.Random) -> str:
    """One job, among mishaps until enough is delivered, then in peace to its end."""
    twice = chance.random() < 0.5
    guarantee = "at-least-once" if twice else "at-most-once"
    rows, rate = chance.randint(300, 1_500), chance.choice((100, 200, 400))
    faults = [f"{kind}=1%" for kind in chance.sample(_FAULTS, chance.randint(0, 3))]
    told = f'guarantee = "{guarantee}"\ntimeout = "3s"\nrate = "{rate}/s"\nmax_errors = "100%"'
    database = PostgresServer()
    try:
        with running_world(
            place,
            database.address,
            rows=rows,
            lease=LEASE,
            delivery=told,
            latency=chance.choice((0.0, 0.02, 0.1)),
            faults=faults,
            seed=chance.getrandbits(30),
        ) as world:
            for _ in range(3):
                world.deliverer()
            met = [_befall(world, database, chance) for _ in range(chance.randint(2, 6))]
            for process in world.started:
                process.send_signal(signal.SIGCONT)
            for process in world.started:
                process.wait(120)
            world.command("run", world.config, "--json", "--quiet", expect=(0, 3, 5))
            states = world.compare(twice=twice)
            assert not states["pending"]
            return f"{guarantee}, {rows} rows, {', '.join(met)}: {dict(states)}"
    finally:
        database.remove()


def _befall(world: World, database: PostgresServer, chance: random.Random) -> str:
    """One mishap, some time after the last one."""
    time.sleep(chance.uniform(0.2, 2.5))
    mishap = chance.choice(_MISHAPS)
    victim = chance.choice(world.started)
    match mishap:
        case "kill":
            victim.kill()
        case "freeze":
            victim.send_signal(signal.SIGSTOP)
        case "thaw":
            for each in world.started:
                each.send_signal(signal.SIGCONT)
        case "join":
            world.deliverer()
        case "interrupt":
            victim.send_signal(signal.SIGTERM)
        case "crash" | "away":
            database.stop(signal.SIGQUIT if mishap == "crash" else signal.SIGINT)
            if mishap == "away":
                time.sleep(chance.uniform(0, 3 * LEASE))
            database.start()
    return mishap


if __name__ == "__main__":
    sys.exit(main())
