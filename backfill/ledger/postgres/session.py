"""One connection to the database: what it must be able to promise, and what happens when it breaks.

Whether the process may still send is told by `deadline`: the moment at which it sent the last
command that was answered, and the lease from there on, less a margin. Another process takes over
no earlier than a lease after the database received that command, so no clock is compared. On a new
connection no command counts before what the old one held is held again: others may have it by now.
Moments are those of `now`, a clock that goes on while the machine sleeps.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql as composed

from backfill.core.errors import LedgerError
from backfill.ledger.postgres.address import noticing_silence, password, place_of
from backfill.ledger.postgres.errors import in_words, is_starting
from backfill.ledger.postgres.requirements import check_requirements
from backfill.ledger.postgres.silence import SilenceWatch

__all__ = ["COMMENT", "NO_SCHEMA", "Session", "now"]

COMMENT = "The ledger of a backfill: "
"""How the comment on a job's schema begins; its name follows."""

NO_SCHEMA = "pg_temp"
"""The schema of a session that is of no job."""

_CONNECT_WITHIN = 10  # seconds
_HURRIED = 3  # seconds, for a process that is to end
_LIMITED = ("statement", "lock", "idle_session", "idle_in_transaction_session", "transaction")
_LIMITS = [f"{each}_timeout" for each in _LIMITED]
_MARGIN = 0.1  # of the lease
_STARTS_WITHIN = 60.0  # seconds that even one who only looks waits for a database that starts
_BRIEFLY = 5.0  # seconds that a process which is to end waits for a database that is away
_SILENCE = 2.0  # seconds after which a database that is away is spoken of
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_AGAIN_AFTER = (0.05, 0.1, 0.2, 0.5)  # seconds between attempts to connect anew; the last repeats
_ENDS = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
"""What a connection may be at its end with; a database that fails over can only be read for a
while, and is away as long.
"""

