"""A ledger that several machines share: made with a plan, found by the job's directory, dropped.

Its driver comes with an extra, and is imported only for a job that has such a ledger.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backfill.config import Config
from backfill.core.errors import BusyError, ConfigError, JobError
from backfill.core.job_files import LEDGER
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.store_addresses import address_of, named, named_for_all, typed_job

if TYPE_CHECKING:
    from backfill.ledger.postgres import PostgresLedger

__all__ = [
    "alone_with",
    "beside",
    "delivering",
    "discard_ledger",
    "look_into",
    "make_ledger",
    "other_ledger",
    "place_for",
    "planning_turn",
    "refuse_lone_ledger",
    "refuse_other_ledger",
    "refuse_same_place",
]

_PATIENCE = 3.0  # seconds in which the session of a process that ended has ended, too
_EVERY = 0.05


def place_for(config: Config) -> LedgerPlace | None:
    """Where a plan of this configuration would keep its ledger; None beside its other files."""
    if config.cluster is None:
        return None
    return LedgerPlace(
        database=config.cluster.ledger,
        schema=f"backfill_{secrets.token_hex(8)}",
        lease=config.cluster.lease,
        hold=config.cluster.lease + config.delivery.timeout,
    )


@contextmanager
def planning_turn(
    config: Config, directory: Path, waiting: Callable[[], None]
) -> Iterator[Callable[[], object]]:
    """Be the only one who plans the job in `directory`, on any machine, where it has a ledger that
    machines share.

    `waiting` is called now and then while another one does. Yields a function that raises
    LedgerError where the turn was lost.
    """
    if config.cluster is None:
        yield lambda: None
        return
    _driver()
    from backfill.ledger.postgres import planning_turn as turn  # noqa: PLC0415 - an extra

    with turn(config.cluster.ledger, named_for_all(directory), waiting) as check:
        yield check


def make_ledger(place: LedgerPlace, directory: Path) -> PostgresLedger:
    """Make the ledger of the job in `directory`, and open it. Raises LedgerError."""
    return _driver().open(place.database, place.schema, create=True, named=named_for_all(directory))


def refuse_same_place(place: LedgerPlace, directory: Path) -> None:
    """Raise JobError where the database knows another job in this very place, that sent something.

    It was planned on a machine whose storage is not this one, or its directory was removed.
    One that sent nothing is forgotten.
    """
    known = LedgerPlace.read(directory)
    own = known.schema if known is not None and known.database == place.database else None
    for schema in _driver().named(place.database, named_for_all(directory)):
        if schema == own:
            continue
        with _driver().open_beside(place.database, schema) as ledger:
            if ledger.begun():
                raise JobError(
                    "the database knows a job in this place, and it is not here: another machine"
                    " has other files under the name of this storage, or they were removed",
                    where=named(directory),
                    hint=f"Nothing was planned. {_same_storage(directory)} Where the"
                    " job was removed on purpose, forget what it sent:"
                    f" psql {shlex.quote(place.database)} -c 'DROP SCHEMA \"{schema}\" CASCADE'",
                )
            ledger.drop()


def _same_storage(directory: Path) -> str:
    if address_of(directory) is not None:
        return "Name the storage that it was planned into, under [cluster]."
    return "Mount the storage that all machines share."


def discard_ledger(place: LedgerPlace) -> None:
    """Remove a ledger of which nothing was sent. Raises LedgerError."""
    with beside(place) as ledger:
        ledger.drop()


def refuse_lone_ledger(place: LedgerPlace | None, where: str) -> None:
    """Raise ConfigError where workers are to deliver a job whose ledger only one process can have.

    None stands for no place in a database, and `where` is said in the message.
    """
    if place is None:
        raise ConfigError(
            "workers can only deliver a job whose ledger they share",
            where=where,
            hint='Write storage = "/a/shared/directory" and ledger = "postgresql://host/database"'
            " under [cluster] in the configuration, before the job is planned.",
        )


def other_ledger(directory: Path, config: Config) -> str | None:
    """What a configuration says of the ledger that the job does not have, in words, or None."""
    place = LedgerPlace.read(directory)
    wanted = None if config.cluster is None else config.cluster.ledger
    if wanted == (None if place is None else place.database):
        return None
    return "the configuration changed: [cluster] ledger"


def refuse_other_ledger(directory: Path, config: Config | None) -> None:
    """Raise ConfigError where a configuration names another ledger than the job has."""
    place = LedgerPlace.read(directory)
    if config is None or place is None:
        if config is not None and config.cluster is not None and (directory / LEDGER).exists():
            raise ConfigError(
                "this job was planned for one machine, and its ledger is a file in its directory",
                where=named(directory),
                hint="Finish it without [cluster], or plan a job of its own with --job.",
            )
        return
    if config.cluster is not None and config.cluster.ledger != place.database:
        raise ConfigError(
            f"the job's ledger is in {place.database}, and the configuration names"
            f" {config.cluster.ledger}",
            where="[cluster] ledger",
            hint="Where the database has moved, with all that it holds, write its new address into"
            f" {directory / 'ledger.json'}.",
        )


@contextmanager
def look_into(place: LedgerPlace) -> Iterator[tuple[PostgresLedger, bool]]:
    """The ledger at one moment, and whether a run is going on. Raises LedgerError."""
    with _driver().open_readonly(place.database, place.schema) as ledger:
        yield ledger, ledger.running


def beside(place: LedgerPlace) -> PostgresLedger:
    """The ledger, to read or keep a small fact beside whoever works on the job."""
    return _driver().open_beside(place.database, place.schema)


@contextmanager
def alone_with(
    place: LedgerPlace, directory: Path, clock: Callable[[], float] | None = None
) -> Iterator[PostgresLedger]:
    """The ledger for one process that decides; what dead deliverers left in flight is settled.

    Raises BusyError while anybody delivers or decides as well, and where a deliverer may come back
    to a request that is out.
    """
    with _opened(place, clock) as ledger:
        until = time.monotonic() + _PATIENCE
        while not ledger.be_alone():
            if time.monotonic() > until:
                raise BusyError(
                    "another process works on this job",
                    where=named(directory),
                    hint=f"Wait for it, or look on: backfill status {typed_job(directory)}",
                )
            time.sleep(_EVERY)
        yield ledger


@contextmanager
def delivering(
    place: LedgerPlace,
    config: Config | None,
    *,
    timeout: float,
    clock: Callable[[], float] | None = None,
    waits: bool = False,
) -> Iterator[PostgresLedger]:
    """The ledger for one of several deliverers, by the lease that the configuration says now.

    `timeout` is how many seconds a request of this one may take. `waits` says that a database that
    cannot be reached at first is waited for, too.
    """
    cluster = config.cluster if config is not None else None
    lease = cluster.lease if cluster is not None else place.lease
    place = LedgerPlace(place.database, place.schema, lease, hold=lease + timeout)
    with _opened(place, clock, waits=waits) as ledger:
        yield ledger


def _opened(
    place: LedgerPlace, clock: Callable[[], float] | None, *, waits: bool = False
) -> PostgresLedger:
    # Unless a test brings a clock, all moments are the database's.
    return _driver().open(
        place.database,
        place.schema,
        clock=None if clock is time.time else clock,
        lease=place.lease,
        hold=place.hold,
        waits=waits,
    )


def _driver() -> type[PostgresLedger]:
    try:
        from backfill.ledger.postgres import PostgresLedger  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "psycopg":
            raise
        raise ConfigError(
            "a ledger in PostgreSQL needs an extra that is not installed",
            where="[cluster] ledger",
            hint="pip install 'backfill[postgres]'",
        ) from error
    return PostgresLedger
