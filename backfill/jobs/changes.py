"""What is not as it was when a job was planned, and the words that help."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from backfill.config import Config, Files, with_defaults
from backfill.core.atomic_files import free_name
from backfill.core.errors import ChangedError, JobError
from backfill.core.terminal import path_argument
from backfill.deliver import was_sent
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.store_addresses import named, named_for_all, typed_job
from backfill.jobs.access.shared_ledger import refuse_other_ledger
from backfill.jobs.chain.delivered_by import changed_earlier, refuse_running
from backfill.jobs.readonly import look
from backfill.jobs.run_history import is_abandoned

__all__ = ["difference", "job_was_sent", "refuse", "refuse_change", "refuse_namesake"]

_CONFIGURATION = "the configuration changed"


def refuse_change(
    directory: Path, manifest: Manifest, config: Config | None, *, source: bool = True
) -> None:
    """Raise ChangedError if the job that is to be sent is not what was planned.

    That is: its source, its configuration, or what the earlier jobs that it names have sent; these
    alone without `source`. Raises BusyError while one of them is being delivered.
    """
    if source:
        refuse_other_ledger(directory, config)
    changed = difference(directory, manifest, config) if source else None
    refuse(directory, manifest, config, changed, sending=True)


def refuse(
    directory: Path,
    manifest: Manifest,
    config: Config | None,
    changed: str | None,
    *,
    sending: bool = False,
) -> None:
    """Raise ChangedError for what `changed`, and for what the earlier jobs have sent meanwhile.

    Where the job is about to be `sending`, none of them may be, else BusyError is raised.
    """
    others = None
    earlier = manifest.earlier or (config is not None and config.dedupe.delivered_by)
    if changed is None and earlier and _pending(directory, manifest):
        if sending:
            refuse_running(directory, manifest)
        others = changed_earlier(directory, manifest, config)
    if changed is None and others is None:
        return
    if changed is not None:
        refuse_namesake(directory, manifest, config)
    file = manifest.config_file(directory)
    name, job = path_argument(str(file)), typed_job(directory)
    if not job_was_sent(directory):
        again = f"backfill plan {name}"
        if file and job_directory(file).absolute() != directory.absolute():
            again += f" --job {job}"
        raise ChangedError(
            f"{changed or others} since the job was planned",
            where=named(directory),
            hint="Nothing was sent yet, so it can be planned anew: "
            + (again if file else "call plan(…) again."),
        )
    if config is not None and (other := _other_records(manifest, config)):
        plan = f"backfill plan {name} --job NEW.job" if file else 'plan(…, job="NEW.job")'
        wrong = free_name("wrong.csv")
        raise ChangedError(
            f"{changed}, and some of the job was sent already",
            where=named(directory),
            hint=f"Another {other} has none of the records: plan all of them as a job of its own:"
            f" {plan}\n  Give this one up: backfill abandon {job}\n  What it sent, for"
            f" the vendor: backfill records {job} --state delivered -o {wrong}",
        )
    frame = file is None and changed == f"{_CONFIGURATION}: [events] files"
    if frame:
        changed = "the frame of events changed"
    if others or _reads_same_rows(directory, manifest, config):
        hint = "The rows that it has not delivered can go as a job of their own: "
        way = (f"backfill plan {name} --rest-of {job}", f'plan(…, rest_of="{named(directory)}").')
    else:
        hint = "Undo the change, or plan what is new as a job of its own: "
        way = (
            f'backfill plan {name} --job NEW.job, with delivered_by = ["{named(directory)}"]'
            " under [dedupe].",
            f'plan(…, job="NEW.job", dedupe={{"delivered_by": "{named_for_all(directory)}"}}).',
        )
    raise ChangedError(
        f"{changed or others}, and some of the job was sent already",
        where=named(directory),
        hint=hint + (way[0] if file else way[1]),
    )


def refuse_namesake(directory: Path, manifest: Manifest, config: Config | None) -> None:
    """Raise ChangedError where the job is that of another configuration that goes by the same name.

    Two of them lie in different directories then, and share their storage.
    """
    other = manifest.config_file(directory)
    if config is None or config.path is None or other is None or not other.is_file():
        return
    place = directory.absolute()
    if any(job_directory(each).absolute() != place for each in (config.path, other)):
        return
    if not other.samefile(config.path):
        raise ChangedError(
            f"this is the job of another configuration, {other}",
            where=named(directory),
            hint="The two have one name and one storage. Give this one a job of its own:"
            f" backfill plan {path_argument(config.path)} --job NEW.job",
        )


def _other_records(manifest: Manifest, config: Config) -> str | None:
    """Which of the two differs by which records are others, whatever they hold."""
    if config.destination != manifest.destination:
        return "destination"
    return "population" if config.population != manifest.population else None


def _pending(directory: Path, manifest: Manifest) -> int:
    with look(directory) as (ledger, _):
        if is_abandoned(ledger):
            return 0
        return manifest.ready - sum(ledger.counts().values())


def difference(directory: Path, manifest: Manifest, config: Config | None) -> str | None:
    """What changed since the job in `directory` was planned, in words, or None."""
    if config is not None and not config.has_shape(manifest.shape):
        return f"{_CONFIGURATION}: {_changed_keys(manifest, config)}"
    return _of_source(directory, manifest, config, "events") or _of_source(
        directory, manifest, config, "contacts"
    )


def _of_source(
    directory: Path,
    manifest: Manifest,
    config: Config | None,
    section: Literal["events", "contacts"],
) -> str | None:
    """What changed in the files of a section, in words, or None."""
    # Reading files is the largest part of the program, and most commands need none of it.
    from backfill.sources.fingerprints import difference_of  # noqa: PLC0415

    entries = manifest.events if section == "events" else manifest.contacts
    if not entries:
        return None
    base = manifest.source_directory(directory) if config is None else config.directory
    return difference_of(_files_of(directory, manifest, section), entries, base)


def _reads_same_rows(directory: Path, manifest: Manifest, config: Config | None) -> bool:
    """Whether the events are the files that they were, also as the configuration names them now."""
    from backfill.sources.fingerprints import difference_of  # noqa: PLC0415 - see above

    if config is None:
        return _of_source(directory, manifest, config, "events") is None
    return difference_of(config.events, manifest.events, config.directory) is None


def _files_of(directory: Path, manifest: Manifest, section: str) -> Files:
    """What a section of the configuration said of its files. Raises JobError."""
    try:
        content = dict(manifest.shape[section])
        return Files.model_validate(
            {name: content[name] for name in Files.model_fields if name in content}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(
            f"the manifest is damaged: it does not say where the {section} lie",
            where=named(directory),
            hint="Restore the job's directory from a copy.",
        ) from error


def job_was_sent(directory: Path) -> bool:
    """Whether a record of the job in `directory` may be at a server, as far as is known."""
    with look(directory) as (ledger, _):
        return was_sent(ledger)


def _changed_keys(manifest: Manifest, config: Config) -> str:
    before, now = with_defaults(manifest.shape), config.shape()
    names = []
    for section in sorted({*before, *now}):
        old, new = before.get(section), now.get(section)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names += [
                f"[{section}] {key}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
            ]
        else:
            names.append(section)
    return ", ".join(names) or "its format"
