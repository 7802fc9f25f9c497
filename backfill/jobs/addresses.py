"""One job, one address: from its first record on a job goes to no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backfill.core.errors import ChangedError
from backfill.core.urls import address_of, is_here, same_address
from backfill.deliver import was_sent
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.store_addresses import named
from backfill.jobs.readonly import look
from backfill.jobs.run_history import last_base_url
from backfill.jobs.status import place_of
from backfill.ledger import AnyLedger

__all__ = ["address_of_job", "bind_address", "refuse_other_address", "release_address"]

_ANEW = (
    "Nothing was sent. `backfill run CONFIG` with this --base-url plans it anew (in a notebook:"
    " plan it with this `base_url` in its delivery)."
)


def address_of_job(ledger: AnyLedger) -> str | None:
    """The address that the job belongs to, None before its first record.

    Jobs of versions that did not keep it belong to the address of their last run.
    """
    known = ledger.address()
    if known is None and was_sent(ledger) and (last := last_base_url(ledger)):
        return address_of(last)
    return known


def refuse_other_address(
    directory: Path, manifest: Manifest, ledger: AnyLedger, base_url: str
) -> None:
    """Raise ChangedError where the job's records belong to another address than this one.

    Before the first record, the rest of a job goes where that one went, and a plan that leaves out
    what was delivered to one address is for no other one; a rehearsal of it may go to this machine.
    """
    address = address_of_job(ledger)
    wanted = address_of(base_url)
    if address is None:
        _refuse_other_plan(directory, manifest, wanted)
        return
    if same_address(address, wanted):
        return
    belongs = f"a rehearsal, sent to {address}" if is_here(address) else f"of {address}"
    raise ChangedError(
        f"this job is {belongs}, and what it has sent there {wanted} has never seen",
        where=named(directory),
        hint=f"Nothing was sent. For {wanted} plan a job of its own: the same command with"
        ' `--job NEW.job` (in a notebook: plan(…, job="NEW.job")). This one goes on with'
        f" `--base-url {address}`.",
    )


def _refuse_other_plan(directory: Path, manifest: Manifest, wanted: str) -> None:
    planned = manifest.address
    if not manifest.earlier or planned is None or same_address(planned, wanted):
        return
    if manifest.rest is not None and manifest.rest.address is not None:
        raise ChangedError(
            f"this job is the rest of {manifest.rest.name}, which went to {place_of(planned)},"
            f" and {wanted} has never seen that",
            where=named(directory),
            hint=f"Nothing was sent. Go on with `--base-url {planned}`. For {wanted} plan all of it"
            " as a job of its own, without --rest-of.",
        )
    if not is_here(wanted):
        raise ChangedError(
            f"the plan leaves out what earlier jobs delivered to {place_of(planned)}, and"
            f" {wanted} has never seen that",
            where=named(directory),
            hint=_ANEW,
        )
    if any(same_address(each, wanted) for each in _addresses_before(directory, manifest, set())):
        raise ChangedError(
            f"the plan is for {place_of(planned)}, and does not leave out what earlier jobs"
            f" delivered to {wanted}",
            where=named(directory),
            hint=_ANEW,
        )


def _addresses_before(directory: Path, manifest: Manifest, seen: set[str]) -> Iterator[str]:
    """Where the jobs that this one was planned after, and those before them, belong to."""
    for each in manifest.earlier:
        if each.address is not None:
            yield each.address
        place = (directory / each.path).resolve()
        if str(place) in seen or not Manifest.exists(place):
            continue
        seen.add(str(place))
        earlier = Manifest.read(place)
        with look(place) as (ledger, _):
            now = address_of_job(ledger)
        yield from (address for address in (now, earlier.address) if address is not None)
        yield from _addresses_before(place, earlier, seen)


def bind_address(directory: Path, manifest: Manifest, ledger: AnyLedger, base_url: str) -> bool:
    """Have the job belong to an address from its first intent on. Returns whether it is the first.

    Raises ChangedError where it belongs to another one.
    """
    refuse_other_address(directory, manifest, ledger, base_url)
    fresh = address_of_job(ledger) is None
    ledger.bind_address(address_of(base_url))
    return fresh


def release_address(ledger: AnyLedger) -> None:
    """Let a job go to another address after a first run of which no request reached a server."""
    if not was_sent(ledger):
        ledger.release_address()
