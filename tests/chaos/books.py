"""What a round came to: every promise, and a reason for each record that is in doubt or failed."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backfill.sandbox import Sandbox
from tests.acceptance.program import credential_of
from tests.chaos.jobs import Plan, uid_of
from tests.chaos.world import AMBIGUOUS, DISTRUSTED, REFUSING
from tests.promises import Excused, Finding, check_job, sandbox_log

__all__ = ["Explanations", "check_round"]

_LOST = "the program ended before the reply was written down"
_CUT = ("disconnected", "timed out", "the reply broke off")


@dataclass(frozen=True)
class Explanations:
    """What may explain deviations: records in flight at crashes and cuts, decisions by hand."""

    lost: int
    cut: int
    resent: frozenset[str]
    retried: frozenset[str]


def check_round(plan: Plan, records: pl.DataFrame, server: Sandbox, why: Explanations) -> None:
    """Raise Finding for the first promise that was not kept."""
    _rows(plan, records)
    tally = server.stats["destinations"][plan.destination]
    # A client that gives up waiting may come again before the server sees it leave.
    hung = sum(number for kind, number in tally["faults"].items() if kind.startswith("hang"))
    check_job(
        plan.directory,
        sandbox_log(server, plan.destination, name=uid_of),
        secret=credential_of(plan.destination),
        name=uid_of,
        at_most_once=plan.guarantee == "at-most-once",
        excused=Excused(
            overlaps=hung + why.cut,
            resent=why.resent.__contains__,
            retried=why.retried.__contains__,
        ),
    )
    spoilt: dict[str, set[str]] = {}
    for each in server.injected:
        for record in each.records:
            spoilt.setdefault(uid_of(record), set()).add(each.fault.partition(":")[0])
    sent = records.filter(pl.col("_state").is_in(["delivered", "failed", "unknown"]))
    _unknown_explained(plan, sent, spoilt, why)
    _failed_explained(dict(zip(sent["uid"], sent["_state"], strict=True)), spoilt)


def _rows(plan: Plan, records: pl.DataFrame) -> None:
    if records["_row"].to_list() != list(range(1, plan.rows + 1)):
        raise Finding(f"`records` has {records.height} rows, the source {plan.rows}")
    found = dict(records["_state"].value_counts().iter_rows())
    expected = {"rejected": plan.rejected, "duplicate": plan.duplicates, "pending": 0}
    for state, number in expected.items():
        if found.get(state, 0) != number:
            raise Finding(f"{found.get(state, 0)} records are {state}, not {number}")
    kept = records.filter(~pl.col("_state").is_in(["rejected", "duplicate"]))["uid"]
    if kept.n_unique() != kept.len() or set(kept) != set(plan.ranks):
        raise Finding("what was ready is not each sendable record exactly once")


def _unknown_explained(
    plan: Plan, sent: pl.DataFrame, spoilt: dict[str, set[str]], why: Explanations
) -> None:
    """Unknown is what met an ambiguous fault, or was in flight at a crash or a cut. No more."""
    reasons = dict(sent.filter(pl.col("_state") == "unknown").select("uid", "_reason").iter_rows())
    ambiguous = AMBIGUOUS if plan.guarantee == "at-most-once" else DISTRUSTED
    met = {uid for uid, kinds in spoilt.items() if kinds & ambiguous}
    extra = {uid: reason or "" for uid, reason in reasons.items() if uid not in met}
    lost = {uid for uid, reason in reasons.items() if (reason or "").startswith(_LOST)}
    cut = {uid for uid, reason in extra.items() if reason.startswith(_CUT)}
    if len(lost) > why.lost:
        raise Finding(f"{len(lost)} records were in flight at crashes that explain {why.lost}")
    if len(cut) > why.cut:
        raise Finding(f"{len(cut)} records were cut off by outages that explain {why.cut}")
    odd = {f"{uid}: {extra[uid]}" for uid in set(extra) - lost - cut}
    _none(odd, "unknown for no reason that happened")
    if plan.guarantee == "at-most-once":
        _none(met - set(reasons) - why.resent, "met an ambiguous fault and is not unknown")


def _failed_explained(states: dict[str, str], spoilt: dict[str, set[str]]) -> None:
    failed = {uid for uid, state in states.items() if state == "failed"}
    refused = {uid for uid, kinds in spoilt.items() if kinds & REFUSING}
    _none(failed - refused, "failed, though the server was not told to refuse it")


def _none(uids: set[str], what: str) -> None:
    if uids:
        raise Finding(f"{len(uids)} records: {what}, such as {sorted(uids)[:3]}")
