"""Losses of power: what was not synced to the disk may be there, in part, or not at all.

A run is watched with strace, which sees each write to the ledger's files and each sync. For any
moment of the run the files can then be put together as a disk might hold them afterwards: all
that was synced, and of the rest an arbitrary selection, the last write torn. The ledger is
opened on that, and compared with what the server had received at that moment: no record that
was sent may be pending again. Syncs of the -shm file do not matter: SQLite makes it anew when
the first process opens the ledger.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import sqlite3
import subprocess
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.core.job_files import LEDGER
from backfill.core.model import State
from backfill.jobdir.manifest import Manifest
from backfill.ledger import Ledger
from tests.chaos.jobs import Plan, make_plan, uid_of
from tests.chaos.program import start
from tests.chaos.world import World, running_world
from tests.promises import Finding

__all__ = ["Step", "can_trace", "lose_power", "parse"]

_SECTOR = 512  # bytes that a disk writes in full or not at all
_FILES = (LEDGER, f"{LEDGER}-wal")
_CALL = re.compile(
    r'^(?P<at>[\d.]+) (?P<name>\w+)\((?:\d+<)?"?(?P<path>(?:\\x[0-9a-f]{2})+)"?>?'
    r'(?:, (?:"(?P<data>(?:\\x[0-9a-f]{2})*)", )?(?P<numbers>[\d, ]+))?\)'
    r" += (?P<result>\d+) <(?P<took>[\d.]+)>$"
)


@dataclass(frozen=True)
class Step:
    """One call that touched the ledger's files; times are in seconds since the epoch."""

    began: float
    ended: float
    file: str
    kind: str  # write, cut, sync, remove
    data: bytes = b""
    offset: int = 0


def can_trace() -> bool:
    """Whether strace is here and may watch a process."""
    if not shutil.which("strace"):
        return False
    command = ["strace", "-ff", "--seccomp-bpf", "-o", "/dev/null", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def parse(lines: Iterable[str]) -> list[Step]:
    """The steps in a trace, in order."""
    steps = []
    for line in lines:
        found = _CALL.match(line.rstrip("\n"))
        if found is None:
            continue
        file = Path(_bytes(found["path"]).decode()).name
        if file not in _FILES:
            continue
        began = float(found["at"])
        times = (began, began + float(found["took"]))
        numbers = [int(each) for each in (found["numbers"] or "").split(",") if each.strip()]
        match found["name"]:
            case "pwrite64":
                data = _bytes(found["data"] or "")
                if len(data) != numbers[0] or len(data) != int(found["result"]):
                    raise Finding(f"a write was not traced in full: {line[:200]}")
                steps.append(Step(*times, file, "write", data, numbers[1]))
            case "ftruncate":
                steps.append(Step(*times, file, "cut", offset=numbers[0]))
            case "fsync" | "fdatasync":
                steps.append(Step(*times, file, "sync"))
            case "unlink":
                steps.append(Step(*times, file, "remove"))
    return sorted(steps, key=lambda step: step.began)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def lose_power(place: Path, seed: int, *, moments: int = 40, heed_syncs: bool = True) -> str:
    """Run a job under a trace and lose power at moments of chance. Raises Finding.

    Without `heed_syncs` the disk takes no notice of syncs, and findings are what must come.
    """
    chance = random.Random(seed)
    plan = make_plan(place, chance, small=True)
    with running_world(chance, plan.destination) as world:
        world.calm = True
        _expect(start("plan", plan.config, cwd=place).end().code, 0, 3)
        before = place / "before"
        shutil.copytree(plan.directory, before)
        steps = _traced_run(plan, world, place)
        if not heed_syncs:
            steps = [step for step in steps if step.kind != "sync"]
        received = _received(world)
        stored = {uid_of(each.record): each.at for each in world.sandbox.accepted}
    uids = _uids(before)
    for _ in range(moments):
        place_in_time = chance.randrange(len(steps))
        late = chance.choice((steps[place_in_time].ended, steps[place_in_time].began))
        after = place / "after"
        shutil.copytree(before, after)
        try:
            _write_disk(after, steps, late, chance)
            states = _states(after, uids)
            _check(plan, states, late, received, stored)
        finally:
            shutil.rmtree(after)
    synced = sum(step.kind == "sync" for step in steps)
    return f"{plan.words}; {moments} losses of power among {len(steps)} steps, {synced} syncs"


def _expect(code: int, *codes: int) -> None:
    if code not in codes:
        raise Finding(f"ended with exit code {code}")


def _traced_run(plan: Plan, world: World, place: Path) -> list[Step]:
    calls = "pwrite64,ftruncate,fsync,fdatasync,unlink"
    prefix = (
        *("strace", "-ff", "--seccomp-bpf", "-q", "-y", "-ttt", "-T", "-xx", "-s", "140000"),
        *("-e", f"trace={calls}", "-e", "signal=none", "-o", str(place / "trace")),
    )
    run = ("run", plan.config, "--json", "--base-url", world.url)
    _expect(start(*run, cwd=plan.place, prefix=prefix).end().code, 0, 3)
    lines: list[str] = []
    for file in place.glob("trace.*"):  # one for each thread
        lines += file.read_text(encoding="ascii", errors="replace").splitlines()
    return parse(lines)


def _received(world: World) -> list[tuple[float, str]]:
    """When the server received each record: the time, and the record's unique value."""
    found = []
    for at, body in world.arrivals:
        content = json.loads(body)
        items = content.get("events") or content.get("feedbacks") or [content]
        found += [(at, uid_of(item)) for item in items]
    return sorted(found)


def _uids(directory: Path) -> list[list[str]]:
    """The unique value of each position of each bucket."""
    return [
        pl.read_parquet(directory / "ready" / bucket.file, columns=["source.uid"])[
            "source.uid"
        ].to_list()
        for bucket in Manifest.read(directory).buckets
    ]


def _write_disk(directory: Path, steps: list[Step], late: float, chance: random.Random) -> None:
    """The ledger's files as a disk may hold them when power was lost at a moment."""
    for name in _FILES:
        path = directory / name
        content: bytearray | None = bytearray(path.read_bytes()) if path.exists() else None
        own = [step for step in steps if step.file == name and step.began < late]
        synced = max(
            (n for n, step in enumerate(own) if step.kind == "sync" and step.ended <= late),
            default=-1,
        )
        keep = chance.choice((0.0, 0.5, 1.0))
        for number, step in enumerate(own):
            content = _apply(content, step, whole=number < synced, keep=keep, chance=chance)
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)


