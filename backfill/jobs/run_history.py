"""What a job remembers of its runs: where they sent, how long they took, why they stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from backfill.core.errors import JobError
from backfill.core.model import State, Stop, StopKind, Tick
from backfill.deliver import Settings
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.pace_file import PaceSetting
from backfill.jobdir.store_addresses import named
from backfill.jobs.status import stop_as_text, stop_from_text
from backfill.ledger import AnyLedger

__all__ = [
    "AT_REST",
    "abandon",
    "check_current",
    "is_abandoned",
    "last_base_url",
    "last_run",
    "last_stop",
    "pace_of_run",
    "rates",
    "record_decision",
    "record_end",
    "record_pace",
    "record_start",
    "seconds_at_work",
]

# What a job remembers of its runs: how long those took that came to an end, the requests and
# records of these, how many there were before the last one, its address, and why it stopped.
_SECONDS, _COUNTED, _BEFORE = "seconds", "counted", "before"
_BASE_URL, _STOP, _ABANDONED = "base_url", "stop", "abandoned"
_STARTED, _ENDED, _PACE = "started_at", "ended_at", "pace_of_run"
AT_REST = (State.DELIVERED, State.FAILED, State.UNKNOWN)
_LATELY = 60.0  # seconds over which a running job's rate is taken


def last_base_url(ledger: AnyLedger) -> str | None:
    """Where the job's last run sent records to, None before the first."""
    return ledger.get_meta(_BASE_URL)


def check_current(directory: Path, manifest: Manifest) -> None:
    """Raise JobError if the job was planned anew since this manifest was read."""
    if Manifest.read(directory).created != manifest.created:
        raise JobError(
            "the job was planned anew since this object was made",
            where=named(directory),
            hint="Take the newer object, or open the job again with backfill.open_job.",
        )


def record_start(ledger: AnyLedger, base_url: str) -> None:
    """Note that a run begins: where it sends to, and that nothing has stopped it yet."""
    ledger.set_facts(
        {
            _STARTED: repr(ledger.moment()),
            _ENDED: "",
            _BASE_URL: base_url,
            _STOP: "",
            _COUNTED: json.dumps(_counted(ledger)),
            _BEFORE: json.dumps(_done(ledger)),
        }
    )


def record_end(ledger: AnyLedger, seconds: float, stop: Stop | None) -> None:
    """Note that a run of so many seconds ended, and why."""
    before, done = json.loads(ledger.get_meta(_BEFORE) or "[0, 0]"), _done(ledger)
    parts = zip(_counted(ledger), before, done, strict=True)
    counted = [earlier + now - then for earlier, then, now in parts]
    ledger.set_facts(
        {
            _COUNTED: json.dumps(counted),
            _BEFORE: json.dumps(done),
            _SECONDS: f"{_seconds(ledger) + seconds:.3f}",
            _STOP: stop_as_text(stop),
            _ENDED: repr(ledger.moment()),
        }
    )


def record_pace(ledger: AnyLedger, settings: Settings, said: PaceSetting) -> None:
    """Note how fast a run begins; `said` is the pace that was set beside the job by then."""
    began = [settings.rate, settings.concurrency, said.rate, said.concurrency]
    ledger.set_meta(_PACE, json.dumps(began))


def pace_of_run(ledger: AnyLedger, said: PaceSetting) -> tuple[float | None, int] | None:
    """Rate and concurrency of the run that goes on, None where no run has noted them.

    What the run itself was told holds until something else is `said` of that very thing.
    """
    known = ledger.get_meta(_PACE)
    if known is None:
        return None
    rate, concurrency, rate_then, concurrency_then = json.loads(known)
    if said.rate is not None and said.rate != rate_then:
        rate = said.per_second
    if said.concurrency is not None and said.concurrency != concurrency_then:
        concurrency = said.concurrency
    return rate, concurrency


def last_run(ledger: AnyLedger) -> tuple[float | None, float | None]:
    """When the last run began and when it ended, in seconds since 1970.

    None before the first one; without an end while it goes on, and where it was killed.
    """
    started, ended = ledger.get_meta(_STARTED), ledger.get_meta(_ENDED)
    return float(started) if started else None, float(ended) if ended else None


def last_stop(ledger: AnyLedger) -> Stop | None:
    """Why the last run ended early, None where nothing stopped it."""
    return stop_from_text(ledger.get_meta(_STOP))


def record_decision(ledger: AnyLedger) -> None:
    """Note that records were settled by hand: that errors stopped the last run is no news any more.

    What else stopped it holds until the next one: a job with more to send has not come to its end.
    """
    stop = last_stop(ledger)
    if stop is not None and stop.kind is StopKind.ERRORS:
        ledger.set_meta(_STOP, "")


def abandon(ledger: AnyLedger) -> None:
    """Have a job send nothing any more, durably."""
    if not is_abandoned(ledger):
        ledger.set_meta(_ABANDONED, repr(ledger.moment()))


def is_abandoned(ledger: AnyLedger) -> bool:
    """Whether a person said that nothing of the job is sent any more."""
    return ledger.get_meta(_ABANDONED) is not None


def seconds_at_work(ledger: AnyLedger) -> float | None:
    """How long all runs took; None before the first, and where one did not come to its end."""
    seconds = _seconds(ledger)
    return seconds if seconds and _counted(ledger)[0] == ledger.requests().sent else None


def _seconds(ledger: AnyLedger) -> float:
    return float(ledger.get_meta(_SECONDS) or 0)


def _counted(ledger: AnyLedger) -> list[int]:
    """Requests and records of the runs that came to their end, which those of a crash are not."""
    known = ledger.get_meta(_COUNTED)
    if known is None and _seconds(ledger):
        return _done(ledger)  # of runs from before this was noted
    return list(json.loads(known or "[0, 0]"))


def _done(ledger: AnyLedger) -> list[int]:
    """Requests sent and records settled by now."""
    counts = ledger.counts()
    return [ledger.requests().sent, sum(counts.get(state, 0) for state in AT_REST)]


def rates(ledger: AnyLedger, *, running: bool) -> tuple[float | None, float | None]:
    """Requests and records a second: of the last minute while running, else over all runs.

    A run that crashed has left no duration behind, so what it did does not count here.
    """
    if running:
        return _lately(ledger.ticks(), ledger.moment())
    seconds = _seconds(ledger)
    sent, settled = _counted(ledger)
    if not seconds or not sent:
        return None, None
    return sent / seconds, settled / seconds


def _lately(ticks: Sequence[Tick], now: float) -> tuple[float | None, float | None]:
    recent = [tick for tick in ticks if tick.at >= now - _LATELY]
    if not recent:
        return None, None
    seconds = max(now - min(tick.at for tick in recent), 1.0)
    records = sum(tick.settled for tick in recent)
    return sum(tick.sent for tick in recent) / seconds, records / seconds
