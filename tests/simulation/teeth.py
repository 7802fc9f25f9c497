"""Faults put into a copy of the package, one at a time, and how many lives find each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.simulation.faults import TEETH, Tooth

__all__ = ["bite", "show_teeth"]

_ROOT = Path(__file__).parents[2]
_COUNTS = re.compile(r"^(\d+) lives, (\d+) findings", re.MULTILINE)
_KIND = re.compile(r"FOUND ([^:\n]*)")


def show_teeth(lives: int, findings: int) -> bool:
    """Print the table of faults; each has so many lives, and no more after so many findings.

    Returns whether all were found.
    """
    missed = 0
    for tooth in TEETH:
        lived, found, kind = bite(tooth, lives, findings)
        missed += found == 0
        print(f"{found:>4} of {lived:>5} lives: {tooth.name} ({kind})", flush=True)
    print(f"{len(TEETH) - missed} of {len(TEETH)} faults found")
    return missed == 0


def bite(tooth: Tooth, lives: int, findings: int) -> tuple[int, int, str]:
    """Lives lived with a fault, how many of them found it, and what the first one found."""
    place = Path(tempfile.mkdtemp(prefix="teeth-"))
    try:
        shutil.copytree(
            _ROOT / "backfill", place / "backfill", ignore=shutil.ignore_patterns("__pycache__")
        )
        (place / "tests").symlink_to(_ROOT / "tests")
        tooth.apply(place / "backfill")
        command = [sys.executable, "-m", "tests.simulation", "--seed", "1", "--records", "40"]
        done = subprocess.run(
            [*command, "--seeds", str(lives), "--findings", str(findings), "--no-shrink"],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(place)
    counts, kind = _COUNTS.search(done.stdout), _KIND.search(done.stdout)
    if counts is None:
        raise RuntimeError(done.stdout + done.stderr)
    return int(counts[1]), int(counts[2]), kind[1].strip() if kind else "nothing"