def _apply(
    content: bytearray | None, step: Step, *, whole: bool, keep: float, chance: random.Random
) -> bytearray | None:
    if step.kind == "sync" or (not whole and chance.random() >= keep):
        return content
    if step.kind == "remove":
        return None
    content = bytearray() if content is None else content
    if step.kind == "cut":
        del content[step.offset :]
        return content
    data = step.data
    if not whole and chance.random() < 0.3:  # torn: some sectors of it arrived
        data = data[: _SECTOR * chance.randint(0, len(data) // _SECTOR)]
    content.extend(b"\0" * (step.offset + len(data) - len(content)))
    content[step.offset : step.offset + len(data)] = data
    return content


def _states(directory: Path, uids: list[list[str]]) -> dict[str, State]:
    """What the ledger says when it is opened again. What is pending is not in it."""
    states: dict[str, State] = {}
    with Ledger.open(directory / LEDGER) as ledger:
        for bucket, outcome, _ in ledger.outcomes():
            for first, stop in outcome.ranges:
                states.update((uid, outcome.state) for uid in uids[bucket][first:stop])
    with contextlib.closing(sqlite3.connect(directory / LEDGER)) as raw:
        if raw.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise Finding("the ledger is damaged after a loss of power")
    return states


def _check(
    plan: Plan,
    states: dict[str, State],
    late: float,
    received: list[tuple[float, str]],
    stored: dict[str, float],
) -> None:
    sent = {uid for _, uid in received[: bisect_right(received, (late, ""))]}
    forgotten = sent - states.keys()
    if forgotten:
        raise Finding(f"{len(forgotten)} records were sent, and are pending after power was lost")
    told = {uid for uid, state in states.items() if state is State.DELIVERED}
    early = {uid for uid in told if stored.get(uid, late + 1) > late}
    if early:
        raise Finding(f"{len(early)} records are delivered in the books before they were stored")
    doubtful = len(states) - len(told)
    if doubtful > plan.concurrency * plan.batch:
        raise Finding(f"{doubtful} records in doubt after one loss of power")
