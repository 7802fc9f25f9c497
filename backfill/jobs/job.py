"""A job as one object: plan, run, look, settle. The command line and notebooks both call it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal

from backfill.config import Config
from backfill.core.errors import ConfigError
from backfill.core.job_files import LEDGER
from backfill.core.model import Progress, State, Stop
from backfill.core.secret import Secret
from backfill.deliver import Settings, Snapshot, StopRequest
from backfill.destination import Destination
from backfill.destinations import destination
from backfill.jobdir.errors import reading
from backfill.jobdir.job_paths import job_name
from backfill.jobdir.lock import locked
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.overwrite_guard import refuse_existing, refuse_own_files
from backfill.jobdir.pace_file import PaceSetting, as_written, read_pace, write_pace
from backfill.jobs.audit import audit
from backfill.jobs.chain.rest import refuse_abandoned, take_rest
from backfill.jobs.changes import refuse_change
from backfill.jobs.choice import RESOLUTIONS, Choice, Settled, settle
from backfill.jobs.credentials import credential_for
from backfill.jobs.looking import look
from backfill.jobs.run_history import (
    abandon,
    bind_address,
    check_current,
    record_end,
    record_start,
    refuse_other_address,
    release_address,
    standing,
)
from backfill.jobs.settings import delivery_for, settings_for
from backfill.jobs.status import Status
from backfill.jobs.thread_runner import await_in_thread, run_in_thread
from backfill.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl

    from backfill.jobs.story import Story

__all__ = ["Job"]

log = logging.getLogger("backfill.jobs.job")

Observer = Callable[[Snapshot], None]


class Job:
    """One backfill of one source to one destination, and the directory that holds its state."""

    status_type: ClassVar[type[Status]] = Status

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        config: Config | None = None,
        *,
        broken: ConfigError | None = None,
        unchanged: bool = False,
    ) -> None:
        """For `plan_job` and `open_job`; `broken` is why the configuration cannot be read.

        `unchanged` says that the source was compared right now, so that the run that follows need
        not ask a distant server again.
        """
        self.directory = directory
        self.manifest = manifest
        self.config = config
        self.broken = broken
        self._unchanged = unchanged

    def __repr__(self) -> str:
        return f"<Job {self.directory} to {self.manifest.destination}: {self.manifest.input} rows>"

    # --- looking ---------------------------------------------------------------------------

    @property
    def destination(self) -> Destination:
        return destination(self.manifest.destination)

    def status(self) -> Status:
        """The job at this moment. What a run that died left in flight counts as unknown."""
        with self._look() as (ledger, running):
            return self._status(ledger, running=running)

    def records(self, state: str | State | None = None) -> pl.DataFrame:
        """One row for each record, in the source's order, with its state and the reason."""
        import polars as pl  # noqa: PLC0415

        with self._records(state) as (parts, _):
            rows = pl.concat(parts).sort("__file", "_row").drop("__file")
            return _presentable(rows.collect())

    def write_records(
        self,
        target: str | Path | BinaryIO,
        state: str | State | None = None,
        *,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Write `records` to a CSV, Parquet or NDJSON file, or as CSV to a stream.

        Memory is bounded, whatever the number of records. Raises ConfigError for a name that is
        no good, a file that the job lives on, or without `force` one that exists, and
        BackfillError where the file cannot be written to its end.
        """
        from backfill.jobs.export import write_records  # noqa: PLC0415 - Polars only when needed

        file = Path(target) if isinstance(target, str) else target
        if isinstance(file, Path):
            refuse_own_files(file, self.directory, self.manifest, self.config)
            if not force:
                refuse_existing(file)
        with self._records(state) as (parts, rows):
            zone = self.manifest.shape["events"].get("timezone")
            write_records(parts, file, rows, self.directory, timezone=zone, progress=progress)

    @property
    def rejected(self) -> pl.DataFrame:
        """The rows that broke a rule before anything was sent, with every rule they broke."""
        return self._frame("rejected.parquet")

    @property
    def excluded(self) -> pl.DataFrame:
        """The rows that were left out on purpose, with what of the configuration did so."""
        if not self.manifest.excluded:  # a job of an older version has no file of them
            return self.rejected.clear().drop("_raw", strict=False)
        return self._frame("excluded.parquet")

    @property
    def duplicates(self) -> pl.DataFrame:
        """The rows that stand elsewhere too, with the place of the kept one."""
        return self._frame("duplicates.parquet").drop("__record", strict=False)

    def sample(self, n: int = 5) -> pl.DataFrame:
        """The first `n` ready records of the source with the body that is sent for each."""
        from backfill.jobs.records import sample_bodies  # noqa: PLC0415 - Polars only when needed

        with reading(self.directory):
            return sample_bodies(self.directory, self.manifest, n)

    def show(self, row: str | int) -> Story:
        """The whole story of one record: a row's number, with several files "FILE:ROW".

        Raises ConfigError for a row that the job does not have.
        """
        from backfill.jobs.story import place_named, story_of  # noqa: PLC0415 - Polars

        file, number = place_named(row, self.manifest)
        with reading(self.directory), self._look() as (ledger, _):
            return story_of(
                file,
                number,
                directory=self.directory,
                manifest=self.manifest,
                destination=self.destination,
                config=self.config,
                ledger=ledger,
            )

    def settings(self, changes: Mapping[str, Any]) -> Settings:
        """The settings that a run with these changes would have. Raises ConfigError.

        What `pace` said holds for all runs, but for what a run is told itself.
        """
        said = read_pace(self.directory)
        given = {name: value for name, value in changes.items() if value is not None}
        changes = {"rate": said.rate, "concurrency": said.concurrency} | given
        delivery = delivery_for(self.config, self.manifest, changes)
        return settings_for(delivery, self.destination, changes.get("only"))

    def refuse_change(self) -> None:
        """Raise ChangedError if the source or the configuration is no longer what was planned."""
        with self._alone("run", unchanged=True):
            pass

    def refuse_other_address(self, settings: Settings) -> None:
        """Raise ChangedError if the job belongs to another address than a run would send to."""
        with self._look() as (ledger, _):
            refuse_abandoned(self.directory, ledger)
            refuse_other_address(self.directory, self.manifest, ledger, settings.base_url)

    # --- running ---------------------------------------------------------------------------

    def run(
        self,
        *,
        observe: Observer | None = None,
        halt: StopRequest | None = None,
        credential: Secret | None = None,
        **changes: Any,
    ) -> Status:
        """Deliver what is pending, from where the job stands; in a script or a notebook.

        `changes` override the configuration for this run: `rate`, `concurrency`, `limit`,
        `max_duration`, `max_errors`, `base_url`, `guarantee`, `timeout`, `max_wait`,
        `patience`, and `only`, which maps fields of the body to the value or values that alone
        are to be sent now. `observe` is called with the state of things a few times a second.
        The credential comes from the environment unless it is given. An interrupt finishes what
        is in flight, records it and returns; a second one is raised at once.
        """
        halt = halt or StopRequest()
        return run_in_thread(partial(self._watched, observe, halt, credential, changes), halt)

    async def run_async(
        self,
        *,
        observe: Observer | None = None,
        halt: StopRequest | None = None,
        credential: Secret | None = None,
        **changes: Any,
    ) -> Status:
        """The same as `run`, inside an event loop, which stays free meanwhile.

        `observe` is called in another thread. A cancellation finishes what is in flight, records
        it, and is raised then.
        """
        halt = halt or StopRequest()
        run = partial(self._watched, observe, halt, credential, changes)
        return await await_in_thread(run, halt)

    async def _watched(
        self,
        observe: Observer | None,
        halt: StopRequest,
        credential: Secret | None,
        changes: Mapping[str, Any],
    ) -> Status:
        settings = self.settings(changes)
        self.refuse_other_address(settings)
        credential = credential or credential_for(self.destination)
        watching = nullcontext(observe) if observe else self._watching(settings, halt)
        with watching as observer:
            return await self._run(observer, halt, credential, settings)

    def _watching(self, settings: Settings, halt: StopRequest) -> AbstractContextManager[Observer]:
        """Who observes a run for which nobody else was named: here, no one."""
        del settings, halt
        return nullcontext(_look_away)

    async def _run(
        self, observe: Observer, halt: StopRequest, credential: Secret, settings: Settings
    ) -> Status:
        with self._alone("run", unchanged=not self._unchanged) as ledger:
            self._unchanged = False
            refuse_abandoned(self.directory, ledger)
            first = bind_address(self.directory, self.manifest, ledger, settings.base_url)
            audit(self.directory, self.manifest, ledger)
            if first:
                take_rest(self.directory, self.manifest)
            if settings.guarantee == "at-least-once":
                ledger.resend_lost()
            record_start(ledger, settings.base_url)
            log.info("%s: sending to %s", self.directory, settings.base_url)
            from backfill.deliver import (  # noqa: PLC0415 - looking needs none of it
                deliver,
                state_directory,
            )

            started = time.monotonic()
            stop = await deliver(
                manifest=self.manifest,
                directory=self.directory,
                ledger=ledger,
                destination=self.destination,
                credential=credential,
                settings=settings,
                halt=halt,
                observe=observe,
                pace=partial(read_pace, self.directory),
                state=state_directory(),
            )
            record_end(ledger, time.monotonic() - started, stop)
            if first:
                release_address(ledger)
            status = self._status(ledger, running=False, stop=stop)
        log.info(
            "%s: %s",
            self.directory,
            f"stopped: {stop.message}" if stop else status.phase,
            extra={"records": status.books.as_dict(), "requests": status.requests.as_dict()},
        )
        return status

    def pace(
        self,
        *,
        rate: str | float | None = None,
        concurrency: int | None = None,
        paused: bool | None = None,
    ) -> PaceSetting:
        """Change how fast the run that goes on sends, within a second, and those after it.

        `rate` is as in the configuration ("50/s", "auto"); `paused` holds everything back, or
        lets it go on. Without arguments nothing changes. Returns what holds now. Raises
        ConfigError for a value that is none, and BackfillError where it cannot be written.
        """
        said = {"rate": rate, "concurrency": concurrency}
        delivery_for(self.config, self.manifest, said)
        known = read_pace(self.directory)
        changed = PaceSetting(
            rate=known.rate if rate is None else as_written(rate),
            concurrency=known.concurrency if concurrency is None else concurrency,
            paused=known.paused if paused is None else paused,
        )
        if changed != known:
            write_pace(self.directory, changed)
        return changed

    # --- after the run -----------------------------------------------------------------------

    def abandon(self) -> Status:
        """Send nothing of this job any more. What is pending is left so, and the status says it."""
        with self._alone("abandon") as ledger:
            abandon(ledger)
            return self._status(ledger, running=False)

    def retry(
        self, *, source: Any = None, status: int | None = None, reason: str | None = None
    ) -> Settled:
        """Make failed records pending again: all, or a choice. Returns how many.

        `source` is a file or a frame of rows that `records` gave out, `status` an HTTP status, and
        `reason` a part of the destination's words. `ignored` of what is returned counts the rows
        of the source that stay as they are, since they have not failed.
        """
        choice = Choice(source, status, reason)
        with self._alone("retry") as ledger:
            refuse_abandoned(self.directory, ledger)
            return settle(self.directory, self.manifest, ledger, State.PENDING, choice)

    def resolve(
        self,
        to: Literal["resend", "delivered", "failed"],
        *,
        source: Any = None,
        status: int | None = None,
        reason: str | None = None,
    ) -> Settled:
        """Settle unknown records, all or a choice as in `retry`: send them again, or say their end.

        Returns how many, as `retry` does.
        """
        if to not in RESOLUTIONS:
            raise ConfigError(f'to is "resend", "delivered" or "failed", not {to!r}')
        choice = Choice(source, status, reason)
        with self._alone("resolve") as ledger:
            if to == "resend":
                refuse_abandoned(self.directory, ledger)
            state = RESOLUTIONS[to]
            return settle(self.directory, self.manifest, ledger, state, choice, of=State.UNKNOWN)

    # --- parts -----------------------------------------------------------------------------

    @contextmanager
    def _alone(self, work: str, *, unchanged: bool = False) -> Iterator[Ledger]:
        """The ledger and the lock; with `unchanged` only if the source is what was planned."""
        with locked(self.directory, work) as lock:
            check_current(self.directory, self.manifest)
            if unchanged:
                if self.broken is not None:
                    raise self.broken
                refuse_change(self.directory, self.manifest, self.config)
            with Ledger.open(self.directory / LEDGER) as ledger:
                lock.enter_ledger()
                yield ledger

    @contextmanager
    def _look(self) -> Iterator[tuple[Ledger, bool]]:
        """The ledger at one moment, and whether a process is running."""
        with look(self.directory) as (ledger, running):
            check_current(self.directory, self.manifest)
            yield ledger, running

    def _status(self, ledger: Ledger, *, running: bool, stop: Stop | None = None) -> Status:
        return standing(
            self.directory,
            self.manifest,
            ledger,
            running=running,
            name=job_name(self.directory, self.config),
            base_url=self.settings({}).base_url,
            stop=stop,
            kind=self.status_type,
        )

    @contextmanager
    def _records(self, state: str | State | None) -> Iterator[tuple[list[pl.LazyFrame], int]]:
        """The records of a state in parts, and how many they are."""
        from backfill.jobs.records import parts_of_records, state_named  # noqa: PLC0415 - Polars

        wanted = None if state is None else state_named(state)
        with reading(self.directory):
            with self._look() as (ledger, running):
                books = self._status(ledger, running=running).books
                parts = parts_of_records(self.directory, self.manifest, ledger, wanted)
            if "row|malformed" not in self.manifest.reasons:
                parts = [part.drop("_raw") for part in parts]
            yield parts, books.input if wanted is None else books.count(wanted)

    def _frame(self, name: str) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        with reading(self.directory):
            return _presentable(pl.read_parquet(self.directory / name, glob=False))


def _presentable(frame: pl.DataFrame) -> pl.DataFrame:
    from backfill.sources.canonical_text import presentable  # noqa: PLC0415 - only for a frame

    return presentable(frame)


def _look_away(snapshot: Snapshot) -> None:
    """Observe nothing."""
    del snapshot
