"""What goes on after the last job of a chain of rests, each of which has what one left."""

from __future__ import annotations

from pathlib import Path

from backfill.core.model import State
from backfill.core.terminal import path_argument
from backfill.deliver import was_sent
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.store_addresses import typed_job
from backfill.jobs.chain.delivered_by import failed_since
from backfill.jobs.chain.rest import rest_with
from backfill.jobs.readonly import look
from backfill.jobs.run_history import is_abandoned
from backfill.ledger import AnyLedger

__all__ = ["next_rest"]


def next_rest(directory: Path, manifest: Manifest, ledger: AnyLedger) -> str | None:
    """The command that sends what no job of a chain has: records that were unknown when the last
    rest was planned, and that failed for good since.

    `directory` is any job of the chain, and its ledger is open. None where nothing failed so, where
    the last job was given up, and where there is no configuration file to name.
    """
    rest = rest_with(directory, ledger)
    if rest is not None:
        if not Manifest.exists(rest):
            return None
        with look(rest) as (opened, _):
            return next_rest(rest, Manifest.read(rest), opened)
    file, before = manifest.config_file(directory), manifest.rest
    if file is None or before is None or is_abandoned(ledger):
        return None
    if not failed_since(directory, manifest):
        return None
    job, plan = typed_job(directory), f"backfill plan {path_argument(str(file))}"
    if not was_sent(ledger):  # it can be planned anew, and has them then
        first = typed_job(directory / before.path)
        return f"{plan} --rest-of {first} --job {job}"
    counts = ledger.counts()
    if manifest.ready > sum(counts.values()) or counts[State.UNKNOWN]:
        return f"backfill status {job}"  # which is to be ended first
    return f"{plan} --rest-of {job}"
