"""Which files no option may write to: sources, configurations, and whatever a job keeps."""

from __future__ import annotations

import os
from pathlib import Path

from backfill.config import Config
from backfill.core.errors import ConfigError
from backfill.core.job_files import LEDGERS
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.ownership import is_report

__all__ = [
    "refuse_existing",
    "refuse_job_place",
    "refuse_other_content",
    "refuse_own_files",
]

_PLACE = "is a place where a job keeps what it knows, and no other file belongs there"


def refuse_own_files(
    target: Path,
    directory: Path,
    manifest: Manifest,
    config: Config | None,
    *,
    report: bool = False,
) -> None:
    """Raise ConfigError where `target` is a file that the job in `directory` lives on.

    These are its sources, its configuration, and all in a job's directory, be it this job or
    another one; in this one's only a `report` may lie, by a report's name. Files are told by where
    they really lie, whatever leads there.
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
    elif _in_a_job(target, directory, report=report):
        raise _refused(target, _PLACE)
    if what is not None:
        raise _refused(target, f"{what}, and writing there would destroy it")


def refuse_job_place(target: Path) -> None:
    """Raise ConfigError where `target` lies, or would lie, in a directory of any job."""
    if _in_a_job(target):
        raise _refused(target, _PLACE)


def refuse_other_content(target: Path, begins: bytes) -> None:
    """Raise ConfigError where `target` is not for a log of ours.

    It may not be there yet, be empty, or begin as such a log does; a device or a pipe takes
    anything. No job's directory takes one. A file is known by its content, so no other name for a
    source or a configuration leads to it.
    """
    refuse_job_place(target)
    try:
        if not target.is_file():
            return
        with target.open("rb") as file:
            found = file.read(len(begins))
    except OSError:  # nor can it be written to, which is said there
        return
    if found and found != begins:
        raise _refused(target, "holds something else, and is not written to")


def refuse_existing(target: Path) -> None:
    """Raise ConfigError where there is a file already, for those who did not say --force."""
    if target.is_file() or target.is_symlink():
        raise ConfigError(
            "exists already, and is not written over",
            where=str(target),
            hint="Name another file, or say --force.",
        )


def _refused(target: Path, what: str) -> ConfigError:
    return ConfigError(what, where=str(target), hint="Nothing was written. Name another file.")


def _in_a_job(target: Path, own: Path | None = None, *, report: bool = False) -> bool:
    """Whether a file lies, or would lie, in a job's directory; in `own` a `report` may."""
    # A link is replaced and not followed, so its own place counts as well as where it leads.
    places = {Path(os.path.realpath(target.parent), target.name), Path(os.path.realpath(target))}
    home = Path(os.path.realpath(own)) if own is not None else None
    return any(
        (above == home or any((above / name).is_file() for name in LEDGERS))
        and not (report and place.parent == home and is_report(place.name))
        for place in places
        for above in place.parents
    )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there, so nothing is written over
        return False
