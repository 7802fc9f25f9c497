"""The database as processes reach it: answers come late or never, sessions end, it goes away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import psycopg
from psycopg import sql as composed

from tests.simulation.several.database import Answered, Database, Moment
from tests.simulation.several.fibers import Fiber, World
from tests.simulation.several.process import Process

__all__ = ["Connection", "Fates", "Server", "Session"]

_LOCK_TIMEOUT = 3.0  # seconds
_AGAIN = 0.1  # seconds until somebody who waits for a lock tries again
_REFUSED = 0.01  # seconds until a connection is refused
_GONE = "server closed the connection unexpectedly"


class Notice(NamedTuple):
    payload: str


class Fates(Protocol):
    """What becomes of calls; may have chance in it."""

    def there(self, process: Process) -> float:
        """Seconds until the database has a call."""

    def back(self, process: Process) -> float:
        """Seconds until its answer comes."""

    def loses_call(self, process: Process) -> bool:
        """Whether the connection breaks before the database has the call."""

    def loses_answer(self, process: Process) -> bool:
        """Whether it breaks before the answer comes."""

    def lingers(self) -> float:
        """Seconds until the database finds that a client is gone."""

    def notice(self) -> float | None:
        """Seconds until a notice comes; None for never."""


class Session:
    """One session in the server. `pid` and `since` tell it from all others."""

    def __init__(self, number: int, real: psycopg.Connection[Any], now: float) -> None:
        self.real = real
        self.pid = real.info.backend_pid
        self.since = float(number)  # when it began, in seconds since the epoch of its own
        self.heard_at = now
        self.over = False
        self.listener: Connection | None = None


class Server:
    """The database's side. `watch` is called after each statement, with what it brought, `heard`
    once a process has its answer, and `noticed` once it has what was announced. `cut_off` is
    called with a session that a statement of another one has ended.
    """

    def __init__(self, database: Database, world: World, fates: Fates) -> None:
        self.fates = fates
        self.sessions: list[Session] = []
        self.started = world.wall() - 1e6
        self.away = False
        self.watch: Callable[[Process, Session, str, Sequence[Any], Answered], None]
        self.watch = lambda *given: None
        self.heard: Callable[[Process, str, Sequence[Any], Answered], None] = lambda *given: None
        self.cut_off: Callable[[Session], None] = lambda session: None
        self.noticed: Callable[[Process, str], None] = lambda *given: None
        self.world = world
        self.database = database
        self._number = 0

    @property
    def moment(self) -> Moment:
        now = self.world.wall()
        sessions = [(each.pid, each.since, each.heard_at) for each in self.sessions]
        return Moment(repr(now), repr(self.started), json.dumps(sessions))

    def begin(self) -> Session:
        self._number += 1
        session = Session(self._number, self.database.borrow(), self.world.wall())
        self.sessions.append(session)
        return session

    def end(self, session: Session) -> None:
        """A session is over, and all that it held is free."""
        if session.over:
            return
        session.over = True
        self.sessions.remove(session)
        self.database.give_back(session.real)
        if session.listener is not None:
            session.listener.wake()

    def carry_out(
        self, process: Process, session: Session, statement: Any, values: Sequence[Any]
    ) -> Answered:
        """A statement has come. Raises what PostgreSQL says."""
        session.heard_at = self.world.wall()
        text = str(statement)
        if "backend_start = %s" in text:  # ends an earlier session of a client
            self._end_of(*values)
        answered = self.database.ask(session.real, self.moment, statement, values)
        if "terminate" in text or " take(" in text:
            for each in list(self.sessions):
                if each is not session and self.database.is_gone(each.real):
                    self.cut_off(each)
                    self.end(each)
        if " draw(" in text and '"hush"' in values[1]:
            self._announce(self.database.notice(session.real))
        self.watch(process, session, text, values, answered)
        return answered

    def _end_of(self, pid: int, since: datetime) -> None:
        """End a session as the statement that follows would, which takes a tenth of a second."""
        for each in list(self.sessions):
            if each.pid == pid and each.since == since.timestamp():
                self.end(each)

    def _announce(self, payload: str) -> None:
        """Tell all who listen; a draw that came again has announced its quiet period already."""
        for each in list(self.sessions) if payload else ():
            if (listener := each.listener) is not None:
                seconds = self.fates.notice()
                if seconds is not None:
                    self.world.after(seconds, lambda to=listener: to.hears(payload))  # type: ignore[misc]

    def restart(self, seconds: float) -> None:
        """It ends all sessions, and is back after so long."""
        self.away = True
        for each in list(self.sessions):
            self.end(each)
        self.world.after(seconds, self._start)

    def _start(self) -> None:
        self.away = False
        self.started = self.world.wall()

    def close(self) -> None:
        for each in list(self.sessions):
            self.end(each)


class Connection:
    """What `psycopg.connect` gives to a process."""

    def __init__(self, server: Server, process: Process) -> None:
        self.prepare_threshold: int | None = None
        self.closed = self.broken = False
        self.process = process
        self._server, self._world = server, server.world
        self._notices: list[str] = []
        self._listens: Fiber | None = None
        process.step("call")
        self._world.sleep(server.fates.there(process))
        if server.away or server.fates.loses_call(process):
            process.suffered = True
            self._world.sleep(_REFUSED)
            raise psycopg.OperationalError("connection refused")
        self.session = server.begin()
        process.connections.append(self)
        self._world.sleep(server.fates.back(process))

    @property
    def info(self) -> _Info:
        return _Info(self.session.real.info.server_version, self.session.pid)

    def execute(self, statement: Any, values: Sequence[Any] = ()) -> Answered:
        """Ask, and wait for the answer. Raises what psycopg raises."""
        if isinstance(statement, composed.Composed):
            return self._set(statement.as_string(None))
        server, process, world = self._server, self.process, self._world
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        sent_at = world.now
        process.step("call")
        world.sleep(server.fates.there(process))
        self._break_if(server.fates.loses_call(process))
        waited = 0.0
        while True:
            try:
                answered = server.carry_out(process, self.session, statement, values)
                break
            except psycopg.errors.LockNotAvailable:
                if waited >= _LOCK_TIMEOUT and "rejoin" not in str(statement):
                    raise
                waited += _AGAIN
                world.sleep(_AGAIN)
                self._break_if(False)
        process.step("carried out")
        lost = server.fates.loses_answer(process)
        world.sleep(server.fates.back(process))
        self._break_if(lost)
        if "pg_is_in_recovery" not in str(statement):  # asked of every new connection
            # One that only listens is another connection, whose answers may come much later.
            process.heard_at = max(process.heard_at, sent_at)
        server.heard(process, str(statement), values, answered)
        return answered

    def close(self) -> None:
        self.client_ends()

    def client_ends(self) -> None:
        """The client is gone; the database finds out a moment later."""
        if not self.closed:
            self.closed = True
            if self in self.process.connections:
                self.process.connections.remove(self)
            self._world.after(self._server.fates.lingers(), lambda: self._server.end(self.session))

    def notifies(self, *, timeout: float, stop_after: int) -> Iterator[Notice]:
        """What was announced, within so many seconds."""
        del stop_after
        until = self._world.now + timeout
        self._listens = self._world.current
        try:
            while not self._notices and self._world.now < until and not self.session.over:
                self._world.wait(until)
        finally:
            self._listens = None
        self._break_if(False)
        while self._notices:
            payload = self._notices.pop(0)
            self._server.noticed(self.process, payload)
            yield Notice(payload)

    def hears(self, payload: str) -> None:
        """A notice has come."""
        if not self.session.over and not self.process.dead:
            self._notices.append(payload)
            self.wake()

    def wake(self) -> None:
        if self._listens is not None:
            self._world.wake(self._listens)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _set(self, statement: str) -> Answered:
        """The path is that of all lives already, and a listener is woken by the simulation."""
        if statement.startswith("LISTEN"):
            self.session.listener = self
        return Answered(None)

    def _break_if(self, lost: bool) -> None:
        if lost or self.session.over or self._server.away:
            self.broken = True
            self.process.suffered = True
            self.client_ends()
            raise psycopg.OperationalError(_GONE)


class _Info(NamedTuple):
    server_version: int
    backend_pid: int
