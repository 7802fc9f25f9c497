"""One round: a job of chance, mishaps in turn, a run to the end, and the reckoning."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from backfill import open_job
from tests.chaos.books import Explanations, check_round
from tests.chaos.jobs import Plan, make_plan
from tests.chaos.mishaps import MISHAPS, kill_plan, plan_on_a_full_disk
from tests.chaos.program import Ended, Process, mounted, start, unmount
from tests.chaos.world import World, running_world
from tests.promises import Finding

__all__ = ["Disk", "Figures", "Round", "play"]

_STATES = ("rejected", "duplicate", "pending", "delivered", "failed", "unknown")
_MOST_RUNS = 12  # to the end, once the mishaps are over


@dataclass
class Figures:
    """What a campaign did, added up over its rounds."""

    rounds: int = 0
    processes: int = 0
    looks: int = 0  # at books, all of them balanced
    mishaps: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)


class Disk:
    """A small disk of its own for a job."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def full(self, *, spare: int = 0) -> Iterator[None]:
        """Leave no more room than `spare` bytes.

        The file that takes the room has no name: beside a stranger's file no job is planned.
        """
        ballast = self._directory / ".records-ballast"
        with ballast.open("wb", buffering=0) as file:
            ballast.unlink()
            free = shutil.disk_usage(self._directory).free
            with contextlib.suppress(OSError):
                file.write(b"\0" * max(0, free - spare))
            yield

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, how: str) -> None:
        command = ["mount", "-o", f"remount,{how}", str(self._directory)]
        subprocess.run(command, check=True)


class Round:
    """The state of a round, as its mishaps see it."""

    def __init__(
        self, plan: Plan, world: World, chance: random.Random, disk: Disk | None, figures: Figures
    ) -> None:
        self.plan = plan
        self.world = world
        self.chance = chance
        self.disk = disk
        self.crashes = 0
        self.cuts = 0
        self.resent: set[str] = set()
        self.retried: set[str] = set()
        self._figures = figures

    @property
    def in_flight_at_most(self) -> int:
        """Records that may be in flight at one moment."""
        return self.plan.concurrency * self.plan.batch

    # --- processes -------------------------------------------------------------------------

    def start(
        self,
        command: str = "run",
        *arguments: str,
        prefix: Sequence[str] = (),
        env: dict[str, str] | None = None,
    ) -> Process:
        """Start a command on the round's job."""
        self._figures.processes += 1
        more = [*arguments]
        if command in ("plan", "run", "status"):
            more.append("--json")
        if command == "run":
            more += ["--base-url", self.world.url]
        return start(command, self.plan.config, *more, cwd=self.plan.place, prefix=prefix, env=env)

    def wait_for_traffic(self, process: Process) -> None:
        """Until some requests came in, at a moment of chance after that, or the process ended."""
        wanted = len(self.world.arrivals) + self.chance.randint(1, 12)
        while process.running and len(self.world.arrivals) < wanted:
            time.sleep(0.003)
        time.sleep(self.chance.choice((0.0, self.chance.uniform(0.0, 0.2))))

    def right_end(self, ended: Ended, *allowed: int) -> None:
        """Whether an undisturbed run ended with the code that its books and its stop ask for."""
        if 130 in allowed and ended.code == -signal.SIGINT:
            return  # it came so late that the run was over
        if ended.code in (0, 3, 5, 7, 8, 130, 143):
            content = ended.json
            self.balanced(content)
            records, stop = content["records"], content["stop"]
            if stop is not None:
                expected = {"unavailable": 7, "limit": 8, "interrupted": 130, "terminated": 143}[
                    stop["kind"]
                ]
                if not records["pending"]:
                    raise Finding(f"stopped with nothing pending: {content}")
            elif records["pending"]:
                raise Finding(f"ended with records pending and no reason: {content}")
            else:
                expected = 3 if records["rejected"] or records["failed"] else 0
                expected = 5 if records["unknown"] else expected
            if ended.code == expected and (ended.code in (0, 3, 5, 7) or ended.code in allowed):
                return
        raise Finding(f"a run ended with exit code {ended.code}\n{ended.out}\n{ended.err}")

    # --- books -----------------------------------------------------------------------------

    def balanced(self, content: dict[str, Any]) -> None:
        records = content["records"]
        self._figures.looks += 1
        if records["input"] != sum(records[state] for state in _STATES) or (
            records["input"] != self.plan.rows
        ):
            raise Finding(f"the books do not balance: {records}")

    def books(self) -> dict[str, Any]:
        """How the job stands now, from a process of its own or from this one."""
        if self.chance.random() < 0.3:
            ended = self.start("status").end()
            if ended.code != 0:
                raise Finding(f"status ended with {ended.code}: {ended.err}")
            content = ended.json
        else:
            content = open_job(self.plan.config).status().as_dict()
        self.balanced(content)
        return content

    def uids(self, state: str) -> set[str]:
        """The unique values of the records in a state."""
        return set(open_job(self.plan.config).records(state)["uid"])

    def skip(self, mishap: str, why: str) -> None:
        self._figures.skipped[mishap] = why


