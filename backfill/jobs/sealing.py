"""What each file of a planned job is, so that a run can tell that it sends what was planned.

All of a job's bytes are hashed for that, so it is shared out like the rest of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backfill.core.model import Progress
from backfill.jobdir.manifest import Seal

if TYPE_CHECKING:
    from backfill.prepare.engines.engine import Engine

__all__ = ["seal_files", "seals"]

_AT_ONCE = 2  # portions at least: hashing keeps one processor busy, and reading does not


def seals(draft: Path, engine: Engine, progress: Progress | None = None) -> Mapping[str, Seal]:
    """The seal of each file of a draft, by its name in there. Raises OSError."""
    paths = sorted(str(path) for path in draft.absolute().rglob("*") if path.is_file())
    count = min(max(engine.ranges, _AT_ONCE), len(paths))
    portions = [tuple(paths[start::count]) for start in range(count)]
    found: dict[str, Seal] = {}

    def tell(words: str | None) -> None:
        if progress is not None:
            phase = f"sealing; {words}" if words is not None else "sealing"
            progress(phase, len(found), len(paths))

    for index, sealed in engine.run(seal_files, portions, tell):
        found.update(zip(portions[index], sealed, strict=True))
        tell(None)
    return {Path(path).relative_to(draft.absolute()).as_posix(): found[path] for path in paths}


def seal_files(files: Sequence[str]) -> tuple[Seal, ...]:
    """The task: reads each file whole."""
    return tuple(Seal.of(Path(name)) for name in files)
