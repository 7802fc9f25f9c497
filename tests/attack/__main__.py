"""Every attack of this repository in turn, for as long as one likes.

    python -m tests.attack --minutes 60 --seed 1

Random jobs over odd inputs against a hostile server, rounds of kills, cuts and full disks
(`tests.chaos`), whatever others can write (`tests.fuzz`), damaged jobs (`tests.acceptance.damage`).
Each finding is told with its seed. Ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.attack.rounds import attack

_OTHERS: Sequence[Sequence[str]] = (
    ("tests.chaos", "--rounds", "2", "--seed", "{seed}"),
    ("tests.fuzz", "--count", "20", "--seed", "{seed}"),
    ("tests.acceptance.damage", "--seeds", "20", "--first", "{seed}"),
    ("tests.acceptance.damage", "--kill", "--seeds", "20", "--first", "{seed}"),
)
_ROUNDS = 20  # of ours before it is another's turn


def play(seed: int) -> str | None:
    """The round of a seed: None where all promises were kept, else what was found."""
    with tempfile.TemporaryDirectory(prefix=f"attack-{seed}-") as place:
        try:
            attack(Path(place), seed)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            return traceback.format_exc(limit=-2)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    seed, findings, rounds = given.seed, 0, 0
    while time.monotonic() < until:
        for each in range(seed, seed + _ROUNDS):
            if time.monotonic() >= until:
                break
            rounds += 1
            if found := play(each):
                findings += 1
                print(f"{each}: FOUND {found}", flush=True)
        for module, *arguments in _OTHERS:
            left = until - time.monotonic()
            if left <= 0:
                break
            findings += _ask(module, [each.format(seed=seed) for each in arguments], left)
        seed += _ROUNDS
    print(f"{rounds} rounds of our own and the others' beside them, {findings} findings")
    return 1 if findings else 0


def _ask(module: str, arguments: Sequence[str], seconds: float) -> int:
    """Let another campaign play. What takes longer than is left is not counted."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return 0
    if ended.returncode == 0:
        return 0
    print(f"FOUND by {' '.join(command[1:])}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