def play(place: Path, seed: int, figures: Figures, *, mishaps: int = 4, small: bool = False) -> str:
    """Play one round in an empty directory. Returns it in words; raises Finding."""
    chance = random.Random(seed)
    plan = make_plan(place, chance, small=small)
    plan.directory.mkdir(mode=0o700)
    disk = Disk(plan.directory) if chance.random() < 0.4 and mounted(plan.directory, 16) else None
    struck: list[str] = []
    try:
        with running_world(chance, plan.destination) as world:
            now = Round(plan, world, chance, disk, figures)
            _begin(now, struck)
            weights = [weight for _, weight in MISHAPS]
            for mishap, _ in chance.choices(MISHAPS, weights, k=mishaps):
                began = time.monotonic()
                if mishap(now):
                    struck.append(f"{mishap.__name__} ({time.monotonic() - began:.1f} s)")
                # Not always, so that the next run finds things as the mishap left them.
                if chance.random() < 0.5 and now.books()["records"]["pending"] == 0:
                    break
            _finish(now)
            _settle(now, figures)
            figures.faults += world.spoilt()
    finally:
        if disk is not None:
            unmount(plan.directory)
    figures.rounds += 1
    figures.mishaps += Counter(each.partition(" ")[0] for each in struck)
    return f"{plan.words}; {', '.join(struck) or 'nothing struck'}"


def _begin(now: Round, struck: list[str]) -> None:
    early = (plan_on_a_full_disk, kill_plan)
    struck += [each.__name__ for each in early if now.chance.random() < 0.3 and each(now)]
    ended = now.start("plan").end()
    if ended.code != 0:
        raise Finding(f"plan ended with {ended.code}: {ended.err}")
    now.balanced(ended.json)


def _finish(now: Round) -> None:
    """Run to the end; faults go on in half of the rounds."""
    now.world.calm = now.chance.random() < 0.5
    for attempt in range(_MOST_RUNS):
        if attempt > _MOST_RUNS // 2:
            now.world.calm = True
        ended = now.start().end()
        now.right_end(ended)
        if ended.code != 7:
            return
    raise Finding(f"not at its end after {_MOST_RUNS} undisturbed runs: {ended.err}")


def _settle(now: Round, figures: Figures) -> None:
    plan = now.plan
    target = plan.place / "all.parquet"
    ended = now.start("records", "-o", str(target)).end()
    if ended.code != 0:
        raise Finding(f"records ended with {ended.code}: {ended.err}")
    records = pl.read_parquet(target)
    counted = dict(records["_state"].value_counts().iter_rows())
    told = {state: n for state, n in now.books()["records"].items() if n and state != "input"}
    if counted != told:
        raise Finding(f"`records` counts {counted}, `status` {told}")
    at_once = now.in_flight_at_most
    check_round(
        plan,
        records,
        now.world.sandbox,
        Explanations(
            lost=now.crashes * at_once,
            cut=now.cuts * at_once,
            resent=frozenset(now.resent),
            retried=frozenset(now.retried),
        ),
    )
    figures.records += Counter(counted)
