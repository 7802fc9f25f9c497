"""The books against what the server stored: every promise, looked at from outside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import polars as pl

from backfill.sandbox import Sandbox
from tests.chaos.jobs import Plan, uid_of
from tests.chaos.program import Finding
from tests.chaos.world import AMBIGUOUS, DISTRUSTED, REFUSING

__all__ = ["Explanations", "check_books"]

_LOST = "the program ended before the reply was written down"
_CUT = ("disconnected", "timed out", "the reply broke off")


@dataclass(frozen=True)
class Explanations:
    """What may explain deviations: records in flight at crashes and cuts, decisions by hand."""

    lost: int
    cut: int
    resent: frozenset[str]
    retried: frozenset[str]
    strange_clock: bool = False


def check_books(plan: Plan, records: pl.DataFrame, server: Sandbox, why: Explanations) -> None:
    """Raise Finding for the first promise that was not kept."""
    _rows(plan, records)
    stored = Counter(uid_of(each.record) for each in server.accepted)
    spoilt: dict[str, set[str]] = {}
    for each in server.spoilt:
        for record in each.records:
            spoilt.setdefault(uid_of(record), set()).add(each.fault.partition(":")[0])
    sent = records.filter(pl.col("_state").is_in(["delivered", "failed", "unknown"]))
    states = dict(zip(sent["uid"], sent["_state"], strict=True))
    _nothing_lost(plan, states, stored)
    _unknown_explained(plan, sent, spoilt, why)
    _failed_explained(states, spoilt, why)
    if plan.guarantee == "at-most-once":
        twice = {uid for uid, times in stored.items() if times > 1} - why.resent
        _none(twice, "stored twice under at-most-once")
    _order(plan, server, why)


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


def _nothing_lost(plan: Plan, states: dict[str, str], stored: Counter[str]) -> None:
    delivered = {uid for uid, state in states.items() if state == "delivered"}
    _none(delivered - set(stored), "delivered in the books and unknown to the server")
    _none(set(stored) - set(plan.ranks), "stored, and not to be sent at all")


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


def _failed_explained(
    states: dict[str, str], spoilt: dict[str, set[str]], why: Explanations
) -> None:
    failed = {uid for uid, state in states.items() if state == "failed"}
    refused = {uid for uid, kinds in spoilt.items() if kinds & REFUSING}
    _none(failed - refused, "failed, though the server was not told to refuse it")
    del why


def _order(plan: Plan, server: Sandbox, why: Explanations) -> None:
    """Records of one key arrived in order of time, and never two requests of a key at once."""
    last: dict[str, int] = {}
    late = set()
    seen = set(why.resent | why.retried)  # what is sent again by hand comes when it comes
    for each in server.accepted:
        uid = uid_of(each.record)
        key, rank = plan.ranks[uid]
        if uid in seen:
            continue
        seen.add(uid)
        if rank < last.get(key, -1):
            late.add(uid)
        last[key] = max(rank, last.get(key, -1))
    _none(late, "stored after a later record of its key")
    tally = server.stats["destinations"][plan.destination]
    # A client that gives up waiting may come again before the server sees it leave.
    hung = sum(number for kind, number in tally["faults"].items() if kind.startswith("hang"))
    if tally["overlaps"] > hung + why.cut:
        raise Finding(f"{tally['overlaps']} requests of a key that was in flight already")


def _none(uids: set[str], what: str) -> None:
    if uids:
        raise Finding(f"{len(uids)} records: {what}, such as {sorted(uids)[:3]}")
