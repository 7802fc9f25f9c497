"""A plan beside the reference: what differs, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from backfill.config import config_from_mapping
from backfill.core.errors import BackfillError
from backfill.destinations import builtin_destinations
from backfill.jobdir.manifest import Manifest
from backfill.prepare.pipeline import prepare
from tests.reference.jobs import Job
from tests.reference.reference import Outcome, Place, expected, order_of

__all__ = ["NOW", "differences"]

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@dataclass
class _Plan:
    """What `prepare` wrote, by place."""

    states: dict[Place, str]
    reasons: dict[Place, set[str]]
    kept: dict[Place, Place]
    bodies: dict[Place, str]
    order: list[Place]
    counts: Mapping[str, int]


def differences(job: Job, parts: int | None) -> list[str]:
    """Where the plan of a job is not what the documentation says. Empty where it is."""
    with TemporaryDirectory() as directory:
        place = Path(directory)
        job.write(place)
        into = place / "job"
        into.mkdir()
        try:
            config = config_from_mapping(dict(job.config), directory=place)
            manifest = prepare(
                config, builtin_destinations()[job.destination], into, now=NOW, parts=parts
            )
        except BackfillError as error:
            return [f"refused: {error}"]
        plan = _read(into, [bucket.file for bucket in manifest.buckets], manifest)
    return list(_compared(job, expected(job, NOW), plan))


def _read(into: Path, buckets: list[str], manifest: Manifest) -> _Plan:
    plan = _Plan({}, {}, {}, {}, [], {})
    for name in ("rejected", "excluded"):
        path = into / f"{name}.parquet"
        if path.exists():
            for row in pl.read_parquet(path, columns=["_file", "_row", "_reason"]).iter_rows():
                plan.states[_place(row)] = name
                plan.reasons[_place(row)] = set(row[2].split(";"))
    columns = ["_file", "_row", "_kept_file", "_kept_row"]
    for row in pl.read_parquet(into / "duplicates.parquet", columns=columns).iter_rows():
        plan.states[_place(row)] = "duplicate"
        plan.kept[_place(row)] = _place(row[2:])
    for bucket in buckets:
        frame = pl.read_parquet(into / "ready" / bucket, columns=["file", "row", "body"])
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


def _compared(job: Job, outcomes: Mapping[Place, Outcome], plan: _Plan) -> Iterator[str]:
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
        elif plan.kept.get(place) != outcome.kept:
            yield f"{place}: kept {plan.kept.get(place)}, documented {outcome.kept}"
        elif outcome.body is not None and json.loads(plan.bodies[place]) != outcome.body:
            yield f"{place}: body {plan.bodies[place]}, documented {json.dumps(outcome.body)}"
    yield from _order(job, outcomes, plan)
    counted: Counter[str] = Counter({"input": len(plan.states)})
    counted.update(plan.states.values())
    counted.update(reason for reasons in plan.reasons.values() for reason in reasons)
    if counted != Counter(plan.counts):
        yield f"the books say {dict(plan.counts)}, the files {dict(counted)}"


def _order(job: Job, outcomes: Mapping[Place, Outcome], plan: _Plan) -> Iterator[str]:
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
