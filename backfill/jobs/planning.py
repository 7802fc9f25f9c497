"""Making a job: its directory, and what may be planned anew.

A job is bound to what it was planned from. As long as nothing was sent, a changed source or
configuration is simply planned anew; afterwards it is refused, because positions in the
ledger would no longer mean the same records.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backfill.config import Config, Files
from backfill.core.atomic_files import os_error_message, sync
from backfill.core.errors import (
    BackfillError,
    ChangedError,
    ConfigError,
    JobError,
)
from backfill.core.job_files import LEDGER, OWN_NAMES
from backfill.core.model import Progress
from backfill.deliver import REACHED
from backfill.destinations import destination
from backfill.jobdir.lock import unwritable
from backfill.jobdir.manifest import Manifest
from backfill.jobs.looking import look
from backfill.ledger import Ledger

__all__ = ["difference", "make_directory", "plan_into", "refuse_change"]

_DRAFT = ".preparing"
_OUTPUTS = ("ready", "rejected.parquet", "duplicates.parquet")


def plan_into(
    directory: Path,
    config: Config,
    *,
    anew: bool,
    progress: Progress | None = None,
) -> Manifest:
    """Prepare the job, or find it prepared already.

    With `anew`, a job of which nothing was sent is prepared again where its source or its
    configuration changed; without, and wherever something was sent, that is a ChangedError.
    The caller holds the lock.
    """
    if not Manifest.exists(directory):
        _refuse_orphan(directory)
        return _prepare(directory, config, progress)
    manifest = Manifest.read(directory)
    if anew and difference(directory, manifest, config) and not _sent(directory):
        return _prepare(directory, config, progress)
    refuse_change(directory, manifest, config)
    return manifest


def refuse_change(directory: Path, manifest: Manifest, config: Config | None) -> None:
    """Raise ChangedError if the source or the configuration is not what was planned."""
    changed = difference(directory, manifest, config)
    if changed is None:
        return
    name = manifest.config_file(directory)
    if not _sent(directory):
        raise ChangedError(
            f"{changed} since the job was planned",
            where=str(directory),
            hint="Nothing was sent yet, so it can be planned anew: "
            + (f"backfill plan {shlex.quote(str(name))}" if name else "call plan(…) again."),
        )
    raise ChangedError(
        f"{changed}, and some of the job was sent already",
        where=str(directory),
        hint="Undo the change, or plan what is new as a job of its own: "
        + (
            f"backfill plan {shlex.quote(str(name))} --job NEW.job,"
            f' with delivered_by = ["{directory}"] under [dedupe].'
            if name
            else f'plan(…, job="NEW.job", dedupe={{"delivered_by": "{directory}"}}).'
        ),
    )


def _sent(directory: Path) -> bool:
    """Whether a request of the job ever reached a server, as far as its ledger knows."""
    with look(directory) as (ledger, _):
        return ledger.get_meta(REACHED) is not None or any(ledger.counts().values())


def difference(directory: Path, manifest: Manifest, config: Config | None) -> str | None:
    """What changed since the job in `directory` was planned, in words, or None."""
    # Reading files is the largest part of the program, and most commands need none of it.
    from backfill.sources.fingerprints import difference_of  # noqa: PLC0415

    if config is not None and config.digest() != manifest.shape_sha256:
        return f"the configuration changed: {_changed_keys(manifest, config)}"
    base = manifest.source_directory(directory) if config is None else config.directory
    for section, entries in (("events", manifest.events), ("contacts", manifest.contacts)):
        if entries:
            files = _files_of(directory, manifest, section)
            if (changed := difference_of(files, entries, base)) is not None:
                return changed
    return None


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
            where=str(directory),
            hint="Restore the job's directory from a copy.",
        ) from error


def _refuse_unknown_files(directory: Path) -> None:
    """Never plan into a directory that holds something else."""
    families = (LEDGER, f".{LEDGER}.", "report", ".draft-", ".records-")
    unknown_files = [
        path.name
        for path in directory.iterdir()
        if path.name not in OWN_NAMES and not path.name.startswith(families)
    ]
    if unknown_files:
        raise JobError(
            f"the directory holds something that is no job: {unknown_files[0]}",
            where=str(directory),
            hint="Name an empty or new directory with --job.",
        )


def _refuse_orphan(directory: Path) -> None:
    """Never plan over a ledger whose manifest is gone."""
    if (directory / LEDGER).exists() and _sent(directory):
        raise JobError(
            "the manifest is gone, but the ledger says that records were sent",
            where=str(directory),
            hint="Restore manifest.json and ready/; planning anew would send them twice.",
        )


def _prepare(directory: Path, config: Config, progress: Progress | None) -> Manifest:
    """Prepare beside the old outputs, then put the new ones in place, the manifest last."""
    from backfill.jobs.records import delivered_records  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415

    draft = directory / _DRAFT
    died = draft.exists()  # whoever began a plan here before did not even get to clear up
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        manifest = prepare(
            config,
            destination(config.destination),
            draft,
            now=datetime.now(UTC),
            delivered=delivered_records,
            progress=progress,
            careful=died,
        )
        _make_durable(draft)
    except BaseException as error:
        reason = os_error_message(error, draft)
        shutil.rmtree(draft, ignore_errors=True)
        if reason is None:
            raise
        raise BackfillError(
            f"the job cannot be written: {reason}",
            where=str(directory),
            hint="Check the free space and the permissions; nothing was sent.",
        ) from error
    _clear(directory)
    for name in _OUTPUTS:
        (draft / name).rename(directory / name)
    shutil.rmtree(draft)
    _make_private(directory)
    # A manifest without its ledger would look like a job of which nothing was sent, so the
    # ledger is there first and its absence is an error ever after.
    Ledger.open(directory / LEDGER, create=True).close()
    warnings = (*manifest.facts.warnings, *_unfinished(config))
    manifest = manifest.model_copy(
        update={
            "facts": manifest.facts.model_copy(update={"warnings": warnings}),
            "config_path": _remembered(config.path, directory) if config.path else None,
            "delivery": config.delivery.model_dump(mode="json"),
        }
    )
    manifest.write(directory)
    sync(directory.absolute().parent)
    return manifest


def _unfinished(config: Config) -> Iterator[str]:
    """Notes on earlier jobs that are named and may deliver more after this plan."""
    from backfill.jobs.records import undelivered  # noqa: PLC0415
    from backfill.prepare.previous_jobs import job_of  # noqa: PLC0415

    for name in config.dedupe.delivered_by:
        left = undelivered(job_of(config.directory / name))
        if left:
            records = "1 record is" if left == 1 else f"{left:,} records are"
            yield (
                f"{records} not delivered by {name} yet; what it delivers from now on is not left"
                " out here, so finish it first, or run it no more"
            )


def _remembered(config: Path, directory: Path) -> str:
    """A configuration's path from its job's directory where the two can only be moved together."""
    path, job = config.absolute(), directory.absolute()
    return os.path.relpath(path, job) if job.is_relative_to(path.parent) else str(path)


def _make_durable(draft: Path) -> None:
    """Have what was prepared survive a power cut, before the ledger says a word about it."""
    for path in (*draft.rglob("*"), draft):
        sync(path)


def _clear(directory: Path) -> None:
    (directory / "manifest.json").unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        (directory / f"{LEDGER}{suffix}").unlink(missing_ok=True)
    # A ledger that was being made when the process was killed, and reports of what is no more.
    leftovers = (*directory.glob(f".{LEDGER}.*"), *directory.glob("report*"))
    for path in (*(directory / name for name in _OUTPUTS), *leftovers):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _make_private(directory: Path) -> None:
    for path in directory.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def make_directory(directory: Path) -> None:
    """Make the job's directory, for its owner alone whatever the umask.

    Raises JobError where it holds something else, which stays as it is.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not Manifest.exists(directory):
            _refuse_unknown_files(directory)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        if Manifest.exists(directory):
            # Another name would make another job, which sends everything again.
            raise unwritable(directory, error) from error
        # A name that is a file's is a mistake of the command line; a full disk is not.
        named = isinstance(error, FileExistsError | NotADirectoryError)
        raise (ConfigError if named else BackfillError)(
            f"the job's directory cannot be made: {error.strerror or error}",
            where=str(directory),
            hint="Name another one with --job.",
        ) from error


def _changed_keys(manifest: Manifest, config: Config) -> str:
    before, now = dict(manifest.shape), config.shape()
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
