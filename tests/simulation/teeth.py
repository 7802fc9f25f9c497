"""Faults put into a copy of the package, one at a time, and how many lives find each."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.faults import TEETH, Tooth
from tests.simulation.faults.several import OF_SEVERAL

__all__ = ["Bite", "show_teeth"]

_ROOT = Path(__file__).parents[2]
_OURS = ("backfill", "tests")


@dataclass(frozen=True)
class Bite:
    """A fault, how many lives it was given, how many found it, and what most of them found."""

    tooth: Tooth
    lives: int
    findings: int
    kind: str

    def __str__(self) -> str:
        return f"| {self.tooth.name} | {self.findings} in {self.lives:,} | {self.kind} |"


def show_teeth(
    lives: int,
    findings: int,
    jobs: int,
    name: str = "",
    *,
    seconds: float | None = None,
    database: str | None = None,
    several: bool = False,
) -> bool:
    """Print the table of faults whose name contains `name`, as Markdown.

    Each is given so many lives, and no more after so many findings or so many `seconds`. Those of
    several deliverers need the address of a PostgreSQL, and with `several` there are no others.
    Returns whether all were found.
    """
    known = (*(() if several else TEETH), *(() if database is None else OF_SEVERAL))
    teeth = [tooth for tooth in known if name in tooth.name]
    given = partial(_bite, lives=lives, findings=findings, seconds=seconds, database=database)
    missed = 0
    print("| fault put into the code | lives that found it | most of them as |\n|---|---:|---|")
    for bite in _bites(teeth, given, jobs):
        missed += bite.findings == 0
        print(bite, flush=True)
    print(f"\n{len(teeth) - missed} of {len(teeth)} faults found")
    return missed == 0


def _bites(
    teeth: list[Tooth], given: Callable[[Tooth], tuple[int, int, str]], jobs: int
) -> Iterator[Bite]:
    """Each in a process that has loaded all but our own code, which it loads from a copy."""
    with get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for tooth, told in zip(teeth, pool.imap(given, teeth, chunksize=1), strict=True):
            yield Bite(tooth, *told)


def _bite(
    tooth: Tooth, *, lives: int, findings: int, seconds: float | None, database: str | None
) -> tuple[int, int, str]:
    place = Path(tempfile.mkdtemp(prefix="teeth-"))
    try:
        shutil.copytree(
            _ROOT / "backfill", place / "backfill", ignore=shutil.ignore_patterns("__pycache__")
        )
        (place / "tests").symlink_to(_ROOT / "tests")
        tooth.apply(place / "backfill")
        (place / "lives").mkdir()
        sys.path.insert(0, str(place))
        for each in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[each]
        importlib.invalidate_caches()
        campaign = importlib.import_module("tests.simulation.campaign")
        lived = campaign.Lived()
        until = None if seconds is None else time.monotonic() + seconds
        several = tooth in OF_SEVERAL
        batch = campaign.Batch(
            1, lives, until=until, database=database if several else None, several=several
        )
        for part in campaign.live_many(batch, place / "lives", 1):
            lived.add(part)
            if len(lived.findings) >= findings or part.lives == 0:
                break
    finally:
        sys.path.remove(str(place))
        shutil.rmtree(place)
    kinds = Counter(found.partition(":")[0] for _, found in lived.findings)
    kind = kinds.most_common(1)[0][0] if kinds else "nothing"
    return lived.lives, len(lived.findings), kind
