"""A job as one object: plan, run, look, settle. The command line and notebooks both call it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread

from backfill.core.errors import ConfigError
from backfill.core.model import State
from backfill.core.secret import Secret
from backfill.deliver import Settings, Snapshot, StopRequest
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.pace_file import PaceSetting, as_written
from backfill.jobs.access.pace import known_pace, say_pace
from backfill.jobs.access.shared_ledger import refuse_lone_ledger
from backfill.jobs.access.working import working_on
from backfill.jobs.chain.rest import refuse_abandoned
from backfill.jobs.changes import refuse_change
from backfill.jobs.choice import RESOLUTIONS, Choice, Settled, settle
from backfill.jobs.run_history import abandon, check_current
from backfill.jobs.running.credentials import credential_for
from backfill.jobs.running.delivering import Delivery, deliver_alone, deliver_with_others
from backfill.jobs.running.settings import delivery_for
from backfill.jobs.running.surroundings import Surroundings
from backfill.jobs.running.thread_runner import await_in_thread, run_in_thread
from backfill.jobs.status import Status
from backfill.jobs.view import JobView
from backfill.ledger import AnyLedger

__all__ = ["Job"]

log = logging.getLogger("backfill.jobs.job")

Observer = Callable[[Snapshot], None]


class Job(JobView):
    """One backfill of one source to one destination, and the directory that holds its state."""

    surroundings = Surroundings()

    def refuse_change(self) -> None:
        """Raise ChangedError if the source or the configuration is no longer what was planned."""
        if LedgerPlace.read(self.directory) is not None:  # others may run it at this moment
            check_current(self.directory, self.manifest)
            self._refuse_changed()
            return
        with self._alone("run", self._refuse_changed):
            pass

    # --- running ---------------------------------------------------------------------------

    def run(
        self,
        *,
        observe: Observer | None = None,
        halt: StopRequest | None = None,
        credential: Secret | None = None,
        on: object = None,
        **changes: Any,
    ) -> Status:
        """Deliver what is pending, from where the job stands; in a script or a notebook.

        `changes` override the configuration for this run: `rate`, `concurrency`, `limit`,
        `max_duration`, `max_errors`, `base_url`, `guarantee`, `timeout`, `max_wait`,
        `patience`, and `only`, which maps fields of the body to the value or values that alone
        are to be sent now. `observe` is called with the state of things a few times a second.
        The credential comes from the environment unless it is given. An interrupt finishes what
        is in flight, records it and returns; a second one is raised at once.

        `on` names workers that deliver in this process's place, each with the credential of its own
        environment: `"local:4"`, `"tcp://host:8786"` of a Dask cluster, or a
        `dask.distributed.Client`. It needs a ledger that they share, as [cluster] names one.
        """
        halt = halt or StopRequest()
        run = partial(self._watched, observe, halt, credential, changes, on)
        return run_in_thread(run, halt)

    async def run_async(
        self,
        *,
        observe: Observer | None = None,
        halt: StopRequest | None = None,
        credential: Secret | None = None,
        on: object = None,
        **changes: Any,
    ) -> Status:
        """The same as `run`, inside an event loop, which stays free meanwhile.

        `observe` is called in another thread. A cancellation finishes what is in flight, records
        it, and is raised then.
        """
        halt = halt or StopRequest()
        run = partial(self._watched, observe, halt, credential, changes, on)
        return await await_in_thread(run, halt)

    async def _watched(
        self,
        observe: Observer | None,
        halt: StopRequest,
        credential: Secret | None,
        changes: Mapping[str, Any],
        on: object,
    ) -> Status:
        settings = self.settings(changes)
        if on is not None:
            self.refuse_workers(credential)
        self.refuse_other_address(settings)
        if on is None:
            credential = credential or credential_for(self.destination)
        watching = nullcontext(observe) if observe else self._watching(settings, halt)
        with watching as observer:
            return await self._run(observer, halt, credential, settings, on)

    def _watching(self, settings: Settings, halt: StopRequest) -> AbstractContextManager[Observer]:
        """Who observes a run for which nobody else was named: here, no one."""
        del settings, halt
        return nullcontext(_look_away)

    def refuse_workers(self, credential: Secret | None = None) -> None:
        """Raise ConfigError where workers of a cluster cannot deliver the job: its ledger is a
        file, or a credential was given here, which they would not get.
        """
        refuse_lone_ledger(LedgerPlace.read(self.directory), str(self.directory))
        if credential is not None:
            raise ConfigError(
                "a credential does not travel to workers",
                where="credential",
                hint="Leave it out, and set it in the environment of each worker.",
            )

    async def _run(
        self,
        observe: Observer,
        halt: StopRequest,
        credential: Secret | None,
        settings: Settings,
        on: object = None,
    ) -> Status:
        unchanged, self._unchanged = not self._unchanged, False
        delivery = Delivery(self, settings, credential, halt, observe)
        place = LedgerPlace.read(self.directory)
        if place is not None:
            self._refuse_changed(source=unchanged)
            if on is None:
                status = await deliver_with_others(delivery, place)
            else:
                status = await anyio.to_thread.run_sync(_run_on, delivery, place, on)
        else:
            check = partial(self._refuse_changed, source=unchanged)
            with self._alone("run", check) as ledger:
                status = await deliver_alone(delivery, ledger)
        log.info(
            "%s: %s",
            self.directory,
            f"stopped: {status.stop.message}" if status.stop else status.phase,
            extra={"records": status.books.as_dict(), "requests": status.requests.as_dict()},
        )
        return status

    def pace(
        self,
        *,
        rate: str | float | None = None,
        concurrency: int | None = None,
        pause: bool = False,
        go_on: bool = False,
    ) -> PaceSetting:
        """Change how fast the run that goes on sends, within a second, and those after it.

        `rate` is as in the configuration ("50/s", "auto"); `pause` holds everything back, and
        `go_on` lets it go on. Without arguments nothing changes. Returns what holds now. Raises
        ConfigError for a value that is none, and BackfillError where it cannot be written.
        """
        if pause and go_on:
            raise ConfigError("pause and go_on say the opposite", hint="Give one of them.")
        said = {"rate": rate, "concurrency": concurrency}
        delivery_for(self.config, self.manifest, said)
        known = known_pace(self.directory)
        changed = PaceSetting(
            rate=known.rate if rate is None else as_written(rate),
            concurrency=known.concurrency if concurrency is None else concurrency,
            paused=pause or (known.paused and not go_on),
            rate_said=known.rate_said + (rate is not None),
            concurrency_said=known.concurrency_said + (concurrency is not None),
        )
        if changed != known:
            say_pace(self.directory, changed)
        return changed

    # --- deciding -----------------------------------------------------------------------

    def abandon(self) -> Status:
        """Send nothing of this job any more. What is pending is left so, and the status says it."""
        with self._alone("abandon") as ledger:
            abandon(ledger)
            return self.status_in(ledger, running=False)

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
    def _alone(
        self, work: str, unchanged: Callable[[], None] = lambda: None
    ) -> Iterator[AnyLedger]:
        """The ledger and the lock, if the job is the one that was opened, and `unchanged`."""

        def check() -> None:
            check_current(self.directory, self.manifest)
            unchanged()

        clock = self.surroundings.wall
        with working_on(self.directory, work, check=check, clock=clock) as ledger:
            yield ledger

    def _refuse_changed(self, *, source: bool = True) -> None:
        """Raise what `refuse_change` does; without `source` what other jobs do is looked at alone,
        for a job whose own files were looked at a moment ago.
        """
        if self.broken is not None:
            raise self.broken
        refuse_change(self.directory, self.manifest, self.config, source=source)


def _run_on(delivery: Delivery, place: LedgerPlace, on: object) -> Status:
    from backfill.jobs.running.on_workers import deliver_on_workers  # noqa: PLC0415 - seldom
    from backfill.prepare.engines.opening import cluster_on  # noqa: PLC0415

    with cluster_on(on) as cluster:
        return deliver_on_workers(delivery, place, cluster)


def _look_away(snapshot: Snapshot) -> None:
    """Observe nothing."""
    del snapshot
