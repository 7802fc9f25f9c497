"""A plan beside the reference: what differs, in words."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from backfill.config import Config, config_from_mapping
from backfill.core.errors import BackfillError
from backfill.core.job_files import LEDGER
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.destinations import builtin_destinations
from backfill.jobdir.manifest import Manifest
from backfill.jobs.access.working import working_on
from backfill.jobs.chain.delivered_by import Found, delivered_by, rest_of
from backfill.ledger import Ledger
from backfill.prepare.pipeline import prepare
from tests.reference.chains import Chain, expected_of_all
from tests.reference.jobs import Job
from tests.reference.reference import Outcome as Documented
from tests.reference.reference import Place, expected, order_of

__all__ = ["NOW", "differences", "differences_in_chain"]

NOW = datetime(2025, 6, 1, tzinfo=UTC)
_ADDRESS = "https://api.example.com"


@dataclass
class _Plan:
    """What `prepare` wrote, by place. `kept` says too whether an earlier job has the kept one."""

    states: dict[Place, str]
    reasons: dict[Place, set[str]]
    kept: dict[Place, tuple[Place, bool]]
    bodies: dict[Place, str]
    order: list[Place]
    counts: Mapping[str, int]


def differences(job: Job, parts: int | None) -> list[str]:
    """Where the plan of a job is not what the documentation says. Empty where it is."""
    with TemporaryDirectory() as directory:
        place = Path(directory)
        job.write(place)
        try:
            manifest = _planned(job, place, place / "job", parts=parts)
        except BackfillError as error:
            return [f"refused: {error}"]
        plan = _read(place / "job", manifest)
    return list(_compared(job, expected(job, NOW), plan))


def differences_in_chain(chain: Chain, parts: int | None) -> list[str]:
    """Where the plans of jobs that come after one another are not what the documentation says."""
    found: list[str] = []
    documented = expected_of_all(chain, NOW)
    with TemporaryDirectory() as home:
        for number, link in enumerate(chain.links):
            try:
                manifest = _planned_link(chain, number, Path(home), parts)
            except BackfillError as error:
                return [*found, f"job {number} refused: {error}"]
            into = _job_of(Path(home), number)
            plan = _read(into, manifest)
            compared = _compared(link.job, documented[number], plan)
            found += [f"job {number}: {each}" for each in compared]
            _deliver(chain, number, into, manifest)
    return found


def _planned(
    job: Job,
    directory: Path,
    into: Path,
    *,
    parts: int | None,
    named: Sequence[Found] = (),
    config: Config | None = None,
) -> Manifest:
    config = config or config_from_mapping(dict(job.config), directory=directory)
    into.mkdir()
    return prepare(
        config,
        builtin_destinations()[job.destination],
        into,
        now=NOW,
        parts=parts,
        previous=[each.previous for each in named],
    )


def _job_of(home: Path, number: int) -> Path:
    return home / f"{number}.job"


def _planned_link(chain: Chain, number: int, home: Path, parts: int | None) -> Manifest:
    """Plan a job of the chain, and put down what its directory needs to be one."""
    link, into = chain.links[number], _job_of(home, number)
    sources = home / "sources" / str(0 if link.rest_of is not None else number)
    if not sources.exists():
        sources.mkdir(parents=True)
        link.job.write(sources)
    sections = dict(link.job.config)
    if link.delivered_by:
        named = [os.path.relpath(_job_of(home, each), sources) for each in link.delivered_by]
        sections["dedupe"] = {**sections.get("dedupe", {}), "delivered_by": named}
    config = config_from_mapping(sections, directory=sources)
    with ExitStack() as stack:
        earlier = list(delivered_by(config, into, _ADDRESS))
        if link.rest_of is not None:
            before = _job_of(home, link.rest_of)
            ledger = stack.enter_context(working_on(before, "plan --rest-of"))
            earlier.append(rest_of(before, into, ledger))
        manifest = _planned(link.job, sources, into, parts=parts, named=earlier, config=config)
    manifest = manifest.model_copy(
        update={"earlier": tuple(each.state for each in earlier), "address": _ADDRESS}
    )
    manifest.write(into)
    Ledger.open(into / LEDGER, create=True).close()
    return manifest


def _deliver(chain: Chain, number: int, into: Path, manifest: Manifest) -> None:
    """Write into the job's ledger what became of each of its records."""
    with Ledger.open(into / LEDGER) as ledger:
        ledger.bind_address(_ADDRESS)
        for index, bucket in enumerate(manifest.buckets):
            frame = pl.read_parquet(into / "ready" / bucket.file, columns=["file", "row"])
            for position, (file, row) in enumerate(frame.iter_rows()):
                state = chain.state_of(number, _place((manifest.events[int(file)].path, row)))
                if state is State.PENDING:
                    continue
                ranges = ((position, position + 1),)
                batch = Batch(index, 0, ranges)
                ledger.commit([], [batch])
                ledger.commit([Settlement(batch, (Outcome(ranges, state, "", None),))], [])


