"""What a notebook or a script holds: `plan`, `open_job`, and a job with a bar, a page and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from backfill.config import config_from_mapping, load_config
from backfill.core.errors import ConfigError
from backfill.core.model import Progress
from backfill.core.typed_paths import typed_path
from backfill.deliver import Settings, StopRequest
from backfill.jobdir.job_paths import job_directory, named_place
from backfill.jobs import job as jobs_job
from backfill.jobs import opening
from backfill.jobs import status as jobs_status
from backfill.jobs.chain.rest import directory_for_rest
from backfill.jobs.stored_frames import holds_frames, is_frame
from backfill.progress.progress import DeliveryBar, PlanBar

if TYPE_CHECKING:
    from backfill.rehearsal import Rehearsal

__all__ = ["Job", "init", "open_job", "plan"]


class _Status(jobs_status.Status):
    """A job at one moment, which a notebook shows as a picture and a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from backfill.report.html_summary import status_html  # noqa: PLC0415 - only in a notebook

        return status_html(self)


class Job(jobs_job.Job):
    """One backfill of one source to one destination, and the directory that holds its state.

    A run without an observer of its own shows a bar where someone is looking.
    """

    status_type: ClassVar[type[jobs_status.Status]] = _Status

    def report(
        self,
        path: str | Path | None = None,
        format: Literal["html", "png", "svg"] | None = None,  # noqa: A002 - the option's name
    ) -> tuple[Path, ...]:
        """Write a self-contained page with pictures, or the pictures alone ("png", "svg").

        Without `path` it is `report.html` in the job's directory. Returns what was written.
        """
        from backfill.report import write_report  # noqa: PLC0415 - not before a page is asked for

        return write_report(self, path, format)

    def rehearse(
        self, *, limit: int | None = None, fault: str | Sequence[str] = (), keep: bool = False
    ) -> Rehearsal:
        """Plan this job's configuration anew and deliver it to a sandbox on this machine.

        Nothing leaves the machine, and this job stays as it is. `limit` is the number of records
        to send, `fault` one or several "KIND=SHARE" as `backfill rehearse --fault` takes them; with
        `keep` the rehearsal's directory stays. Raises what planning and running raise.
        """
        from backfill.rehearsal import rehearse  # noqa: PLC0415 - brings a server along

        if self.config is None:
            raise self.broken or ConfigError(
                "this job's configuration is gone, and a rehearsal plans it anew",
                where=str(self.directory),
                hint="Open the job by its configuration file.",
            )
        with PlanBar() as bar:
            return rehearse(
                self.config,
                name=self.directory,
                limit=limit,
                faults=(fault,) if isinstance(fault, str) else fault,
                keep=keep,
                progress=bar,
                watch=_showing_progress,
            )

    def _repr_html_(self) -> str:
        from backfill.report.html_summary import job_html  # noqa: PLC0415 - only in a notebook

        return job_html(self.status(), self.manifest)

    def _watching(
        self, settings: Settings, halt: StopRequest
    ) -> AbstractContextManager[jobs_job.Observer]:
        return DeliveryBar(self, settings=settings, halt=halt)


