"""Faults put into a copy of the package, one at a time, and how many lives find each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.simulation.faults import TEETH, Tooth

__all__ = ["bite", "show_teeth"]

_ROOT = Path(__file__).parents[2]
_COUNTS = re.compile(r"^(\d+) lives, (\d+) findings", re.MULTILINE)
_KIND = re.compile(r"FOUND ([^:\n]*)")


def show_teeth(lives: int, findings: int, jobs: int, name: str = "") -> bool:
    """Print the table of faults whose name contains `name`.

    Each is given so many lives, and no more after so many findings. Returns whether all were found.
    """
    missed = 0
    teeth = [tooth for tooth in TEETH if name in tooth.name]
    for tooth in teeth:
        lived, found, kind = bite(tooth, lives, findings, jobs)
        missed += found == 0
        print(
            f"{found:>4} of {lived:>5} lives, {1000 * found / max(lived, 1):>4.0f} in 1,000:"
            f" {tooth.name} ({kind})",
            flush=True,
        )
    print(f"{len(teeth) - missed} of {len(teeth)} faults found")
    return missed == 0


def bite(tooth: Tooth, lives: int, findings: int, jobs: int) -> tuple[int, int, str]:
    """Lives lived with a fault, how many of them found it, and what most of these found."""
    place = Path(tempfile.mkdtemp(prefix="teeth-"))
    try:
        shutil.copytree(
            _ROOT / "backfill", place / "backfill", ignore=shutil.ignore_patterns("__pycache__")
        )
        (place / "tests").symlink_to(_ROOT / "tests")
        tooth.apply(place / "backfill")
        command = [sys.executable, "-m", "tests.simulation", "--seed", "1", "--no-shrink"]
        numbers = ["--seeds", str(lives), "--findings", str(findings), "--jobs", str(jobs)]
        done = subprocess.run(
            [*command, *numbers],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(place)
    counts, kinds = _COUNTS.search(done.stdout), Counter(_KIND.findall(done.stdout))
    if counts is None:
        raise RuntimeError(done.stdout + done.stderr)
    kind = kinds.most_common(1)[0][0].strip() if kinds else "nothing"
    return int(counts[1]), int(counts[2]), kind
