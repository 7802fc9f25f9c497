"""Attack everything that others write, for as long as one likes.

    python -m tests.fuzz --minutes 60 --seed 1
    python -m tests.fuzz --target parquet --seed 255 --count 1

Every attack follows from its target and its seed alone. They run in processes of their own with
bounded memory, so that a crash, a hang and a flood are findings too. Ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["TARGETS", "Campaign", "Finding", "attack"]

TARGETS = {
    "configurations": ("tests.fuzz.targets", "Configurations"),
    "sources": ("tests.fuzz.targets", "Sources"),
    "parquet": ("tests.fuzz.targets", "Parquet"),
    "jobs": ("tests.fuzz.jobs", "Jobs"),
    "replies": ("tests.fuzz.jobs", "Replies"),
}
_LONGEST = 60.0  # seconds of one attack, after which it hangs
_MEMORY = 6 << 30  # bytes of address space, of which threads and allocators take some themselves
_ROUND = 50  # seeds of one target before it is another's turn

# Polars ends the process where a damaged length asks for more memory than any machine has. It
# cannot be caught; the plan after it tries the file in another process and names it.
_MAY_DIE = ("parquet", "jobs")


@dataclass(frozen=True)
class Finding:
    """What went wrong, and how to see it again."""

    target: str
    seed: int
    what: str

    def __str__(self) -> str:
        return f"{self.target} seed {self.seed}: {self.what}"


@dataclass
class Campaign:
    """Attacks and what came of them: how many words of each kind, and the findings."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    died: int = 0

    @property
    def attacks(self) -> int:
        return sum(sum(words.values()) for words in self.outcomes.values())

    def heard(self, target: str, line: str) -> None:
        seed, kind, what = line.split(" ", 2)
        if kind == "finding":
            self.findings.append(Finding(target, int(seed), what))
        self.outcomes.setdefault(target, Counter())[what if kind == "fine" else kind] += 1

    def ended(self, target: str, seed: int, code: int | None) -> None:
        """A process did not come to its end."""
        self.outcomes.setdefault(target, Counter())["died" if code is not None else "hung"] += 1
        if code is not None and target in _MAY_DIE:
            self.died += 1
        else:
            words = f"hangs for {_LONGEST:g} s" if code is None else f"dies with {code}"
            self.findings.append(Finding(target, seed, words))


def attack(campaign: Campaign, target: str, seeds: range, *, until: float) -> None:
    """Attack with each seed in turn, in as many processes as it takes. `until` is monotonic."""
    start = seeds.start
    while start < seeds.stop and time.monotonic() < until:
        command = [sys.executable, "-W", "error", "-m", "tests.fuzz", "--child"]
        with subprocess.Popen(
            [*command, target, str(start), str(seeds.stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RUST_BACKTRACE": "0", "POLARS_MAX_THREADS": "2"},
        ) as process:
            try:
                start, hung = _listen(process, campaign, target, start, until)
            finally:
                process.kill()
        if start < seeds.stop and time.monotonic() < until:
            campaign.ended(target, start, None if hung else process.returncode)
            start += 1


def _listen(
    process: subprocess.Popen[bytes], campaign: Campaign, target: str, start: int, until: float
) -> tuple[int, bool]:
    """Take down what a process says. Returns the seed that it did not come to an end of."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    heard, silent_since = b"", time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while time.monotonic() < until:
            if not selector.select(0.2):
                if time.monotonic() - silent_since > _LONGEST:
                    return start, True
                continue
            read = os.read(handle, 65_536)
            if not read:
                process.wait()
                return start, False
            silent_since = time.monotonic()
            *lines, heard = (heard + read).split(b"\n")
            for line in lines:
                campaign.heard(target, line.decode())
                start += 1
    return start, False


def _child(target: str, seeds: Iterator[int]) -> None:
    """Attack, and say one line for each seed."""
    from importlib import import_module

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    module, name = TARGETS[target]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        victim = getattr(import_module(module), name)(Path(place))
        for seed in seeds:
            try:
                said = f"fine {victim.attack(random.Random(seed))}"
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a panic of Polars is no Exception
                said = f"finding {_in_words(error)}"
            print(seed, " ".join(said.split()), flush=True)


def _in_words(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "backfill" in frame.filename]
    where = (ours or frames)[-1]
    return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[:400]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, help="seeds for each target, in place of minutes")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        target, start, stop = given.child
        _child(target, iter(range(int(start), int(stop))))
        return 0
    campaign = Campaign()
    until = time.monotonic() + given.minutes * 60
    targets = given.target or list(TARGETS)
    step = given.count or _ROUND
    for start in itertools.count(given.seed, step):
        for target in targets:
            attack(campaign, target, range(start, start + step), until=until)
        if given.count or time.monotonic() >= until:
            break
    print("| target | attacks | what came of them |\n|---|---|---|")
    for target, words in campaign.outcomes.items():
        told = ", ".join(f"{count:,} {word}" for word, count in words.most_common(6))
        print(f"| {target} | {sum(words.values()):,} | {told} |")
    print(f"\n{campaign.attacks:,} attacks, {len(campaign.findings)} findings")
    for finding in campaign.findings:
        print(f"- {finding}")
    return 1 if campaign.findings else 0


if __name__ == "__main__":
    sys.exit(main())
