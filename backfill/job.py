"""A job as one object: plan, run, look, settle. The command line and notebooks both call it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from backfill.audit import audit
from backfill.config import Config, load_config
from backfill.credentials import credential_for
from backfill.deliver import Halt, Settings, Snapshot, deliver
from backfill.destinations import Destination, destination
from backfill.errors import BusyError, ConfigError, did_you_mean
from backfill.ledger import Ledger
from backfill.manifest import Manifest
from backfill.model import Books, Progress, Secret, State, Stop, StopKind
from backfill.own_thread import run_in_own_thread
from backfill.planning import LEDGER, locked, make_directory, plan_into, refuse_change
from backfill.settings import delivery_for, settings_for
from backfill.status import Phase, Status, stop_as_text, stop_from_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Job", "find_or_plan", "job_directory", "open_job", "plan_job"]

_DELIVERED, _FAILED, _UNKNOWN = State.DELIVERED, State.FAILED, State.UNKNOWN
_SECONDS, _BASE_URL, _STOP = "seconds", "base_url", "stop"  # what a job remembers of its runs

Observer = Callable[[Snapshot], None]


def job_directory(name: str | Path, job: str | Path | None = None) -> Path:
    """The directory of a job named by its directory or by its configuration file.

    A configuration's job lies beside it, under its name without the ending plus `.job`.
    """
    if job is not None:
        return Path(job)
    path = Path(name)
    if path.is_dir() or path.suffix == ".job":
        return path
    return path.with_suffix(".job")


def plan_job(
    config: Config,
    directory: Path,
    *,
    anew: bool = True,
    progress: Progress | None = None,
) -> Job:
    """Prepare a job without any network, or open it where it is prepared already.

    Raises ConfigError, SourceError, ChangedError or BusyError.
    """
    destination(config.destination)
    make_directory(directory)
    with locked(directory):
        manifest = plan_into(directory, config, anew=anew, progress=progress)
    return Job(directory, manifest, config)


def open_job(name: str | Path) -> Job:
    """Open a job by its directory or its configuration file. Raises JobError if there is none."""
    directory = job_directory(name)
    manifest = Manifest.read(directory)
    path = Path(name)
    if not path.is_file():
        path = Path(manifest.config_path or "")
    config = load_config(path) if path.is_file() else None
    return Job(directory, manifest, config)


def find_or_plan(
    name: str | Path, job: str | Path | None = None, *, progress: Progress | None = None
) -> Job:
    """Open the job of a configuration, planning it if need be, or a job's directory."""
    if job is None and job_directory(name) == Path(name):
        return open_job(name)
    config = load_config(name)
    return plan_job(config, job_directory(name, job), anew=False, progress=progress)


