"""How a job stands: its manifest and its ledger, read together."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backfill.core.errors import ChangedError, JobError
from backfill.core.model import Books, State, Stop, StopKind, Tick
from backfill.core.urls import address_of, is_here, same_address
from backfill.deliver import was_sent
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.overwrite_guard import free_name
from backfill.jobdir.pace_file import read_pace
from backfill.jobs.audit import audit
from backfill.jobs.status import Phase, Status, place_of, stop_as_text, stop_from_text
from backfill.ledger import Ledger

__all__ = [
    "abandon",
    "address_of_job",
    "bind_address",
    "check_current",
    "is_abandoned",
    "last_base_url",
    "record_decision",
    "record_end",
    "record_start",
    "refuse_other_address",
    "release_address",
    "seconds_at_work",
    "standing",
]

# What a job remembers of its runs: how long those took that came to an end, the requests and
# records of these, how many there were before the last one, its address, and why it stopped.
_SECONDS, _COUNTED, _BEFORE = "seconds", "counted", "before"
_BASE_URL, _STOP, _ABANDONED = "base_url", "stop", "abandoned"
_AT_REST = (State.DELIVERED, State.FAILED, State.UNKNOWN)
_LATELY = 60.0  # seconds over which a running job's rate is taken


def standing(
    directory: Path,
    manifest: Manifest,
    ledger: Ledger,
    *,
    running: bool,
    name: str,
    base_url: str,
    stop: Stop | None = None,
    kind: type[Status] = Status,
) -> Status:
    """The job at this moment, its books counted anew.

    `running` says that another process works on it, `name` how a command that goes on names the
    job, `base_url` where its configuration sends it, and `stop` why the run that has just ended
    did so; without it the last run's end is remembered. `kind` is the class to answer with.
    Raises JobError where the books do not balance.
    """
    audit(directory, manifest, ledger)
    counts, requests = ledger.counts(), ledger.requests()
    settled = {state: counts.get(state, 0) for state in _AT_REST}
    books = replace(
        manifest.books,
        pending=manifest.ready - sum(settled.values()),
        **{state.value: count for state, count in settled.items()},
    )
    phase = _phase(ledger, books, running=running, sent=requests.sent > 0)
    if phase is Phase.STOPPED and stop is None:
        stop = stop_from_text(ledger.get_meta(_STOP))
    if phase is Phase.COMPLETE and stop is not None and stop.kind is StopKind.LIMIT:
        stop = None
    over = phase is Phase.ABANDONED
    rate, pace = _rates(ledger, running=running)
    quiet = ledger.quiet_until()
    paused = read_pace(directory).paused
    address = address_of_job(ledger)
    return kind(
        job=str(directory),
        destination=manifest.destination,
        phase=phase,
        address=address,
        rehearsal=address is not None and is_here(address),
        books=books,
        exclusions=manifest.exclusions,
        reasons=manifest.reasons,
        dropped=manifest.dropped,
        requests=requests,
        rate=rate,
        seconds_left=books.pending / pace if pace and books.pending and not over else None,
        quiet_until=quiet if quiet > time.time() else None,
        paused=paused,
        next=(
            f"backfill pace {shlex.quote(str(directory))} --go-on"
            if paused and books.pending and not over
            else _next(phase, books, directory, name, _elsewhere(manifest, ledger, base_url))
        ),
        stop=stop,
    )


def check_current(directory: Path, manifest: Manifest) -> None:
    """Raise JobError if the job was planned anew since this manifest was read."""
    if Manifest.read(directory).created != manifest.created:
        raise JobError(
            "the job was planned anew since this object was made",
            where=str(directory),
            hint="Take the newer object, or open the job again with backfill.open_job.",
        )


def address_of_job(ledger: Ledger) -> str | None:
    """The address that the job belongs to, None before its first record.

    Jobs of versions that did not keep it belong to the address of their last run.
    """
    known = ledger.address()
    if known is None and was_sent(ledger) and (last := last_base_url(ledger)):
        return address_of(last)
    return known


def refuse_other_address(
    directory: Path, manifest: Manifest, ledger: Ledger, base_url: str
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
        where=str(directory),
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
            where=str(directory),
            hint=f"Nothing was sent. Go on with `--base-url {planned}`. For {wanted} plan all of it"
            " as a job of its own, without --rest-of.",
        )
    if not is_here(wanted):
        raise ChangedError(
            f"the plan leaves out what earlier jobs delivered to {place_of(planned)}, and"
            f" {wanted} has never seen that",
            where=str(directory),
            hint="Nothing was sent. `backfill run CONFIG` with this --base-url plans it anew.",
        )


def bind_address(directory: Path, manifest: Manifest, ledger: Ledger, base_url: str) -> bool:
    """Have the job belong to an address from its first intent on. Returns whether it is the first.

    Raises ChangedError where it belongs to another one.
    """
    refuse_other_address(directory, manifest, ledger, base_url)
    fresh = address_of_job(ledger) is None
    ledger.bind_address(address_of(base_url))
    return fresh


def release_address(ledger: Ledger) -> None:
    """Let a job go to another address after a first run of which no request reached a server."""
    if not was_sent(ledger):
        ledger.release_address()


def last_base_url(ledger: Ledger) -> str | None:
    """Where the job's last run sent records to, None before the first."""
    return ledger.get_meta(_BASE_URL)