def init(
    events: str | Path,
    *,
    destination: str,
    contacts: str | Path | None = None,
    output: str | Path | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> Path:
    """Look at files and write a commented configuration, which `plan` takes. Returns its path.

    `events` and `contacts` are a file, a glob, a directory or an address each. Without `output`
    the file is called after the events, in the working directory. What no program can know is left
    in it as a question, "?", which `plan` names. Raises ConfigError where there is a file already,
    and SourceError for what cannot be read.
    """
    from backfill.discover import write_draft  # noqa: PLC0415 - looks at files as no other does

    _, target = write_draft(
        str(events),
        contacts=None if contacts is None else str(contacts),
        destination_name=destination,
        output=None if output is None else typed_path(output),
        separator=separator,
        encoding=encoding,
    )
    return target


def open_job(name: str | Path) -> Job:
    """Open a job by its directory or its configuration file. Raises JobError if there is none.

    To look at a job named by its directory no configuration is needed: one that is broken by now
    is complained of when the job is to run.
    """
    return _with_bar_and_html(opening.open_job(name))


def _with_bar_and_html(job: jobs_job.Job) -> Job:
    return Job(job.directory, job.manifest, job.config, broken=job.broken)


def plan(
    config: str | Path | None = None,
    *,
    job: str | Path | None = None,
    rest_of: str | Path | None = None,
    destination: str | None = None,
    population: str | None = None,
    events: Any = None,
    contacts: Any = None,
    fields: Mapping[str, Any] | None = None,
    contact_key: str | Mapping[str, str] | None = None,
    contacts_key: str | Mapping[str, str] | None = None,
    time: str | Mapping[str, str] | None = None,
    timezone: str | None = None,
    time_format: str | Sequence[str] | None = None,
    where: str | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    rules: Mapping[str, Any] | None = None,
    dedupe: Mapping[str, Any] | None = None,
    delivery: Mapping[str, Any] | None = None,
    on: object = None,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job without any network, or open it where it is prepared already.

    Either `config` names a configuration file, or the other arguments say what it would say:
    `events` and `contacts` are paths, Polars frames or lazy frames, anything that speaks the
    Arrow or the dataframe interchange (pandas, pyarrow), or mappings such as the sections
    [events] and [contacts]; `fields`, `rules`, `dedupe` and `delivery` are those sections;
    `contact_key`, `time`, `timezone`, `time_format`, `where`, `since` and `until` belong to the
    events, and `contacts_key` is the contacts' own column where its name is another one. Keys and
    the time are columns, or `{"sql": …}`.

    Frames are kept in the job's directory, so that a later process can go on without them.
    Without a file the job lies in `DESTINATION.job` in the working directory, unless `job`
    names another directory.

    `rest_of` names a job of the same files: the new one has the rows that it has not delivered,
    told by file and row whatever the mapping, and it is abandoned.

    `on` is where the work is done: `"local:4"` for 4 processes of this machine, `"tcp://host:8786"`
    for a Dask cluster, or a `dask.distributed.Client`. Without it this process does it.

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
        if rest_of is not None and job is None:
            directory = directory_for_rest(typed_path(config), job_directory(rest_of))
        prepare = partial(opening.plan_job, loaded, directory)
    else:
        if destination is None or events is None or fields is None:
            raise ConfigError(
                "plan needs a configuration file, or at least destination, events and fields"
            )
        directory = named_place(job if job is not None else f"{destination}.job")
        said = {
            "contact_key": contact_key,
            "time": time,
            "timezone": timezone,
            "time_format": time_format,
            "where": where,
            "since": since,
            "until": until,
        }
        sections = {
            "events": _section("events", events, said),
            "contacts": _section("contacts", contacts, {"key": contacts_key or contact_key}),
        }
        content |= {name: value for name, value in sections.items() if value is not None}
        if holds_frames(content):
            prepare = partial(opening.plan_frames, content, directory)
        else:
            loaded = config_from_mapping(content, directory=directory)
            prepare = partial(opening.plan_job, loaded, directory)
    if progress is not None:
        return _with_bar_and_html(prepare(rest_of=rest_of, on=on, progress=progress))
    with PlanBar() as bar:
        return _with_bar_and_html(prepare(rest_of=rest_of, on=on, progress=bar))


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
            str(each) if "://" in str(each) else str(typed_path(each).absolute()) for each in names
        ]
    return {**{name: value for name, value in settings.items() if value is not None}, **section}


@contextmanager
def _showing_progress(
    job: jobs_job.Job, settings: Settings
) -> Iterator[tuple[jobs_job.Observer, StopRequest]]:
    halt = StopRequest()
    with DeliveryBar(job, settings=settings, halt=halt) as observe:
        yield observe, halt