class Job:
    """One backfill of one source to one destination, and the directory that holds its state."""

    def __init__(self, directory: Path, manifest: Manifest, config: Config | None = None) -> None:
        self.directory = directory
        self.manifest = manifest
        self.config = config

    def __repr__(self) -> str:
        return f"<Job {self.directory} to {self.manifest.destination}: {self.manifest.input} rows>"

    # --- looking ---------------------------------------------------------------------------

    @property
    def destination(self) -> Destination:
        return destination(self.manifest.destination)

    def status(self) -> Status:
        """The job at this moment. What an interrupted run left in flight becomes unknown."""
        with self._ledger() as (ledger, running):
            return self._status(ledger, running=running)

    def records(self, state: str | State | None = None) -> pl.DataFrame:
        """One row for each record, in the source's order, with its state and the reason."""
        with self._records(state) as (frame, _):
            return frame.sort("__file", "_row").drop("__file").collect()

    def write_records(
        self, target: str | Path | BinaryIO, state: str | State | None = None
    ) -> None:
        """Write `records` to a CSV, Parquet or NDJSON file, or as CSV to a stream.

        Memory is bounded, whatever the number of records.
        """
        from backfill.records import write_records  # noqa: PLC0415 - Polars only when needed

        with self._records(state) as (frame, rows):
            write_records(
                frame, Path(target) if isinstance(target, str) else target, rows, self.directory
            )

    @property
    def rejected(self) -> pl.DataFrame:
        """The rows that broke a rule before anything was sent, with every rule they broke."""
        return self._frame("rejected.parquet")

    @property
    def duplicates(self) -> pl.DataFrame:
        """The rows that stand elsewhere too, with the place of the kept one."""
        return self._frame("duplicates.parquet")

    def sample(self, n: int = 5) -> pl.DataFrame:
        """The first `n` ready records of the source with the body that is sent for each."""
        from backfill.records import sample_bodies  # noqa: PLC0415 - Polars only when needed

        return sample_bodies(self.directory, self.manifest, n)

    def settings(self, changes: Mapping[str, Any]) -> Settings:
        """The settings that a run with these changes would have. Raises ConfigError."""
        delivery = delivery_for(self.config, self.manifest, changes)
        return settings_for(delivery, self.destination)

    # --- running ---------------------------------------------------------------------------

    def run(
        self,
        *,
        observe: Observer | None = None,
        halt: Halt | None = None,
        credential: Secret | None = None,
        **changes: Any,
    ) -> Status:
        """Deliver what is pending, from where the job stands; in a script or a notebook.

        `changes` override the configuration for this run: `rate`, `concurrency`, `limit`,
        `max_duration`, `max_errors`, `base_url`, `guarantee`, `timeout`, `max_wait`,
        `patience`. `observe` is called with the state of things a few times a second; without
        it a bar is shown where someone is looking. The credential comes from the environment
        unless it is given. An interrupt finishes what is in flight, records it and returns; a
        second one is raised at once.
        """
        halt = halt or Halt()
        run = partial(self.run_async, observe=observe, halt=halt, credential=credential, **changes)
        return run_in_own_thread(run, halt)

    async def run_async(
        self,
        *,
        observe: Observer | None = None,
        halt: Halt | None = None,
        credential: Secret | None = None,
        **changes: Any,
    ) -> Status:
        """The same as `run`, inside an event loop."""
        from backfill.progress import DeliveryBar  # noqa: PLC0415 - a face, shown on demand

        with nullcontext(observe) if observe else DeliveryBar(self) as observer:
            return await self._run(observer, halt or Halt(), credential, changes)

    async def _run(
        self,
        observe: Observer,
        halt: Halt,
        credential: Secret | None,
        changes: Mapping[str, Any],
    ) -> Status:
        settings = self.settings(changes)
        credential = credential or credential_for(self.destination)
        with locked(self.directory):
            refuse_change(self.directory, self.manifest, self.config)
            ledger = Ledger.open(self.directory / LEDGER)
            try:
                audit(self.directory, self.manifest, ledger)
                ledger.remember(_BASE_URL, settings.base_url)
                ledger.remember(_STOP, "")
                before, started = float(ledger.recall(_SECONDS) or 0), time.monotonic()
                stop = await deliver(
                    manifest=self.manifest,
                    directory=self.directory,
                    ledger=ledger,
                    destination=self.destination,
                    credential=credential,
                    settings=settings,
                    halt=halt,
                    observe=observe,
                )
                seconds = before + time.monotonic() - started
                ledger.remember(_SECONDS, f"{seconds:.3f}")
                ledger.remember(_STOP, stop_as_text(stop))
                return self._status(ledger, running=False, stop=stop)
            finally:
                ledger.close()

    # --- faces -----------------------------------------------------------------------------

    def report(
        self,
        path: str | Path | None = None,
        format: Literal["html", "png", "svg"] | None = None,  # noqa: A002 - the option's name
    ) -> tuple[Path, ...]:
        """Write a self-contained page with pictures, or the pictures alone ("png", "svg").

        Without `path` it is `report.html` in the job's directory. Returns what was written.
        """
        from backfill.report import write_report  # noqa: PLC0415 - needs the extra `report`

        return write_report(self, path, format)

    def _repr_html_(self) -> str:
        from backfill.report.face import job_html  # noqa: PLC0415 - only in a notebook

        return job_html(self.status(), self.manifest)

    # --- after the run -----------------------------------------------------------------------

    def retry(self) -> int:
        """Make failed records pending again. Returns how many."""
        with self._alone() as ledger:
            return ledger.retry()

    def resolve(self, to: Literal["resend", "delivered", "failed"]) -> int:
        """Settle unknown records: send them again, or say what became of them."""
        states = {
            "resend": State.PENDING,
            "delivered": State.DELIVERED,
            "failed": State.FAILED,
        }
        if to not in states:
            raise ConfigError(f'to is "resend", "delivered" or "failed", not {to!r}')
        with self._alone() as ledger:
            return ledger.resolve(states[to])

    # --- parts -----------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[Ledger]:
        with locked(self.directory):
            ledger = Ledger.open(self.directory / LEDGER)
            try:
                yield ledger
            finally:
                ledger.close()

    @contextmanager
    def _ledger(self) -> Iterator[tuple[Ledger, bool]]:
        """The ledger, and whether another process is running: then it is only looked at."""
        with ExitStack() as stack:
            try:
                ledger, running = stack.enter_context(self._alone()), False
            except (BusyError, PermissionError) as error:
                # PermissionError: a directory that is only there to be read.
                running = isinstance(error, BusyError)
                ledger = stack.enter_context(closing(Ledger.look(self.directory / LEDGER)))
            yield ledger, running

    def _status(self, ledger: Ledger, *, running: bool, stop: Stop | None = None) -> Status:
        audit(self.directory, self.manifest, ledger)
        manifest, counts, requests = self.manifest, ledger.counts(), ledger.requests()
        settled = {state: counts.get(state, 0) for state in (_DELIVERED, _FAILED, _UNKNOWN)}
        books = replace(
            manifest.books,
            pending=manifest.ready - sum(settled.values()),
            **{state.value: count for state, count in settled.items()},
        )
        if running:
            phase = Phase.RUNNING
        elif books.pending == 0:
            phase = Phase.COMPLETE
        else:
            phase = Phase.STOPPED if requests.sent else Phase.PLANNED
        if phase is Phase.STOPPED and stop is None:
            stop = stop_from_text(ledger.recall(_STOP))
        if phase is Phase.COMPLETE and stop is not None and stop.kind is StopKind.LIMIT:
            stop = None
        seconds = float(ledger.recall(_SECONDS) or 0)
        rate = requests.sent / seconds if seconds and requests.sent else None
        pace = sum(settled.values()) / seconds if seconds else 0
        quiet = ledger.quiet_until()
        return Status(
            job=str(self.directory),
            destination=manifest.destination,
            phase=phase,
            books=books,
            reasons=manifest.reasons,
            dropped=manifest.dropped,
            requests=requests,
            rate=rate,
            seconds_left=books.pending / pace if pace and books.pending else None,
            quiet_until=quiet if quiet > time.time() else None,
            next=self._next(phase, books, ledger.recall(_BASE_URL)),
            stop=stop,
        )

    def _next(self, phase: Phase, books: Books, base_url: str | None) -> str | None:
        if phase is Phase.RUNNING:
            return f"backfill status {shlex.quote(str(self.directory))}"
        if books.pending:
            elsewhere = base_url if base_url != self.settings({}).base_url else None
            return f"backfill run {self.name}" + (f" --base-url {elsewhere}" if elsewhere else "")
        job = shlex.quote(str(self.directory))
        for state in (State.UNKNOWN, State.FAILED, State.REJECTED):
            if books.of(state):
                return f"backfill records {job} --state {state} -o {state}.csv"
        return None

    @property
    def name(self) -> str:
        """What a command that goes on is told: the configuration, and the job if it lies apart."""
        if self.config is None or self.config.path is None:
            return shlex.quote(str(self.directory))
        path = shlex.quote(str(self.config.path))
        if job_directory(self.config.path) == self.directory:
            return path
        return f"{path} --job {shlex.quote(str(self.directory))}"

    @contextmanager
    def _records(self, state: str | State | None) -> Iterator[tuple[pl.LazyFrame, int]]:
        """The records of a state, and how many they are."""
        from backfill.records import frame_of_records  # noqa: PLC0415 - Polars only when needed

        wanted = _state(state)
        with self._ledger() as (ledger, running):
            books = self._status(ledger, running=running).books
            frame = frame_of_records(self.directory, self.manifest, ledger, wanted)
            if "row|malformed" not in self.manifest.reasons:
                frame = frame.drop("_raw")
            yield frame, books.input if wanted is None else books.of(wanted)

    def _frame(self, name: str) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        return pl.read_parquet(self.directory / name)


def _state(state: str | State | None) -> State | None:
    try:
        return None if state is None else State(state)
    except ValueError:
        raise ConfigError(
            f"there is no state {state!r}", hint=did_you_mean(str(state), list(State))
        ) from None