log = logging.getLogger("backfill.ledger")

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on a clock of this machine that never jumps, and goes on while it sleeps."""
    return time.clock_gettime(_CLOCK)


class Session:
    """A connection, used by one thread at a time, that is made anew where it broke.

    `lease` is in seconds. `patience` is how long a database that is away is waited for, and with
    `waits` also before the first connection. With `writes` even that one is refused by a database
    that can only be read. `again` is called on a new connection, to hold what the old one held.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        *,
        lease: float,
        patience: float,
        waits: bool = False,
        writes: bool = False,
    ) -> None:
        self.where = place_of(address) if schema == NO_SCHEMA else f"{place_of(address)} ({schema})"
        self.turn = threading.RLock()
        self.deadline = 0.0
        self.away = False  # and waited for, for longer than a moment
        self.again: Callable[[], None] = lambda: None
        self._address = noticing_silence(address)
        self._schema = schema
        self._lease = lease
        self._patience = patience
        self._hurried_at = 0.0
        self._writes = writes
        self._closed = False
        self._holds = True  # whether what the connection before this one held is known to be held
        self._whole = False  # whether all is read from one snapshot
        self._sessions: list[tuple[int, Any]] = []  # ours, each by its process and when that began
        self._watch = SilenceWatch(self._address, self._tell_of_silence, now)
        try:
            self._wait_for(self._begin, (lambda _: True) if waits else is_starting)
        except BaseException:
            self._watch.close()
            raise

    def close(self) -> None:
        """End the session; what it holds is free for others then. May be called twice."""
        with self.turn:
            self._closed = True
            self._watch.close()
            self._connection.close()

    def hurry(self) -> None:
        """Wait for a database that is away only for some seconds from now on.

        May be called from any thread, also while another one waits.
        """
        self._hurried_at = time.monotonic()
        self._patience = min(self._patience, _BRIEFLY)
        self._watch.hurry(_BRIEFLY)

    def words(self) -> contextlib.AbstractContextManager[None]:
        """Raise what the driver raises in words of ours."""
        return in_words(self.where)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a question that may be asked twice without harm.

        Where the connection breaks, it is made anew and the question asked again.
        """
        return self.change(statement, values, recorded=lambda: False)

    def change(
        self, statement: str, values: Sequence[Any], *, recorded: Callable[[], bool]
    ) -> list[Any]:
        """Call a function that changes something, once; returns its rows.

        Where its answer does not come, the connection is made anew and `recorded` asked: what is
        not recorded is called again, and what is has no rows. Raises OwnershipError where another
        process took over meanwhile.
        """
        with self.turn, in_words(self.where):
            while True:
                try:
                    found = self._ask(statement, values)
                except _ENDS as error:
                    self._reconnect_after(error)
                    if recorded():
                        return []
                else:
                    self.away = False
                    return found

    def at_one_moment(self, *statements: str) -> list[list[Any]]:
        """All rows of each of these questions, answered from one snapshot.

        Where the connection breaks, it is made anew and all of them are asked again.
        """
        if self._whole:
            return [self.rows(each) for each in statements]
        with self.turn, in_words(self.where):
            while True:
                try:
                    self._ask(_SNAPSHOT, ())
                    try:
                        return [self._ask(each, ()) for each in statements]
                    finally:
                        if not self._connection.closed:
                            self._ask("ROLLBACK", ())
                except psycopg.OperationalError as error:
                    self._reconnect_after(error)

    def stay_in_one_moment(self) -> None:
        """Have all that is asked from now on answered from one snapshot, and change nothing."""

        def refuse() -> None:
            raise LedgerError(
                "the connection broke while the job was looked at",
                where=self.where,
                hint="Nothing was changed. Look again.",
            )

        with self.turn, in_words(self.where):
            self._ask(_SNAPSHOT, ())
        self._whole = True
        self.again = refuse

    def drop(self) -> None:
        """Remove the schema with everything in it."""
        with self.turn, in_words(self.where):
            name = composed.Identifier(self._schema)
            with self._watch.over(self._connection):
                self._connection.execute(composed.SQL("DROP SCHEMA {} CASCADE").format(name))

    def make(self, schema: str, script: str, named: str) -> None:
        """Make a schema by a script, in full or not at all, where there is none of its name.

        Two processes that try at once make one. It needs CREATE on the database, and no more.
        """
        name = composed.Identifier(schema)
        own = self._connection
        with self.turn, in_words(self.where), self._watch.over(own), own.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (schema,))
            there = self._connection.execute("SELECT to_regnamespace(%s)", (f'"{schema}"',))
            if there.fetchone() == (None,):
                self._connection.execute(composed.SQL("CREATE SCHEMA {}").format(name))
                comment = composed.SQL("COMMENT ON SCHEMA {} IS {}")
                self._connection.execute(comment.format(name, composed.Literal(COMMENT + named)))
                self._connection.execute(script)

    @contextlib.contextmanager
    def listening(self) -> Iterator[psycopg.Connection[Any]]:
        """Another connection, to hear what is announced for this schema."""
        with self._connect() as connection:
            with in_words(self.where), self._watch.over(connection):
                connection.execute(
                    composed.SQL("LISTEN {}").format(composed.Identifier(self._schema))
                )
            yield connection

    # --- parts -------------------------------------------------------------------------------

    def _ask(self, statement: str, values: Sequence[Any]) -> list[Any]:
        sent_at = now()
        with self._watch.over(self._connection):
            cursor = self._connection.execute(statement, values)
        found = cursor.fetchall() if cursor.description else []
        if self._holds:
            self.deadline = sent_at + self._lease * (1 - _MARGIN)
        return found

    def _begin(self) -> None:
        self._connection = self._connect()
        try:
            with in_words(self.where):
                self._sessions = [self._who()]
        except BaseException:
            self._connection.close()
            raise

    def _reconnect_after(self, error: psycopg.Error) -> None:
        """Make the connection anew where it broke, or nothing can be written by it, once the
        database is back, also where it breaks again. Raises what is neither.
        """
        if self._closed or not self._broken(error):
            raise error

        def anew() -> None:
            self._connection.close()
            self._connection = self._connect()
            self._end_earlier()

        def passes(error: Exception) -> bool:
            return not isinstance(error, psycopg.OperationalError) or self._broken(error)

        self._holds = False
        self._writes = True  # until one is promoted, the others can only be read: none of them
        self._wait_for(anew, passes)
        self.again()
        self._holds = True

    def _wait_for(self, connect: Callable[[], None], passes: Callable[[Exception], bool]) -> None:
        """Try until there is a connection, as long as patience lasts and what is wrong `passes`.

        One that is just starting, as after a loss of power, is always waited for. A wait that is
        long enough to be noticed is spoken of, once.
        """
        began = time.monotonic()
        pauses = iter(_AGAIN_AFTER)
        try:
            while True:
                try:
                    connect()
                except (LedgerError, psycopg.OperationalError) as error:
                    pause = next(pauses, _AGAIN_AFTER[-1])
                    moment = time.monotonic()
                    if not passes(error):
                        raise
                    starts = is_starting(error) and not self._hurried_at
                    patience = max(self._patience, _STARTS_WITHIN if starts else 0.0)
                    if moment + pause > max(began, self._hurried_at) + patience:
                        self._patience = 0.0  # once is enough: what is asked next waits no more
                        raise
                    if not self.away and moment > began + _SILENCE:
                        self.away = True
                        why = error.message if isinstance(error, LedgerError) else error
                        words = "%s is away; nothing is sent until it is back: %s"
                        log.warning(words, self.where, why)
                    time.sleep(pause)
                else:
                    if self.away:
                        log.warning("%s is back", self.where)
                    return
        finally:
            self.away = False

    def _tell_of_silence(self) -> None:
        if not self.away:
            self.away = True
            log.warning("%s does not answer; nothing is sent until it does", self.where)

    def _end_earlier(self) -> None:
        """End our sessions before this one: in each a command of ours may still be at work."""
        self._sessions.append(self._who())
        *earlier, own = self._sessions
        for pid, since in earlier:
            self._ask(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pid = %s AND backend_start = %s AND pid <> pg_backend_pid()",
                (pid, since),
            )
        self._sessions = [own]

    def _broken(self, error: psycopg.Error) -> bool:
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return True
        return self._connection.broken or self._connection.closed or error.sqlstate is None

    def _who(self) -> tuple[int, Any]:
        (found,) = self._ask(
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()", ()
        )
        return found[0], found[1]

    def _connect(self) -> psycopg.Connection[Any]:
        with in_words(self.where):
            connection = psycopg.connect(
                self._address,
                autocommit=True,
                connect_timeout=_HURRIED if self._hurried_at else _CONNECT_WITHIN,
                client_encoding="utf8",
                password=password(),
                target_session_attrs="read-write" if self._writes else None,
            )
        try:
            with self._watch.over(connection):
                check_requirements(connection, self.where)
            with in_words(self.where), self._watch.over(connection):
                path = composed.SQL("SET search_path TO {}, pg_temp").format(
                    composed.Identifier(self._schema)
                )
                connection.execute(path)
                # A limit that an administrator set for short work of others; some versions lack
                # the last one.
                connection.execute(
                    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s)",
                    (_LIMITS,),
                )
                connection.prepare_threshold = 2
        except BaseException:
            connection.close()
            raise
        return connection
