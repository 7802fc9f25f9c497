"""A real PgBouncer in transaction mode, before a database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.free_port import free_port
from tests.ledger.postgres.server import PostgresServer, ordinary_user

__all__ = ["PGBOUNCER", "running_pooler"]

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""The program; None where it is not installed."""


@contextmanager
def running_pooler(server: PostgresServer) -> Iterator[str]:
    """Yields the database's address behind the pooler."""
    assert PGBOUNCER is not None
    user = ordinary_user() if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="backfill-pgbouncer-"))
    port = free_port()
    (home / "pgbouncer.ini").write_text(
        f"""
[databases]
postgres = host=127.0.0.1 port={server.port} dbname=postgres user=backfill
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
""",
        encoding="utf-8",
    )
    if user is not None:
        home.chmod(0o755)
    process = subprocess.Popen(
        [PGBOUNCER, "-q", str(home / "pgbouncer.ini")],
        user=user,
        cwd=home,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, "the pooler ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"postgresql://backfill@127.0.0.1:{port}/postgres"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home)
