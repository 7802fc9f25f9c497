"""Jobs that are abandoned, and the job that has the rest of one.

A job whose rest was planned sends nothing any more, and its ledger says which job has the rest.
Before that one sends its first record it notes there that it does: from then on nobody else can
have the same rest.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from backfill.core.errors import ChangedError, JobError
from backfill.core.model import State
from backfill.core.terminal import path_argument
from backfill.jobdir.copies import refresh
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.manifest import EarlierJob, Manifest
from backfill.jobdir.store_addresses import address_of, named, typed_job
from backfill.jobs.access.working import working_on
from backfill.jobs.readonly import look
from backfill.jobs.run_history import abandon, is_abandoned
from backfill.ledger import AnyLedger

__all__ = [
    "claim_rest",
    "directory_for_rest",
    "refuse_abandoned",
    "refuse_taken",
    "rest_with",
    "sent_by",
    "take_rest",
    "way_back",
    "way_on",
]

_REST = "rest"


def refuse_abandoned(directory: Path, ledger: AnyLedger) -> None:
    """Raise JobError for a job that was abandoned, with the words that help."""
    if not is_abandoned(ledger):
        return
    rest, job = _rest(ledger), typed_job(directory)
    if rest is not None:
        place = typed_job(directory / rest["path"])
        hint = f"Its rest is with another job: backfill status {place}"
        counts = ledger.counts()
        if counts[State.UNKNOWN] or counts[State.FAILED]:
            last = place if rest["sent"] else job
            hint += (
                "\n  What was unknown when that one was planned is no part of it. Say of what did"
                f" not arrive that it failed: backfill resolve {job} --failed\n  Then it goes as a"
                f" job of its own: backfill plan CONFIG --rest-of {last}"
            )
    else:
        hint = (
            "What it has not delivered can go as a job of its own:"
            f" backfill plan CONFIG --rest-of {job}"
        )
    raise JobError(
        "the job was abandoned, so nothing of it is sent any more",
        where=named(directory),
        hint=hint,
    )


def refuse_taken(directory: Path, ledger: AnyLedger, *, own: str | None) -> None:
    """Raise JobError where another job has begun to send the rest of the one in `directory`.

    `own` is the claim of the job that asks, where it has planned this rest before.
    """
    rest = _rest(ledger)
    if rest is None or not rest["sent"] or rest["claim"] == own:
        return
    place = typed_job(directory / rest["path"])
    raise JobError(
        f"{place} has begun to send the rest of this job",
        where=named(directory),
        hint=f"What is left by now is the rest of that one: backfill plan CONFIG --rest-of {place}",
    )


def sent_by(directory: Path, ledger: AnyLedger) -> Path | None:
    """The job that has begun to send the rest of the one in `directory`, None where none has."""
    rest = _rest(ledger)
    return Path(os.path.normpath(directory / rest["path"])) if rest and rest["sent"] else None


def rest_with(directory: Path, ledger: AnyLedger) -> Path | None:
    """The job that has the rest of the one in `directory`, whether it has begun to send it or not.

    None where nobody has it, or one that had sent nothing of it is not there any more.
    """
    rest = _rest(ledger)
    if rest is None:
        return None
    place = Path(os.path.normpath(directory / rest["path"]))
    there = rest["sent"] or address_of(place) is not None or Manifest.exists(place)
    return place if there else None


def way_on(directory: Path, ledger: AnyLedger, state: State, row: str) -> str | None:
    """What can become of a record in `state` of a job that was abandoned; `row` is FILE:ROW.

    None where that is the same as of any other job.
    """
    if state not in (State.PENDING, State.FAILED, State.UNKNOWN) or not is_abandoned(ledger):
        return None
    job, rest = typed_job(directory), rest_with(directory, ledger)
    last = typed_job(sent_by(directory, ledger) or directory)
    if state is State.UNKNOWN:
        return (
            f"Ask the destination, by the request ids that `backfill records {job} --state unknown`"
            f" lists, then `backfill resolve {job}` with --delivered or --failed. What failed is"
            f" part of a rest that is planned after that: `backfill plan CONFIG --rest-of {last}`."
        )
    if rest is not None:
        there = typed_job(rest)
        said = (
            f"The job was abandoned, and {named(rest)} has its rest: `backfill show {there}"
            f" {path_argument(row)}` tells what became of it there."
        )
        if state is State.FAILED:
            said += (
                " If it was unknown when that one was planned, it is part of a new rest: `backfill"
                f" plan CONFIG --rest-of {last}`."
            )
        return said
    return (
        "The job was abandoned, so nothing of it is sent any more. What it has not delivered can go"
        f" as a job of its own: `backfill plan CONFIG --rest-of {job}`."
    )


def way_back(directory: Path, ledger: AnyLedger, job: str, row: str) -> str:
    """What can become of a record that the job in `directory` left to another one, where it was
    unknown; `row` is what it is there, as FILE:ROW.
    """
    there = path_argument(job)
    last = typed_job(sent_by(directory, ledger) or directory)
    return (
        f"`backfill show {there} {path_argument(row)}` tells how it stands there. If it did not"
        f" arrive, `backfill resolve {there} --failed` says so, and it goes as a job of its own"
        f" then: `backfill plan CONFIG --rest-of {last}`."
    )


def claim_rest(directory: Path, ledger: AnyLedger, own: Path, earlier: EarlierJob) -> None:
    """Abandon the job in `directory`, and give its rest to the one in `own`, by its claim."""
    path = os.path.relpath(own.absolute(), directory.absolute())
    abandon(ledger)
    ledger.set_meta(_REST, json.dumps({"claim": earlier.claim, "path": path, "sent": False}))


def take_rest(directory: Path, manifest: Manifest) -> None:
    """Before the first record of a rest: note in the earlier job's ledger that it is being sent.

    Raises ChangedError where that rest was given to another job since it was planned.
    """
    earlier = manifest.rest
    if earlier is None:
        return
    place = directory / earlier.path
    refresh(place)
    with look(place) as (seen, _):
        rest = _rest(seen)
    if rest is not None and rest["sent"] and rest["claim"] == earlier.claim:
        return  # several deliverers begin at once, and one of them has noted it for all
    with working_on(place, "run") as ledger:
        rest = _rest(ledger)
        if rest is None or rest["claim"] != earlier.claim:
            raise ChangedError(
                f"the rest of {earlier.name} was given to another job since this one was planned",
                where=named(directory),
                hint="Nothing was sent. Run that one, or plan the rest anew.",
            )
        ledger.set_meta(_REST, json.dumps({**rest, "sent": True}))


def directory_for_rest(config: Path, earlier: Path) -> Path:
    """Where the rest of a job is put unless somebody says so: beside the configuration.

    A rest that was planned before is found again. A configuration that was corrected in place has
    its own name taken by the earlier job.
    """
    usual = job_directory(config)
    refresh(usual)
    if not Manifest.exists(usual) or _is_rest_of(usual, earlier):
        return usual
    number = 1
    while True:
        ending = "-rest" if number == 1 else f"-rest-{number}"
        place = usual.with_name(f"{usual.stem}{ending}.job")
        refresh(place)
        if not place.exists() or _is_rest_of(place, earlier):
            return place
        number += 1


def _is_rest_of(directory: Path, earlier: Path) -> bool:
    if not Manifest.exists(directory):
        return False
    found = [each for each in Manifest.read(directory).earlier if each.rest]
    return any(os.path.realpath(directory / e.path) == os.path.realpath(earlier) for e in found)


def _rest(ledger: AnyLedger) -> dict[str, Any] | None:
    text = ledger.get_meta(_REST)
    return json.loads(text) if text else None
