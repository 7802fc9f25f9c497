"""Making a job, and what may be planned anew.

A job is bound to what it was planned from. As long as nothing was sent, a changed source or
configuration is simply planned anew; afterwards it is refused: positions in the ledger would no
longer mean the same records.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from backfill.config import Config
from backfill.core.atomic_files import os_error_message, put_new, sync
from backfill.core.errors import MORE_OPEN_FILES, BackfillError, BusyError, JobError, LedgerError
from backfill.core.job_files import LEDGERS, MANIFEST
from backfill.core.model import Progress
from backfill.deliver import was_sent
from backfill.destinations import destination
from backfill.jobdir.copies import publish
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import Manifest, fingerprint
from backfill.jobdir.ownership import DRAFT, clear, discard_draft, make_private
from backfill.jobdir.store_addresses import named, typed_job
from backfill.jobs.access.new_ledger import made_in_vain, new_ledger
from backfill.jobs.access.shared_ledger import (
    discard_ledger,
    other_ledger,
    place_for,
    refuse_other_ledger,
    refuse_same_place,
)
from backfill.jobs.access.working import working_on
from backfill.jobs.audit import BOUND_TO
from backfill.jobs.chain.delivered_by import (
    Found,
    changed_earlier,
    delivered_by,
    rest_of,
    settled_since,
)
from backfill.jobs.chain.rest import claim_rest, refuse_taken
from backfill.jobs.changes import difference, job_was_sent, refuse, refuse_namesake
from backfill.jobs.job_directory import remembered
from backfill.jobs.readonly import look
from backfill.jobs.run_history import is_abandoned
from backfill.jobs.running.interrupts import interrupts_first
from backfill.jobs.sealing import seals

__all__ = ["Planning", "plan_into"]

_REST_OF = "rest-of"  # in a draft: the job of which the rest is planned


@dataclass(frozen=True, slots=True)
class Planning:
    """A job that is to be planned.

    `address` is where a run would send to, `rest` the job whose rest it is, and `on` where the work
    is done, as `engine_on` takes it. `check` raises LedgerError where another machine may plan the
    job as well by now.
    """

    directory: Path
    config: Config
    address: str
    rest: Path | None = None
    on: object = None
    progress: Progress | None = None
    check: Callable[[], object] = lambda: None


def plan_into(planning: Planning, *, anew: bool) -> Manifest:
    """Prepare the job, or find it prepared already.

    With `anew`, a job of which nothing was sent is prepared again where its source or its
    configuration changed; without, and wherever something was sent, that is a ChangedError. What
    changed at the earlier jobs that it names is always looked at anew while nothing was sent.
    The caller holds the lock.
    """
    directory, config, rest = planning.directory, planning.config, planning.rest
    if not Manifest.exists(directory):
        _refuse_orphan(directory)
        if rest is None:
            _refuse_half_a_rest(directory)
        return _prepare_after_others(planning)
    manifest = Manifest.read(directory)
    before = directory / manifest.rest.path if manifest.rest else None
    if rest is not None and (before is None or before.resolve() != rest.resolve()):
        raise JobError(
            "there is a job here already, and it is not the rest of that one",
            where=named(directory),
            hint="Name another directory with --job.",
        )
    with look(directory) as (ledger, _):
        fixed = was_sent(ledger) or is_abandoned(ledger)
    changed = difference(directory, manifest, config) or (
        None if fixed else other_ledger(directory, config)
    )
    again = (
        anew
        if changed
        else changed_earlier(directory, manifest, config, planning.address) is not None
        or settled_since(directory, manifest)
    )
    if changed and config.cluster is not None:
        refuse_namesake(directory, manifest, config)
    if again and not fixed:
        return _prepare_again(replace(planning, rest=before))
    refuse_other_ledger(directory, config)
    refuse(directory, manifest, config, changed)
    return manifest


def _prepare_again(planning: Planning) -> Manifest:
    """Prepare anew a job of which nothing was sent, while nobody delivers it."""
    directory = planning.directory
    place = LedgerPlace.read(directory)
    if place is None:
        return _prepare_after_others(planning)
    with working_on(directory, "plan") as ledger:
        if was_sent(ledger):
            raise BusyError(
                "another process has begun to deliver the job",
                where=named(directory),
                hint=f"It is not planned anew. Look on: backfill status {typed_job(directory)}",
            )
        manifest = _prepare_after_others(planning)
        discard_ledger(place)
    return manifest


def _refuse_orphan(directory: Path) -> None:
    """Never plan over a ledger whose manifest is gone."""
    if any((directory / name).exists() for name in LEDGERS) and job_was_sent(directory):
        raise JobError(
            "the manifest is gone, but the ledger says that records were sent",
            where=named(directory),
            hint="Restore manifest.json and ready/; planning anew would send them twice.",
        )


def _refuse_half_a_rest(directory: Path) -> None:
    """Never plan the whole source where the rest of a job was about to be put."""
    note = directory / DRAFT / _REST_OF
    try:
        earlier = note.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise BackfillError(
            f"a note of an earlier plan cannot be read: {error.strerror or error}",
            where=str(note),
            hint=MORE_OPEN_FILES if error.errno == errno.EMFILE else "Check the permissions.",
        ) from error
    place = typed_job(directory / earlier)
    raise JobError(
        f"the plan of the rest of {place} was interrupted here",
        where=named(directory),
        hint=f"Plan it again: the same command with `plan` and `--rest-of {place}`. All of the"
        " source would be sent otherwise.",
    )


def _prepare_after_others(planning: Planning) -> Manifest:
    """Prepare the job after those that it names; the one that it is the rest of is abandoned."""
    directory, config, rest = planning.directory, planning.config, planning.rest
    if rest is None:
        return _prepare(planning, list(delivered_by(config, directory, planning.address)))
    if rest.resolve() == directory.resolve():
        raise JobError(
            "a job cannot be the rest of itself",
            where=named(directory),
            hint="Name another directory with --job.",
        )
    with working_on(rest, "plan --rest-of") as ledger:
        own = Manifest.read(directory).rest if Manifest.exists(directory) else None
        refuse_taken(rest, ledger, own=own.claim if own else None)
        found = rest_of(rest, directory, ledger)
        address = found.state.address or found.previous.manifest.address or planning.address
        earlier = [found, *delivered_by(config, directory, address, without=rest)]
        claim = partial(claim_rest, rest, ledger, directory, found.state)
        return _prepare(replace(planning, address=address), earlier, claim)


def _prepare(
    planning: Planning, earlier: Sequence[Found], claim: Callable[[], None] | None = None
) -> Manifest:
    """Prepare beside the old outputs; once all is on the disk, put it in their place.

    `claim` is called in between where the job is the rest of another one, which is abandoned
    before this one can send anything.
    """
    directory, config = planning.directory, planning.config
    if (place := place_for(config)) is not None:
        refuse_same_place(place, directory)
    draft = directory / DRAFT
    died = draft.exists()  # whoever began a plan here before did not even get to clear up
    discard_draft(directory)
    try:
        with interrupts_first():
            draft.mkdir(mode=0o700)
            manifest = _drafted(planning, draft, earlier, careful=died)
            _note_rest(planning, draft)
            if claim is not None:
                claim()
            planning.check()
            clear(directory)
            _put_in_place(draft, directory)
    except BaseException as error:
        ours = error if isinstance(error, LedgerError) else None
        if (made := made_in_vain(draft, directory)) is not None:
            with suppress(BackfillError):
                discard_ledger(made)
        reason = ours.message if ours is not None else os_error_message(error, draft)
        noted = (draft / _REST_OF).exists()
        discard_draft(directory)
        if noted and not Manifest.exists(directory):
            with suppress(OSError):
                draft.mkdir(mode=0o700)
                _note_rest(planning, draft)
        if reason is None:
            raise
        hint: str | None = "Check the free space and the permissions; nothing was sent."
        if os.strerror(errno.EMFILE) in reason:
            hint = MORE_OPEN_FILES
        elif ours is not None and place is not None:
            hint = ours.hint  # a database's own, which has nothing to do with this disk
        raise BackfillError(
            f"the job cannot be written: {reason}", where=str(directory), hint=hint
        ) from error
    return manifest


def _drafted(planning: Planning, draft: Path, named: Sequence[Found], *, careful: bool) -> Manifest:
    """Write a whole job into `draft`, so that what follows needs no more room on the disk."""
    from backfill.prepare.engines.opening import engine_on  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415

    directory, config = planning.directory, planning.config
    sends_to = destination(config.destination)
    with engine_on(planning.on) as engine:
        manifest = prepare(
            config,
            sends_to,
            draft,
            now=datetime.now(UTC),
            previous=[each.previous for each in named],
            progress=planning.progress,
            careful=careful,
            engine=engine,
        )
        sealed = seals(draft, engine, planning.progress)
    notes = [note for each in named for note in each.notes]
    manifest = manifest.with_notes([*notes, *sends_to.notes]).model_copy(
        update={
            "config_path": remembered(config.path, directory) if config.path else None,
            "earlier": tuple(each.state for each in named),
            "address": planning.address,
            "delivery": config.delivery.model_dump(mode="json"),
            "seals": sealed,
        }
    )
    with new_ledger(draft, directory, config) as ledger:
        ledger.set_meta(BOUND_TO, fingerprint(manifest))
    manifest.write(draft)
    make_private(draft)
    for path in (*draft.rglob("*"), draft):
        sync(path)
    return manifest


def _note_rest(planning: Planning, draft: Path) -> None:
    """Note beside a job's draft whose rest it is, for whoever finds it without its manifest."""
    if planning.rest is None:
        return
    note, directory = draft / _REST_OF, planning.directory
    path = os.path.relpath(planning.rest.absolute(), directory.absolute())
    note.write_text(path, encoding="utf-8")
    sync(note)
    sync(draft)
    sync(directory)


