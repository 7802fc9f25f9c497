"""How a job is had: planned from a configuration, opened by its name, or whichever is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from backfill.config import Config, config_from_mapping, load_config
from backfill.core.errors import ConfigError, JobError
from backfill.core.model import Progress
from backfill.core.typed_paths import typed_path
from backfill.destinations import destination
from backfill.jobdir.copies import refresh, refuse_address
from backfill.jobdir.job_paths import job_directory, names_job
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.lock import locked
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.ownership import discard_unused
from backfill.jobs.access.shared_ledger import place_for, planning_turn, refuse_lone_ledger
from backfill.jobs.job import Job
from backfill.jobs.job_directory import make_directory
from backfill.jobs.planning import Planning, plan_into
from backfill.jobs.running.settings import address_for
from backfill.jobs.stored_frames import discard_unused_frames, index_hint, store_frames

__all__ = ["find_or_plan", "open_job", "plan_frames", "plan_job", "refuse_lone"]


def plan_job(
    config: Config,
    directory: Path,
    *,
    anew: bool = True,
    base_url: str | None = None,
    rest_of: str | Path | None = None,
    on: object = None,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job without any network, or open it where it is prepared already.

    `base_url` is where a run is to send to, other than the configuration's, and `rest_of` a job
    (its directory or its configuration file): this one then sends the rows that it has not
    delivered, and it is abandoned. `on` is where the work is done, as `engine_on` takes it: by
    default in this process. Raises ConfigError, SourceError, ChangedError or BusyError.
    """
    if config.cluster is None:
        refuse_address(directory)
    address = address_for(config, destination(config.destination), base_url)
    planning = Planning(directory, config, address, _rest(rest_of), on, progress)
    with (
        planning_turn(config, directory, partial(_say_waiting, progress)) as check,
        _to_be_planned(directory),
    ):
        manifest = plan_into(replace(planning, check=check), anew=anew)
    return Job(directory, manifest, config)


def _say_waiting(progress: Progress | None) -> None:
    if progress is not None:
        progress("waiting: another process plans this job", 0, None)


def plan_frames(
    content: Mapping[str, Any],
    directory: Path,
    *,
    rest_of: str | Path | None = None,
    on: object = None,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job of settings whose `files` may be frames, which are kept in its directory.

    Raises what `plan_job` does.
    """
    refuse_address(directory)
    rest = _rest(rest_of)
    with _to_be_planned(directory):
        config = config_from_mapping(store_frames(content, directory), directory=directory)
        address = address_for(config, destination(config.destination))
        planning = Planning(directory, config, address, rest, on, progress)
        try:
            manifest = plan_into(planning, anew=True)
        except ConfigError as error:
            error.hint = index_hint(content, error.message) or error.hint
            raise
        discard_unused_frames(directory, manifest)
    return Job(directory, manifest, config)


@contextmanager
def _to_be_planned(directory: Path) -> Iterator[None]:
    """Make a job's directory and hold it; one that is new goes where no plan comes of it."""
    refresh(directory)
    new = not directory.exists()
    make_directory(directory)
    with locked(directory, "plan"):
        try:
            yield
        except BaseException:
            if new:
                discard_unused(directory)
            raise


def _rest(name: str | Path | None) -> Path | None:
    """The directory of a job whose rest is to be planned. Raises JobError where there is none."""
    if name is None:
        return None
    directory = job_directory(name)
    refresh(directory)
    Manifest.read(directory)
    return directory


def open_job(name: str | Path) -> Job:
    """Open a job by its directory or its configuration file. Raises JobError if there is none.

    To look at a job named by its directory no configuration is needed: one that is broken by now
    is complained of when the job is to run.
    """
    if not isinstance(name, str | Path):
        raise JobError(
            f"a job is named by its directory or its configuration file, and not by {name!r}"
        )
    directory = job_directory(name)
    refresh(directory)
    manifest = Manifest.read(directory)
    if typed_path(name).is_file():
        return Job(directory, manifest, load_config(name))
    known = manifest.config_file(directory)
    try:
        return Job(directory, manifest, load_config(known) if known and known.is_file() else None)
    except ConfigError as error:
        return Job(directory, manifest, broken=error)


def find_or_plan(
    name: str | Path,
    job: str | Path | None = None,
    *,
    base_url: str | None = None,
    on: object = None,
    progress: Progress | None = None,
) -> Job:
    """Open the job of a configuration, planning it if need be, or a job's directory, to run it now.

    `base_url` is where the run is to send to, other than the configuration's, and `on` where the
    work of a plan is done.

    Raises what `plan_job` does, ChangedError among it, and JobError.
    """
    if job is None and names_job(name):
        found = open_job(name)
        found.refuse_change()
    else:
        config = load_config(name)
        directory = job_directory(name, job)
        known = None if config.cluster is None else _found_among_others(config, directory)
        found = known or plan_job(
            config,
            directory,
            anew=False,
            base_url=base_url,
            on=on,
            progress=progress,
        )
    return Job(found.directory, found.manifest, found.config, unchanged=True)


def refuse_lone(name: str | Path, job: str | Path | None = None) -> None:
    """Raise ConfigError where workers are to deliver what `find_or_plan` would find, and its ledger
    is, or would be, one process's own. Nothing is done yet.
    """
    if job is None and names_job(name):
        directory = job_directory(name)
        refresh(directory)
        Manifest.read(directory)
        refuse_lone_ledger(LedgerPlace.read(directory), str(directory))
    else:
        refuse_lone_ledger(place_for(load_config(name)), str(name))


def _found_among_others(config: Config, directory: Path) -> Job | None:
    """A job that other machines may be delivering, if it is planned: without a lock."""
    refresh(directory)
    if not Manifest.exists(directory) or LedgerPlace.read(directory) is None:
        return None
    found = Job(directory, Manifest.read(directory), config)
    found.refuse_change()
    return found
