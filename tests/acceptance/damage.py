"""Damage to one file of a job between two runs, and what the second one makes of it.

    python -m tests.acceptance.damage --seeds 1000

No record is sent twice, and a run that comes to its end keeps every promise; otherwise the run
refuses in words and has sent nothing.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill import open_job
from backfill.core.errors import BackfillError
from backfill.core.secret import Secret
from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS, backfill, start
from tests.acceptance.sources import pristo_job
from tests.promises import Finding, check_job, log_of

__all__ = ["Begun", "attack", "begun_job"]

ROWS = 240
KINDS = ("flip", "cut", "remove", "empty", "earlier", "another's", "order")
_JOB = "pristo.job"
_LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-mark")


@dataclass(frozen=True)
class Begun:
    """A job in `home`, what it was at an earlier time, another job, and what a server stored."""

    home: Path
    earlier: Path
    another: Path
    log: Path


def begun_job(place: Path, *, kill: bool) -> Begun:
    """A job of which one run ended at its limit, and the next one, too, or was begun.

    After a kill all is in the ledger's log, else all is in the ledger itself.
    """
    home, another = place / "home", place / "another"
    for each in (home, another):
        each.mkdir(parents=True)
        config = pristo_job(each, ROWS if each == home else ROWS + 1)
        backfill("plan", config, cwd=each, expect=[0])
    log = place / "before.ndjson"
    with running_sandbox(log=log, latency=0.02, keep=False) as server:
        run = ("run", home / "pristo.toml", "--base-url", server.url, "--concurrency", 4)
        backfill(*run, "--limit", 40, cwd=home, expect=[8])
        other = ("run", another / "pristo.toml", "--base-url", server.url)
        shutil.copytree(home / _JOB, place / "earlier")
        if kill:
            process = start(*run, cwd=home)
            deadline = time.monotonic() + 30
            while log.read_bytes().count(b"\n") < 120:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
        else:
            backfill(*run, "--limit", 80, cwd=home, expect=[8])
        shutil.copy(log, place / "begun.ndjson")
        backfill(*other, cwd=another, expect=[0])
    assert (home / _JOB / "ledger.sqlite-wal").exists() is kill
    return Begun(home, place / "earlier", another / _JOB, place / "begun.ndjson")


def attack(begun: Begun, place: Path, seed: int) -> str:
    """Damage a copy of the job in `place`, run it on, and judge what came of it."""
    chance = random.Random(seed)
    home = place / "home"
    shutil.copytree(begun.home, home)
    job = home / _JOB
    done = _damage(job, begun, chance)
    log = place / "after.ndjson"
    with running_sandbox(log=log, keep=False) as server:
        try:
            again = open_job(job)
            status = again.run(
                base_url=server.url,
                observe=lambda snapshot: None,
                credential=Secret(CREDENTIALS["PRISTO_API_KEY"]),
            )
        except BackfillError as error:
            status, said = None, str(error)
    before, after = (log_of(each) for each in (begun.log, log))
    twice = [each for each, times in Counter(after.stored).items() if times > 1]
    twice += set(before.stored).intersection(after.stored)
    assert not twice, f"{done}: {len(twice)} records were sent twice"
    if status is None:
        assert "internal" not in said, said
        assert not after.stored, f"{done}: refused, and {len(after.stored)} records were sent"
        return f"{done}: refused: {said.splitlines()[0]}"
    everything = log_of(begun.log, log)
    try:
        states = check_job(job, everything, secret=CREDENTIALS["PRISTO_API_KEY"])
    except Finding as finding:
        raise Finding(f"{done}: {finding.kind}", str(finding)) from finding
    assert states.total() == ROWS, f"{done}: {states}"
    assert not states["pending"], f"{done}: left pending"
    return f"{done}: went on"


def _damage(job: Path, begun: Begun, chance: random.Random) -> str:
    files = [path.relative_to(job) for path in sorted(job.rglob("*")) if path.is_file()]
    names = [str(path) for path in files if path.name != ".lock"]
    # Half of the attacks are on the ledger, where most is to be lost.
    ledger = [name for name in names if name in _LEDGER]
    name = chance.choice(ledger if chance.random() < 0.5 else names)
    kind = chance.choice(KINDS)
    path = job / name
    content = bytearray(path.read_bytes())
    match kind:
        case "flip":
            at = chance.randrange(len(content) * 8)
            content[at // 8] ^= 1 << at % 8
            path.write_bytes(content)
            return f"bit {at % 8} of byte {at // 8} of {name}"
        case "cut":
            length = chance.randrange(len(content))
            path.write_bytes(content[:length])
            return f"{name} cut to {length} of {len(content)} bytes"
        case "remove":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "order" if name.endswith(".parquet"):
            frame = pl.read_parquet(path)
            frame.sample(fraction=1, shuffle=True, seed=chance.randrange(1000)).write_parquet(path)
        case "earlier" | "order" if (begun.earlier / name).exists():
            shutil.copy2(begun.earlier / name, path)
        case _ if (begun.another / name).exists():
            shutil.copy2(begun.another / name, path)
        case _:
            path.unlink()
    return f"{name}: {kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kill", action="store_true", help="the run before was killed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        begun = begun_job(Path(name), kill=given.kill)
        for seed in range(given.first, given.first + given.seeds):
            place = Path(name, str(seed))
            place.mkdir()
            print(seed, attack(begun, place, seed), flush=True)  # noqa: T201 - a command's output
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
