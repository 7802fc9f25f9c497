"""Damage to one file of a job between two runs, and what the second one makes of it.

    python -m tests.acceptance.damage --seeds 1000

One checker for whatever was done: no record is sent twice, and a run that comes to its end has
told of each record what is so; otherwise the run refuses in words and has sent nothing wrong.
"""

from __future__ import annotations

import argparse
import json
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

__all__ = ["Begun", "attack", "begun_job"]

ROWS = 240
KINDS = ("flip", "cut", "remove", "empty", "earlier", "another's", "order")
_JOB = "pristo.job"
_LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-mark")


@dataclass(frozen=True)
class Begun:
    """A job in `home`, what it was at an earlier time, another job, and what the server stored."""

    home: Path
    earlier: Path
    another: Path
    stored: frozenset[str]


def stored(log: Path) -> Counter[str]:
    """How often the server stored each record."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return Counter(json.loads(line)["record"]["customFields"]["order"] for line in lines)


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
        before = stored(log)
        backfill(*other, cwd=another, expect=[0])
    assert max(before.values()) == 1
    assert (home / _JOB / "ledger.sqlite-wal").exists() is kill
    return Begun(home, place / "earlier", another / _JOB, frozenset(before))


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
    arrived = stored(log)
    twice = {record for record, times in arrived.items() if times > 1 or record in begun.stored}
    assert not twice, f"{done}: {len(twice)} records were sent twice"
    if status is None:
        assert "internal" not in said, said
        assert not arrived, f"{done}: refused, and {len(arrived)} records were sent"
        return f"{done}: refused: {said.splitlines()[0]}"
    records = again.records()
    told = {
        state: set(records.filter(pl.col("_state") == state)["order_no"])
        for state in ("delivered", "unknown", "pending")
    }
    everything = set(arrived) | begun.stored
    assert status.books.balanced
    assert len(records) == ROWS, f"{done}: {len(records)} records"
    assert told["delivered"] <= everything, f"{done}: told as delivered, and never stored"
    assert everything <= told["delivered"] | told["unknown"], f"{done}: stored, and not told"
    assert not told["pending"], f"{done}: left pending"
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
