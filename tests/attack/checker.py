"""What holds after any run, whatever was done to it: looked at from outside.

Records are told apart by their bodies, since nothing else of them reaches a server. Several may
have the same one, so numbers are compared and not sets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from backfill.core.model import State
from backfill.jobs.job import Job
from backfill.jobs.opening import open_job
from backfill.sandbox import Sandbox
from tests.security.traces import assert_no_trace

__all__ = ["check_run"]


def check_run(directory: Path, server: Sandbox, *, secret: str, hung: int = 0) -> Counter[str]:
    """Raise AssertionError for the first promise that at-most-once breaks.

    `hung` requests may have been answered after the client had given them up. Returns the records
    of each state.
    """
    again = open_job(directory)
    status, records = again.status(), again.records()
    states = Counter(records["_state"].to_list())
    assert status.books.balanced, status.books
    told = {state.value: status.books.count(state) for state in State}
    assert told == {state: states.get(state, 0) for state in told}, "status and records differ"
    assert records.height == status.books.input

    ready = again.sample(again.manifest.ready).select("_file", "_row", "body")
    sent = records.select("_file", "_row", "_state").join(ready, on=["_file", "_row"])
    held: dict[str, Counter[str]] = {state: Counter() for state in told}
    for state, body in sent["_state", "body"].rows() if sent.height else ():
        held[state][_canonical(json.loads(body))] += 1
    stored = Counter(_canonical(each.record) for each in server.accepted)
    _none(held["delivered"] - stored, "delivered, and not stored")
    _none(stored - held["delivered"] - held["unknown"], "stored twice, or pending, or failed")
    _none(stored - sum(held.values(), Counter()), "stored, and no record of the job")

    _in_order(again, server)
    tally = server.stats["destinations"][again.manifest.destination]
    assert tally["overlaps"] <= hung, "two requests of one key at once"
    assert_no_trace(secret, again.directory)
    return states


def _in_order(job: Job, server: Sandbox) -> None:
    """What was stored of a key came in the order in which its ready file holds it."""
    planned: dict[str, list[str]] = {}
    for bucket in job.manifest.buckets:
        frame = pl.read_parquet(job.directory / "ready" / bucket.file, columns=["body"])
        for body in frame["body"]:
            record = json.loads(body)
            planned.setdefault(_key(record), []).append(_canonical(record))
    left = {key: iter(bodies) for key, bodies in planned.items()}
    for each in server.accepted:
        key, body = _key(each.record), _canonical(each.record)
        assert body in left[key], f"stored after a later record of {key}: {body[:300]}"


def _key(record: Mapping[str, Any]) -> str:
    """The ordering key of a record of one of the built-in destinations."""
    return str(record["contact"]["id"] if "contact" in record else record["target"]["value"])


def _canonical(record: object) -> str:
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


def _none(found: Counter[str], what: str) -> None:
    assert not found, f"{found.total()} records {what}, such as {_shown(found)}"


def _shown(found: Iterable[str]) -> str:
    return next(iter(found))[:300]
