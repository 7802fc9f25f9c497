"""Earlier jobs that a plan names: what they sent, and whether that has changed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backfill.config import Config
from backfill.core.errors import BusyError, ConfigError, JobError
from backfill.core.model import State
from backfill.core.terminal import path_argument
from backfill.core.urls import same_address
from backfill.jobdir.copies import refresh
from backfill.jobdir.manifest import EarlierJob, Manifest
from backfill.jobdir.store_addresses import named, typed_job
from backfill.jobs.addresses import address_of_job
from backfill.jobs.audit import audit
from backfill.jobs.chain.named_jobs import NAMES_NONE, WHERE, named_jobs
from backfill.jobs.readonly import look
from backfill.jobs.run_history import is_abandoned
from backfill.jobs.status import place_of
from backfill.ledger import AnyLedger

if TYPE_CHECKING:
    import polars as pl

    from backfill.prepare.left_out import Previous

__all__ = [
    "Found",
    "changed_earlier",
    "delivered_by",
    "failed_since",
    "refuse_running",
    "rest_of",
    "settled_since",
]


@dataclass(frozen=True)
class Found:
    """An earlier job: what a plan leaves out for it, how it stands, and what a person should know.

    `state` is kept in the manifest, so that a change of it is seen.
    """

    previous: Previous
    state: EarlierJob
    notes: tuple[str, ...] = ()


def delivered_by(
    config: Config, directory: Path, address: str, *, without: Path | None = None
) -> Iterator[Found]:
    """The jobs that `delivered_by` names, as a plan in `directory` for `address` looks at them.

    Only what was delivered to the same address counts. `without` is the job that this one is the
    rest of, which is looked at in another way already. Raises BusyError while requests of one are
    out, ConfigError while records of one are unknown, and JobError for a name that is no job, or
    one of which a file was changed.
    """
    from backfill.prepare.left_out import Previous  # noqa: PLC0415 - only to plan

    looked_at = set() if without is None else set(_looked_at(without))
    for name, place in named_jobs(config, directory):
        if without is not None and place.absolute() == without.absolute():
            continue
        if not Manifest.exists(place):
            raise JobError("there is no job here", where=f"{WHERE} {name}", hint=NAMES_NONE)
        manifest, state = _look(place, name, directory)
        with look(place) as (ledger, running):
            audit(place, manifest, ledger, through=True)
            records = _sent(place, manifest, ledger)
            unknown = _unknown(place, manifest, ledger)
            over = is_abandoned(ledger)
        if unknown and running:
            raise BusyError(
                f"{name} is being delivered, and some of its records are out at this moment",
                where=f"{WHERE} {name}",
                hint="Wait until that run has ended, then run the same command. Look on:"
                f" backfill status {typed_job(place)}",
            )
        if unknown:
            has, count = next(iter(unknown.items()))
            whose = "its records" if has == place else f"the records of {has}"
            raise ConfigError(
                f"{count:,} of {whose} are unknown: sent, and nobody can say whether they arrived",
                where=f"{WHERE} {name}",
                hint="Settle them first: backfill resolve"
                f" {typed_job(has)} --delivered (or --failed).",
            )
        counted, notes = records, [] if over else list(_unfinished(name, manifest, state))
        for own, there in ((True, state.address), (False, manifest.address or state.address)):
            part = _part(records, own=own)
            if there is None or same_address(there, address) or not (lost := _count(part)):
                continue
            what = "1 record" if lost == 1 else f"{lost:,} records"
            notes.append(
                f"{what} that {name} delivered to {place_of(there)} do not count: this plan is for"
                f" {place_of(address)}"
            )
            counted = _part(counted, own=not own)
        known = (os.path.realpath(place), state.planned, state.delivered) in looked_at
        yield Found(Previous(name, manifest, counted, known=known), state, tuple(notes))


def rest_of(place: Path, directory: Path, ledger: AnyLedger) -> Found:
    """The job in `place`, of which a plan in `directory` is the rest; its ledger is open."""
    name = named(Path(os.path.relpath(place)))
    from backfill.prepare.left_out import Previous  # noqa: PLC0415 - only to plan

    manifest, state = _look(place, name, directory, ledger)
    audit(place, manifest, ledger, through=True)
    records = _sent(place, manifest, ledger)
    unknown = _unknown(place, manifest, ledger)
    notes = []
    for has, count in unknown.items():
        what = "1 record is" if count == 1 else f"{count:,} records are"
        there = named(Path(os.path.relpath(has)))
        notes.append(
            f"{what} unknown in {there} and not part of this rest; ask the destination, and settle"
            f" them there: backfill resolve {path_argument(there)} --delivered or --failed"
        )
    state = state.model_copy(
        update={"rest": True, "claim": uuid.uuid4().hex, "unknown": sum(unknown.values())}
    )
    return Found(Previous(name, manifest, records, rest=True), state, tuple(notes))


def settled_since(directory: Path, manifest: Manifest) -> bool:
    """Whether something was settled that the job in `directory` left out as unknown: what failed
    for good is part of the rest that it is.
    """
    if manifest.rest is None or not manifest.rest.unknown:
        return False
    place = directory / manifest.rest.path
    refresh(place)
    with look(place) as (ledger, _):
        unknown = _unknown(place, Manifest.read(place), ledger)
    return sum(unknown.values()) != manifest.rest.unknown


def failed_since(directory: Path, manifest: Manifest) -> int:
    """How many records failed for good since the job in `directory` was planned, of those that it
    left out as unknown: no job has them by now.
    """
    before = manifest.rest
    if before is None or not before.unknown:
        return 0
    place = directory / before.path
    refresh(place)
    if not Manifest.exists(place):
        return 0
    with look(place) as (ledger, _):
        left = sum(_unknown(place, Manifest.read(place), ledger).values())
        arrived = ledger.counts()[State.DELIVERED] - before.delivered
    return max(before.unknown - left - arrived, 0)


def changed_earlier(
    directory: Path, manifest: Manifest, config: Config | None, address: str | None = None
) -> str | None:
    """What changed at the named jobs since this one was planned, in words, or None.

    `address` is where the records are to go, None where that is not the question. A job that is
    not there any more cannot be asked, and can send nothing.
    """
    earlier = any(not each.rest for each in manifest.earlier)
    if earlier and address and manifest.address and not same_address(manifest.address, address):
        return f"the plan counts what was delivered to {manifest.address}, and not to {address}"
    for each, place in _named_there(directory, manifest):
        _, now = _look(place, each.name, directory)
        if (words := _difference(each, now)) is not None:
            return words
    if config is not None:
        known = {os.path.realpath(directory / each.path) for each in manifest.earlier}
        for name, place in named_jobs(config, directory, strict=False):
            if os.path.realpath(place) not in known and Manifest.exists(place):
                _, now = _look(place, name, directory)
                if now.delivered or now.unknown:
                    return f"{name} has sent {now.delivered + now.unknown:,} records"
    return None


def refuse_running(directory: Path, manifest: Manifest) -> None:
    """Raise BusyError while one of the named jobs is being delivered: what it sends from now on is
    not left out of this one.
    """
    for each, place in _named_there(directory, manifest):
        with look(place) as (_, running):
            if running:
                raise BusyError(
                    f"{each.name} is being delivered, and this plan leaves out only what it had"
                    " delivered before",
                    where=named(directory),
                    hint="Nothing was sent. Wait until that run has ended, then run the same"
                    f" command. Look on: backfill status {typed_job(place)}",
                )


# --- parts ---------------------------------------------------------------------------------


def _named_there(directory: Path, manifest: Manifest) -> Iterator[tuple[EarlierJob, Path]]:
    """The jobs that were named when the one in `directory` was planned, where they still are."""
    for each in manifest.earlier:
        place = directory / each.path
        if not each.rest:
            refresh(place)
            if Manifest.exists(place):
                yield each, place


def _difference(before: EarlierJob, now: EarlierJob) -> str | None:
    if now.planned != before.planned:
        return f"{before.name} was planned anew"
    if now.delivered != before.delivered:
        return f"{before.name} has delivered {now.delivered:,} records, not {before.delivered:,}"
    if now.unknown != before.unknown:
        return f"{now.unknown:,} records of {before.name} are unknown, not {before.unknown:,}"
    return None


def _look(
    place: Path, name: str, directory: Path, ledger: AnyLedger | None = None
) -> tuple[Manifest, EarlierJob]:
    """A job and how it stands at this moment. What is in flight is unknown."""
    manifest = Manifest.read(place)
    if ledger is None:
        with look(place) as (opened, _):
            return manifest, _state(place, name, directory, manifest, opened)
    return manifest, _state(place, name, directory, manifest, ledger)


def _looked_at(place: Path) -> Iterator[tuple[str, float, int]]:
    """The jobs that a job was planned after: where each lies, when it was planned itself, and how
    many records it had delivered.
    """
    for each in Manifest.read(place).earlier:
        yield os.path.realpath(place / each.path), each.planned, each.delivered


def _state(
    place: Path, name: str, directory: Path, manifest: Manifest, ledger: AnyLedger
) -> EarlierJob:
    counts = ledger.counts()
    return EarlierJob(
        name=name,
        path=os.path.relpath(place.absolute(), directory.absolute()),
        planned=manifest.created,
        address=address_of_job(ledger),
        delivered=counts[State.DELIVERED],
        unknown=counts[State.UNKNOWN] + ledger.in_flight(),
    )


def _sent(place: Path, manifest: Manifest, ledger: AnyLedger) -> pl.LazyFrame:
    """What a job has sent or left out. What is unknown in a job that it is the rest of may be
    settled there by now."""
    import polars as pl  # noqa: PLC0415

    from backfill.jobs.records.table import sent_records  # noqa: PLC0415

    records = sent_records(place, manifest, ledger)
    for each, there, first in _before(place, manifest):
        with look(there) as (opened, _):
            now = _sent(there, first, opened).select(kept_file="file", kept_row="row", now="state")
        open_there = (pl.col("job") == each.name) & _is(State.UNKNOWN)
        settled = (
            records.filter(open_there)
            .join(now, on=["kept_file", "kept_row"], how="inner")
            .with_columns(state="now")
            .drop("now")
        )
        records = pl.concat([records.filter(~open_there.fill_null(value=False)), settled])
    return records


def _unknown(place: Path, manifest: Manifest, ledger: AnyLedger) -> dict[Path, int]:
    """How many records nobody can speak for, by the directory of the job that has sent them: the
    one in `place`, and those that it is the rest of."""
    own = ledger.counts()[State.UNKNOWN] + ledger.in_flight()
    found = {place: own} if own else {}
    for _, there, first in _before(place, manifest):
        with look(there) as (opened, _):
            found |= _unknown(there, first, opened)
    return found


def _before(place: Path, manifest: Manifest) -> Iterator[tuple[EarlierJob, Path, Manifest]]:
    """The job that the one in `place` is the rest of, where it is there and still the same."""
    for each in manifest.earlier:
        there = Path(os.path.normpath(place / each.path))
        if each.rest and Manifest.exists(there):
            first = Manifest.read(there)
            if first.created == each.planned:
                yield each, there, first


def _is(state: State) -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    return pl.col("state") == state.value


def _part(records: pl.LazyFrame, *, own: bool) -> pl.LazyFrame:
    """What a job sent itself, or what it left out because an earlier one had sent it."""
    import polars as pl  # noqa: PLC0415

    return records.filter(pl.col("job").is_null() if own else pl.col("job").is_not_null())


def _count(records: pl.LazyFrame) -> int:
    import polars as pl  # noqa: PLC0415

    return int(records.select(pl.len()).collect().item())


def _unfinished(name: str, manifest: Manifest, state: EarlierJob) -> Iterator[str]:
    left = manifest.ready - state.delivered
    if left:
        records = "1 record is" if left == 1 else f"{left:,} records are"
        yield (
            f"{records} not delivered by {name} yet; what it delivers from now on is left out only"
            " of a plan that is made after it, so finish it first, or abandon it"
        )