def _read(into: Path, manifest: Manifest) -> _Plan:
    plan = _Plan({}, {}, {}, {}, [], {})
    for name in ("rejected", "excluded"):
        path = into / f"{name}.parquet"
        if path.exists():
            for row in pl.read_parquet(path, columns=["_file", "_row", "_reason"]).iter_rows():
                plan.states[_place(row)] = name
                plan.reasons[_place(row)] = set(row[2].split(";"))
    columns = ["_file", "_row", "_kept_file", "_kept_row", "_kept_job"]
    for row in pl.read_parquet(into / "duplicates.parquet", columns=columns).iter_rows():
        plan.states[_place(row)] = "duplicate"
        plan.kept[_place(row)] = (_place(row[2:]), row[4] is not None)
    for bucket in manifest.buckets:
        frame = pl.read_parquet(into / "ready" / bucket.file, columns=["file", "row", "body"])
        for file, row, body in frame.iter_rows():
            place = _place((manifest.events[int(file)].path, row))
            plan.states[place] = "pending"
            plan.bodies[place] = body
            plan.order.append(place)
    plan.counts = _counts(manifest)
    return plan


def _counts(manifest: Manifest) -> dict[str, int]:
    """The books of the plan, and how often each rule was broken."""
    return {
        "input": manifest.input,
        "excluded": manifest.excluded,
        "rejected": manifest.rejected,
        "duplicate": manifest.duplicate,
        "pending": manifest.ready,
        **manifest.reasons,
        **manifest.exclusions,
    }


def _place(row: Any) -> Place:
    return (Path(str(row[0])).name, int(row[1]))


def _compared(job: Job, outcomes: Mapping[Place, Documented], plan: _Plan) -> Iterator[str]:
    for place in sorted(set(outcomes) - set(plan.states)):
        yield f"{place}: the plan has no such row"
    for place in sorted(set(plan.states) - set(outcomes)):
        yield f"{place}: no such row in the source, {plan.states[place]}"
    for place in sorted(set(plan.states) & set(outcomes)):
        outcome = outcomes[place]
        state = plan.states[place]
        reasons = plan.reasons.get(place, set())
        if (state, reasons) != (outcome.state, outcome.reasons):
            wanted = f"{outcome.state} {sorted(outcome.reasons)}"
            yield f"{place}: {state} {sorted(reasons)}, documented {wanted}"
        elif plan.kept.get(place) != (outcome.kept and (outcome.kept, outcome.by_earlier)):
            wanted = f"{outcome.kept}{' of an earlier job' * outcome.by_earlier}"
            yield f"{place}: kept {plan.kept.get(place)}, documented {wanted}"
        elif outcome.body is not None and json.loads(plan.bodies[place]) != outcome.body:
            yield f"{place}: body {plan.bodies[place]}, documented {json.dumps(outcome.body)}"
    yield from _order(job, outcomes, plan)
    counted: Counter[str] = Counter({"input": len(plan.states)})
    counted.update(plan.states.values())
    counted.update(reason for reasons in plan.reasons.values() for reason in reasons)
    if counted != Counter(plan.counts):
        yield f"the books say {dict(plan.counts)}, the files {dict(counted)}"


def _order(job: Job, outcomes: Mapping[Place, Documented], plan: _Plan) -> Iterator[str]:
    if any(outcomes[place].state != "pending" for place in plan.order if place in outcomes):
        return
    name = "contact.id" if job.destination == "pristo-events" else "target.value"
    sent: dict[str, list[Place]] = {}
    for place in plan.order:
        sent.setdefault(outcomes[place].values[name], []).append(place)
    source = {place: index for index, place in enumerate(outcomes)}
    for key, places in sent.items():
        wanted = sorted(places, key=lambda place: (*order_of(job, outcomes[place]), source[place]))
        if places != wanted:
            yield f"{key}: sent in the order {places}, documented {wanted}"
