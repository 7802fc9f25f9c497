"""`backfill.plan`: from a configuration file, or from frames and paths in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backfill.config import config_from_mapping, load_config
from backfill.core.errors import ConfigError
from backfill.core.model import Progress
from backfill.jobdir.job_paths import job_directory
from backfill.jobs.frames import discard_unused_frames, is_frame, store_frames
from backfill.jobs.job import Job
from backfill.jobs.opening import plan_job
from backfill.progress.progress import PlanBar

__all__ = ["plan"]


def plan(
    config: str | Path | None = None,
    *,
    job: str | Path | None = None,
    destination: str | None = None,
    population: str | None = None,
    events: Any = None,
    contacts: Any = None,
    fields: Mapping[str, Any] | None = None,
    contact_key: str | None = None,
    contacts_key: str | None = None,
    time: str | None = None,
    timezone: str | None = None,
    time_format: str | Sequence[str] | None = None,
    rules: Mapping[str, Any] | None = None,
    dedupe: Mapping[str, Any] | None = None,
    delivery: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job without any network, or open it where it is prepared already.

    Either `config` names a configuration file, or the other arguments say what it would say:
    `events` and `contacts` are paths, Polars frames or lazy frames, anything that speaks the
    Arrow or the dataframe interchange (pandas, pyarrow), or mappings such as the sections
    [events] and [contacts]; `fields`, `rules`, `dedupe` and `delivery` are those sections;
    `contact_key`, `time`, `timezone` and `time_format` belong to the events, and `contacts_key` is
    the contacts' own column where its name is another one.

    Frames are kept in the job's directory, so that a later process can go on without them.
    Without a file the job lies in `DESTINATION.job` in the working directory, unless `job`
    names another directory.

    Raises ConfigError (a wrong setting), SourceError (a file or a column), ChangedError (the
    job has sent something already, from another source), BusyError.
    """
    given = {
        "destination": destination,
        "population": population,
        "fields": fields,
        "rules": rules,
        "dedupe": dedupe,
        "delivery": delivery,
    }
    content: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if is_frame(config):
        raise ConfigError("a frame of events is given by name: plan(events=frame, …)")
    if config is not None:
        if content or events is not None or contacts is not None:
            raise ConfigError(
                "plan takes a configuration file or the settings themselves, not both",
                hint="Change the file, or leave it out and name everything.",
            )
        loaded, directory = load_config(config), job_directory(config, job)
    else:
        if destination is None or events is None or fields is None:
            raise ConfigError(
                "plan needs a configuration file, or at least destination, events and fields"
            )
        directory = Path(job) if job is not None else Path(f"{destination}.job")
        said = {
            "contact_key": contact_key,
            "time": time,
            "timezone": timezone,
            "time_format": time_format,
        }
        sections = {
            "events": _section("events", events, said),
            "contacts": _section("contacts", contacts, {"key": contacts_key or contact_key}),
        }
        content |= {name: value for name, value in sections.items() if value is not None}
        content = store_frames(content, directory)
        loaded = config_from_mapping(content, directory=directory)
    if progress is not None:
        planned = plan_job(loaded, directory, progress=progress)
    else:
        with PlanBar() as bar:
            planned = plan_job(loaded, directory, progress=bar)
    if config is None:
        entries = (*planned.manifest.events, *planned.manifest.contacts)
        discard_unused_frames(directory, (entry.name for entry in entries))
    return planned


def _section(name: str, source: Any, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if source is None:
        return None
    section = dict(source) if isinstance(source, Mapping) else {"files": source}
    files = section.get("files")
    if not is_frame(files):
        # Paths are relative to where the notebook runs, while the job's own are not.
        names = [files] if isinstance(files, str | Path) else files
        if not isinstance(names, list | tuple) or not all(
            isinstance(each, str | Path) for each in names
        ):
            raise ConfigError(
                f"{name}: a frame, or the names of files, and not a {type(source).__name__}"
            )
        section["files"] = [
            str(each) if "://" in str(each) else str(Path(each).absolute()) for each in names
        ]
    return {**{name: value for name, value in settings.items() if value is not None}, **section}
