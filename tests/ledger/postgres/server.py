"""A real PostgreSQL for tests: in a directory of its own, on a free port, as an ordinary user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import psycopg

from tests.free_port import free_port

__all__ = ["PostgresServer", "ordinary_user", "why_none"]

_USER = "backfill"


@cache
def _binaries() -> Path | None:
    """Where the server's programs lie: the newest version that is installed."""
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    return next((place for place in places if (place / "initdb").exists()), None)


def why_none() -> str | None:
    """Why no server can be started here; None where one can."""
    if _binaries() is None:
        return "needs PostgreSQL: apt-get install postgresql, or the like"
    if os.geteuid() == 0 and ordinary_user() is None:
        return "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`"
    return None


def ordinary_user() -> str | None:
    """Who can run a server where these tests run as root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


class PostgresServer:
    """Started when made. `address` is what libpq takes."""

    def __init__(self) -> None:
        binaries = _binaries()
        assert binaries is not None
        self._binaries = binaries
        self._user = ordinary_user() if os.geteuid() == 0 else None
        self._home = Path(tempfile.mkdtemp(prefix="backfill-postgres-"))
        if self._user is not None:
            shutil.chown(self._home, self._user)
        self.port = free_port()
        self.address = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"
        self._run(
            "initdb", "-N", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def _data(self) -> str:
        return str(self._home / "data")

    def start(self, **settings: str) -> None:
        """Start it, with settings, and wait until it takes connections."""
        options = {"port": str(self.port), "unix_socket_directories": str(self._home), **settings}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", self._data, *given],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._home,
            )
        deadline = time.monotonic() + 60
        while self._ready() != 0:
            assert self._process.poll() is None, (self._home / "log").read_text()
            assert time.monotonic() < deadline, (self._home / "log").read_text()
            time.sleep(0.05)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The address of one more database, in which a test can change settings for all."""
        name = f"other_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.address, autocommit=True) as raw:
            raw.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            try:
                yield self.address.replace("/postgres", f"/{name}")
            finally:
                raw.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def replace(self, address: str, *, cut: bool = True) -> Callable[[], None]:
        """Have whoever connects to a database of ours only read, as while a primary is replaced.

        With `cut` all connections to it end. Returns what makes it as it was.
        """
        name = address.rpartition("/")[2]

        def ask(statement: str, values: Sequence[str] = ()) -> None:
            with psycopg.connect(self.address, autocommit=True) as raw:
                raw.execute(statement.encode(), values)

        ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        if cut:
            sessions = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            ask(f"SELECT pg_terminate_backend(pid) {sessions}", (name,))
        return partial(ask, f"ALTER DATABASE {name} RESET default_transaction_read_only")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions in good order, SIGQUIT at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def _ready(self) -> int:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-q")
        return subprocess.call([str(self._binaries / "pg_isready"), *where])

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *arguments],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._home,
        )