def _put_in_place(draft: Path, directory: Path) -> None:
    """Move a job from its draft, the manifest last: until it is there, there is no job.

    The ledger comes just before it, as one without its mark is taken for one that was damaged.
    """
    (directory / "ready").mkdir(mode=0o700, exist_ok=True)
    for path in (draft / "ready").iterdir():
        path.rename(directory / "ready" / path.name)
    (draft / "ready").rmdir()
    others = [path for path in draft.iterdir() if path.name != _REST_OF]
    for path in sorted(others, key=lambda path: (path.name == MANIFEST, path.name in LEDGERS)):
        if path.name == MANIFEST:
            sync(directory / "ready")
            sync(directory)
            _put_manifest(path, directory)
        else:
            path.rename(directory / path.name)
    (draft / _REST_OF).unlink(missing_ok=True)
    draft.rmdir()
    sync(directory)
    sync(directory.absolute().parent)


def _put_manifest(draft: Path, directory: Path) -> None:
    """Raises JobError where another process, which does not see our lock, was first."""
    try:
        publish(directory, draft)
        put_new(draft, directory / MANIFEST)
    except FileExistsError:
        raise JobError(
            "another process planned a job here meanwhile",
            where=named(directory),
            hint="The locks of one machine do not reach every other. Look at it:"
            f" backfill status {typed_job(directory)}",
        ) from None