def record_start(ledger: Ledger, base_url: str) -> None:
    """Note that a run begins: where it sends to, and that nothing has stopped it yet."""
    ledger.set_meta(_BASE_URL, base_url)
    ledger.set_meta(_STOP, "")
    ledger.set_meta(_COUNTED, json.dumps(_counted(ledger)))
    ledger.set_meta(_BEFORE, json.dumps(_done(ledger)))


def record_end(ledger: Ledger, seconds: float, stop: Stop | None) -> None:
    """Note that a run of so many seconds ended, and why."""
    before, done = json.loads(ledger.get_meta(_BEFORE) or "[0, 0]"), _done(ledger)
    parts = zip(_counted(ledger), before, done, strict=True)
    counted = [earlier + now - then for earlier, then, now in parts]
    ledger.set_meta(_COUNTED, json.dumps(counted))
    ledger.set_meta(_BEFORE, json.dumps(done))
    ledger.set_meta(_SECONDS, f"{_seconds(ledger) + seconds:.3f}")
    ledger.set_meta(_STOP, stop_as_text(stop))


def record_decision(ledger: Ledger) -> None:
    """Note that records were settled by hand: what stopped the last run is no news any more."""
    ledger.set_meta(_STOP, "")


def abandon(ledger: Ledger) -> None:
    """Have a job send nothing any more, durably."""
    if not is_abandoned(ledger):
        ledger.set_meta(_ABANDONED, repr(time.time()))


def is_abandoned(ledger: Ledger) -> bool:
    """Whether a person said that nothing of the job is sent any more."""
    return ledger.get_meta(_ABANDONED) is not None


def seconds_at_work(ledger: Ledger) -> float | None:
    """How long all runs took; None before the first, and where one did not come to its end."""
    seconds = _seconds(ledger)
    return seconds if seconds and _counted(ledger)[0] == ledger.requests().sent else None


def _seconds(ledger: Ledger) -> float:
    return float(ledger.get_meta(_SECONDS) or 0)


def _counted(ledger: Ledger) -> list[int]:
    """Requests and records of the runs that came to their end, which those of a crash are not."""
    known = ledger.get_meta(_COUNTED)
    if known is None and _seconds(ledger):
        return _done(ledger)  # of runs from before this was noted
    return list(json.loads(known or "[0, 0]"))


def _done(ledger: Ledger) -> list[int]:
    """Requests sent and records settled by now."""
    counts = ledger.counts()
    return [ledger.requests().sent, sum(counts.get(state, 0) for state in _AT_REST)]


def _phase(ledger: Ledger, books: Books, *, running: bool, sent: bool) -> Phase:
    if running:
        return Phase.RUNNING
    if is_abandoned(ledger):
        return Phase.ABANDONED
    if books.pending == 0:
        return Phase.COMPLETE
    return Phase.STOPPED if sent else Phase.PLANNED


def _rates(ledger: Ledger, *, running: bool) -> tuple[float | None, float | None]:
    """Requests and records a second: of the last minute while running, else over all runs.

    A run that crashed has left no duration behind, so what it did does not count here.
    """
    if running:
        return _lately(ledger.ticks())
    seconds = _seconds(ledger)
    sent, settled = _counted(ledger)
    if not seconds or not sent:
        return None, None
    return sent / seconds, settled / seconds


def _lately(ticks: Sequence[Tick]) -> tuple[float | None, float | None]:
    now = time.time()
    recent = [tick for tick in ticks if tick.at >= now - _LATELY]
    if not recent:
        return None, None
    seconds = max(now - min(tick.at for tick in recent), 1.0)
    records = sum(tick.settled for tick in recent)
    return sum(tick.sent for tick in recent) / seconds, records / seconds


def _elsewhere(manifest: Manifest, ledger: Ledger, base_url: str) -> str | None:
    """The address of the last run, or of the job that this is the rest of, where the
    configuration has another one."""
    last = last_base_url(ledger) or (manifest.rest.address if manifest.rest else None)
    return last if last != base_url else None


def _next(
    phase: Phase, books: Books, directory: Path, name: str, elsewhere: str | None
) -> str | None:
    job = shlex.quote(str(directory))
    if phase is Phase.RUNNING:
        return f"backfill status {job}"
    if phase is Phase.ABANDONED and not books.unknown:
        return None
    if books.pending and phase is not Phase.ABANDONED:
        return f"backfill run {name}" + (f" --base-url {elsewhere}" if elsewhere else "")
    for state in (State.UNKNOWN, State.FAILED, State.REJECTED):
        if books.count(state):
            return f"backfill records {job} --state {state} -o {free_name(f'{state}.csv')}"
    return None
