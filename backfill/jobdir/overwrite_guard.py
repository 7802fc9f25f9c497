"""Which files may not be written over: those without which a job could not go on."""

from __future__ import annotations

import os
from pathlib import Path

from backfill.config import Config
from backfill.core.errors import ConfigError
from backfill.core.job_files import LEDGER, OWN_NAMES
from backfill.jobdir.manifest import Manifest

__all__ = ["refuse_own_files"]


def refuse_own_files(
    target: Path, directory: Path, manifest: Manifest, config: Config | None
) -> None:
    """Raise ConfigError where `target` is a file that the job in `directory` lives on.

    These are its sources, its configuration, and what a job keeps in its directory, be it this
    job or another one. Files are told by where they really lie, whatever leads there.
    """
    base = manifest.source_directory(directory) if config is None else config.directory
    named = (manifest.config_file(directory), config.path if config is not None else None)
    configurations = [path for path in named if path is not None]
    entries = (*manifest.events, *manifest.contacts)
    what = None
    if any(_same(target, base / entry.path) for entry in entries):
        what = "is a source of the job"
    elif any(_same(target, path) for path in configurations):
        what = "is the configuration of the job"
    elif _in_a_job(target, directory):
        what = "is a place where a job keeps what it knows"
    if what is not None:
        raise ConfigError(
            f"{what}, and writing there would destroy it",
            where=str(target),
            hint="Nothing was written. Name another file.",
        )


def _in_a_job(target: Path, directory: Path) -> bool:
    """Whether a file lies, or would lie, where a job keeps its own."""
    own = Path(os.path.realpath(directory))
    # A link is replaced and not followed, so its own place counts as well as where it leads.
    places = Path(os.path.realpath(target.parent), target.name), Path(os.path.realpath(target))
    for place in places:
        for above in place.parents:
            if above == own or (above / LEDGER).is_file():
                first = place.relative_to(above).parts[0].casefold()
                if first in OWN_NAMES or first.lstrip(".").startswith(LEDGER):
                    return True
    return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there, so nothing is written over
        return False
