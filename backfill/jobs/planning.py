"""Making a job: its directory, and what may be planned anew.

A job is bound to what it was planned from. As long as nothing was sent, a changed source or
configuration is simply planned anew; afterwards it is refused, because positions in the
ledger would no longer mean the same records.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from backfill.config import Config, Files, with_defaults
from backfill.core.atomic_files import os_error_message, sync
from backfill.core.errors import (
    BackfillError,
    ChangedError,
    ConfigError,
    JobError,
    LedgerError,
)
from backfill.core.job_files import LEDGER, MANIFEST
from backfill.core.model import Progress
from backfill.deliver import was_sent
from backfill.destinations import destination
from backfill.jobdir.lock import refuse_links, unwritable
from backfill.jobdir.manifest import Manifest, Seal, fingerprint
from backfill.jobdir.own_files import DRAFT, clear, discard_draft, make_private, refuse_users_files
from backfill.jobs.audit import BOUND_TO
from backfill.jobs.interrupts import interrupts_first
from backfill.jobs.looking import look
from backfill.ledger import Ledger

__all__ = ["difference", "make_directory", "plan_into", "refuse_change"]

_HASHED_AT_ONCE = 2


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
    changed = difference(directory, manifest, config)
    if changed is not None:
        if not anew or _sent(directory):
            raise _changed(directory, manifest, changed)
        return _prepare(directory, config, progress)
    return manifest


def refuse_change(directory: Path, manifest: Manifest, config: Config | None) -> None:
    """Raise ChangedError if the source or the configuration is not what was planned."""
    changed = difference(directory, manifest, config)
    if changed is not None:
        raise _changed(directory, manifest, changed)


def _changed(directory: Path, manifest: Manifest, changed: str) -> ChangedError:
    name = manifest.config_file(directory)
    if not _sent(directory):
        return ChangedError(
            f"{changed} since the job was planned",
            where=str(directory),
            hint="Nothing was sent yet, so it can be planned anew: "
            + (f"backfill plan {shlex.quote(str(name))}" if name else "call plan(…) again."),
        )
    return ChangedError(
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
        return was_sent(ledger)


def difference(directory: Path, manifest: Manifest, config: Config | None) -> str | None:
    """What changed since the job in `directory` was planned, in words, or None."""
    # Reading files is the largest part of the program, and most commands need none of it.
    from backfill.sources.fingerprints import difference_of  # noqa: PLC0415

    if config is not None and not config.has_shape(manifest.shape):
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


def _refuse_orphan(directory: Path) -> None:
    """Never plan over a ledger whose manifest is gone."""
    if (directory / LEDGER).exists() and _sent(directory):
        raise JobError(
            "the manifest is gone, but the ledger says that records were sent",
            where=str(directory),
            hint="Restore manifest.json and ready/; planning anew would send them twice.",
        )


def _prepare(directory: Path, config: Config, progress: Progress | None) -> Manifest:
    """Prepare beside the old outputs; once all is on the disk, put it in their place."""
    draft = directory / DRAFT
    died = draft.exists()  # whoever began a plan here before did not even get to clear up
    discard_draft(directory)
    try:
        with interrupts_first():
            draft.mkdir(mode=0o700)
            manifest = _drafted(draft, directory, config, progress, careful=died)
            clear(directory)
            _put_in_place(draft, directory)
    except BaseException as error:
        ours = error.message if isinstance(error, LedgerError) else None
        reason = ours or os_error_message(error, draft)
        discard_draft(directory)
        if reason is None:
            raise
        raise BackfillError(
            f"the job cannot be written: {reason}",
            where=str(directory),
            hint="Check the free space and the permissions; nothing was sent.",
        ) from error
    return manifest


def _drafted(
    draft: Path, directory: Path, config: Config, progress: Progress | None, *, careful: bool
) -> Manifest:
    """Write a whole job into `draft`, so that what follows needs no more room on the disk."""
    from backfill.jobs.records import delivered_records  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415

    manifest = prepare(
        config,
        destination(config.destination),
        draft,
        now=datetime.now(UTC),
        delivered=delivered_records,
        progress=progress,
        careful=careful,
    )
    warnings = (*manifest.facts.warnings, *_unfinished(config))
    manifest = manifest.model_copy(
        update={
            "facts": manifest.facts.model_copy(update={"warnings": warnings}),
            "config_path": _remembered(config.path, directory) if config.path else None,
            "delivery": config.delivery.model_dump(mode="json"),
            "seals": _seals(draft),
        }
    )
    with Ledger.open(draft / LEDGER, create=True) as ledger:
        ledger.set_meta(BOUND_TO, fingerprint(manifest))
    manifest.write(draft)
    make_private(draft)
    for path in (*draft.rglob("*"), draft):
        sync(path)
    return manifest


def _put_in_place(draft: Path, directory: Path) -> None:
    """Move a job from its draft, the manifest last: until it is there, there is no job."""
    (directory / "ready").mkdir(mode=0o700, exist_ok=True)
    for path in (draft / "ready").iterdir():
        path.rename(directory / "ready" / path.name)
    (draft / "ready").rmdir()
    for path in sorted(draft.iterdir(), key=lambda path: path.name == MANIFEST):
        if path.name == MANIFEST:
            sync(directory / "ready")
            sync(directory)
        path.rename(directory / path.name)
    draft.rmdir()
    sync(directory)
    sync(directory.absolute().parent)


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


def _seals(draft: Path) -> dict[str, Seal]:
    """What each file is, so that a run can tell that it sends what was planned."""
    paths = [path for path in sorted(draft.rglob("*")) if path.is_file()]
    with ThreadPoolExecutor(_HASHED_AT_ONCE) as pool:
        seals = pool.map(Seal.of, paths)
        return {
            path.relative_to(draft).as_posix(): seal
            for path, seal in zip(paths, seals, strict=True)
        }


def make_directory(directory: Path) -> None:
    """Make the job's directory, for its owner alone whatever the umask.

    Raises JobError where it holds something else, which stays as it is.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        refuse_links(directory)
        refuse_users_files(directory)
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
