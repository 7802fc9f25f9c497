"""A job as one who only looks at it sees it. Looking takes no lock and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from backfill.config import Config
from backfill.core.errors import ConfigError, JobError
from backfill.core.model import Progress, State, Stop
from backfill.core.typed_paths import typed_path
from backfill.deliver import Settings
from backfill.destination import Destination
from backfill.destinations import destination, known_names
from backfill.jobdir.copies import job_file
from backfill.jobdir.errors import reading
from backfill.jobdir.job_paths import job_name
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.overwrite_guard import refuse_existing, refuse_own_files
from backfill.jobdir.store_addresses import named
from backfill.jobs.access.pace import known_pace, pace_in
from backfill.jobs.addresses import refuse_other_address
from backfill.jobs.chain.rest import refuse_abandoned, way_back, way_on
from backfill.jobs.current_status import current_status
from backfill.jobs.readonly import look
from backfill.jobs.run_history import check_current, pace_of_run
from backfill.jobs.running.settings import delivery_for, refuse_endpoint, settings_for
from backfill.jobs.status import Status
from backfill.ledger import AnyLedger

if TYPE_CHECKING:
    import polars as pl

    from backfill.jobs.records.story import Story


__all__ = ["JobView"]


class JobView:
    """A job's directory and manifest: where its records stand, and how a run would be set."""

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

    @property
    def destination(self) -> Destination:
        """Raises JobError where the package that brought it is not installed any more."""
        name = self.manifest.destination
        try:
            return destination(name)
        except ConfigError as error:
            if name in known_names():
                raise
            raise JobError(
                f"its destination {name!r} is not installed any more",
                where=named(self.directory),
                hint="Install the package again that brings it; the job is as it was.",
            ) from error

    def status(self) -> Status:
        """The job at this moment. What a run that died left in flight counts as unknown."""
        with self._look() as (ledger, running):
            return self.status_in(ledger, running=running)

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
        from backfill.jobs.records.export import write_records  # noqa: PLC0415 - Polars only when needed

        file = typed_path(target) if isinstance(target, str | Path) else target
        if isinstance(file, Path):
            refuse_own_files(file, self.directory, self.manifest, self.config)
            if not force:
                refuse_existing(file)
        with self._records(state) as (parts, rows):
            zone = self.manifest.shape["events"].get("timezone")
            write_records(
                parts,
                file,
                rows,
                self.directory,
                files=[each.rows for each in self.manifest.events],
                timezone=zone,
                progress=progress,
            )

    @property
    def rejected(self) -> pl.DataFrame:
        """The rows that broke a rule before anything was sent, with every rule they broke."""
        return self._frame("rejected.parquet")

    @property
    def excluded(self) -> pl.DataFrame:
        """The rows that were left out on purpose, with what of the configuration did so."""
        if not self.manifest.excluded:  # a job of an older version has no file of them
            return self.rejected.clear().drop("_raw", "_cause", strict=False)
        return self._frame("excluded.parquet")

    @property
    def duplicates(self) -> pl.DataFrame:
        """The rows that stand elsewhere too, with the place of the kept one."""
        return self._frame("duplicates.parquet").drop("__record", strict=False)

    def sample(self, n: int = 5) -> pl.DataFrame:
        """The first `n` ready records of the source with the body that is sent for each.

        Raises ConfigError where `n` is no number of records.
        """
        if not isinstance(n, Integral) or n < 0:
            raise ConfigError(f"a sample has a number of records from 0 on, and not {n!r}")
        from backfill.jobs.records.table import sample_bodies  # noqa: PLC0415 - Polars only when needed

        with reading(self.directory):
            return sample_bodies(self.directory, self.manifest, min(n, self.manifest.ready))

    def show(self, row: str | int) -> Story:
        """The whole story of one record: a row's number, with several files "FILE:ROW".

        Raises ConfigError for a row that the job does not have.
        """
        from backfill.jobs.records.story import place_named, story_of  # noqa: PLC0415 - Polars
        from backfill.jobs.records.table import left_as_unknown  # noqa: PLC0415 - Polars

        file, number = place_named(row, self.manifest)
        with reading(self.directory), self._look() as (ledger, _):
            story = story_of(
                file,
                number,
                directory=self.directory,
                manifest=self.manifest,
                destination=self.destination,
                config=self.config,
                ledger=ledger,
            )
            helps = way_on(self.directory, ledger, story.state, f"{file}:{number}")
            if self.manifest.rest is not None and story.state is State.DUPLICATE:
                left = left_as_unknown(self.directory, file, number)
                if left is not None:
                    meaning = "unknown in the job that this is the rest of, and left to it"
                    story = replace(story, meaning=meaning)
                    helps = way_back(self.directory, ledger, *left)
        return story if helps is None else replace(story, helps=helps)

    def settings(self, changes: Mapping[str, Any]) -> Settings:
        """The settings that a run with these changes would have. Raises ConfigError.

        What `pace` said holds for all runs, but for what a run is told itself.
        """
        said = known_pace(self.directory)
        given = {name: value for name, value in changes.items() if value is not None}
        changes = {"rate": said.rate, "concurrency": said.concurrency} | given
        delivery = delivery_for(self.config, self.manifest, changes)
        settings = settings_for(delivery, self.destination, changes.get("only"), said)
        refuse_endpoint(settings.base_url, self.destination)
        return settings

    def settings_in_force(self) -> Settings:
        """The settings of the run that goes on, as far as they can be known beside it; without one
        those that the next run would have.
        """
        settings = self.settings({})
        with self._look() as (ledger, running):
            pace = pace_of_run(ledger, pace_in(self.directory, ledger)) if running else None
        if pace is None:
            return settings
        return replace(settings, rate=pace[0], concurrency=pace[1])

    def refuse_other_address(self, settings: Settings) -> None:
        """Raise ChangedError if the job belongs to another address than a run would send to."""
        with self._look() as (ledger, _):
            refuse_abandoned(self.directory, ledger)
            refuse_other_address(self.directory, self.manifest, ledger, settings.base_url)

    @contextmanager
    def _look(self) -> Iterator[tuple[AnyLedger, bool]]:
        """The ledger at one moment, and whether a process is running."""
        with look(self.directory) as (ledger, running):
            check_current(self.directory, self.manifest)
            yield ledger, running

    def status_in(
        self,
        ledger: AnyLedger,
        *,
        running: bool,
        stop: Stop | None = None,
        audited: bool = True,
    ) -> Status:
        """The job as its open ledger has it; `stop` is why the run that has just ended did so.

        Not `audited`, the job's files are not looked at.
        """
        return current_status(
            self.directory,
            self.manifest,
            ledger,
            running=running,
            name=job_name(self.directory, self.config),
            base_url=self._base_url,
            stop=stop,
            audited=audited,
            kind=self.status_type,
        )

    @property
    def _base_url(self) -> str:
        """Where the configuration sends it. Asks no ledger: a run's end must not fail for that."""
        delivery = delivery_for(self.config, self.manifest, {})
        return settings_for(delivery, self.destination).base_url

    @contextmanager
    def _records(self, state: str | State | None) -> Iterator[tuple[list[pl.LazyFrame], int]]:
        """The records of a state in parts, and how many they are."""
        from backfill.jobs.records.table import parts_of_records, state_named  # noqa: PLC0415 - Polars

        wanted = None if state is None else state_named(state)
        with reading(self.directory):
            with self._look() as (ledger, running):
                books = self.status_in(ledger, running=running).books
                parts = parts_of_records(self.directory, self.manifest, ledger, wanted)
            if "row|malformed" not in self.manifest.reasons:
                parts = [part.drop("_raw", "_cause") for part in parts]
            yield parts, books.input if wanted is None else books.count(wanted)

    def _frame(self, name: str) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        with reading(self.directory):
            return _presentable(pl.read_parquet(job_file(self.directory, name), glob=False))


def _presentable(frame: pl.DataFrame) -> pl.DataFrame:
    from backfill.sources.canonical_text import presentable  # noqa: PLC0415 - only for a frame

    return presentable(frame)
