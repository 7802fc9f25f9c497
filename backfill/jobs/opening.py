"""How a job is had: planned from a configuration, opened by its name, or whichever is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfill.config import Config, config_from_mapping, load_config
from backfill.core.errors import ConfigError
from backfill.core.model import Progress
from backfill.destinations import destination
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.lock import locked
from backfill.jobdir.manifest import Manifest
from backfill.jobs.frames import discard_unused_frames, store_frames
from backfill.jobs.job import Job
from backfill.jobs.planning import make_directory, plan_into

__all__ = ["find_or_plan", "open_job", "plan_frames", "plan_job"]


def plan_job(
    config: Config,
    directory: Path,
    *,
    anew: bool = True,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job without any network, or open it where it is prepared already.

    Raises ConfigError, SourceError, ChangedError or BusyError.
    """
    destination(config.destination)
    make_directory(directory)
    with locked(directory, "plan"):
        manifest = plan_into(directory, config, anew=anew, progress=progress)
    return Job(directory, manifest, config)


def plan_frames(
    content: Mapping[str, Any], directory: Path, *, progress: Progress | None = None
) -> Job:
    """Prepare a job of settings whose `files` may be frames, which are kept in its directory.

    Raises what `plan_job` does.
    """
    make_directory(directory)
    with locked(directory, "plan"):
        config = config_from_mapping(store_frames(content, directory), directory=directory)
        destination(config.destination)
        manifest = plan_into(directory, config, anew=True, progress=progress)
        discard_unused_frames(directory, manifest)
    return Job(directory, manifest, config)


def open_job(name: str | Path) -> Job:
    """Open a job by its directory or its configuration file. Raises JobError if there is none.

    To look at a job named by its directory no configuration is needed: one that is broken by now
    is complained of when the job is to run.
    """
    directory = job_directory(name)
    manifest = Manifest.read(directory)
    if Path(name).is_file():
        return Job(directory, manifest, load_config(name))
    known = manifest.config_file(directory)
    try:
        return Job(directory, manifest, load_config(known) if known and known.is_file() else None)
    except ConfigError as error:
        return Job(directory, manifest, broken=error)


def find_or_plan(
    name: str | Path, job: str | Path | None = None, *, progress: Progress | None = None
) -> Job:
    """Open the job of a configuration, planning it if need be, or a job's directory, to run it now.

    Raises what `plan_job` does, ChangedError among it, and JobError.
    """
    if job is None and job_directory(name) == Path(name):
        found = open_job(name)
        found.refuse_change()
    else:
        config = load_config(name)
        found = plan_job(config, job_directory(name, job), anew=False, progress=progress)
    return Job(found.directory, found.manifest, found.config, unchanged=True)
