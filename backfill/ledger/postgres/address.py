"""Where the database is, as messages name it, and the password for it, which no address holds."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from backfill.core.errors import ConfigError

__all__ = ["noticing_silence", "password", "place_of"]

_PASSWORD_FILE = "PGPASSWORD_FILE"  # noqa: S105 - the name of a variable

_SILENCE = {
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 3,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}


def noticing_silence(address: str) -> str:
    """The same address, for a connection that breaks within 20 s where the network is silent.

    A kernel waits for 15 minutes for what it has sent, and for 2 hours where it has nothing to
    send. What the address says itself holds.
    """
    said = conninfo_to_dict(address)
    return make_conninfo(
        address, **{name: value for name, value in _SILENCE.items() if name not in said}
    )


def place_of(address: str) -> str:
    """A database as messages name it. Raises ConfigError for a password in the address."""
    try:
        parts = conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"it is no address of a database: {str(error).strip()}",
            where="[cluster] ledger",
            hint="Write it as postgresql://host:port/database.",
        ) from None
    if parts.get("password"):
        raise ConfigError(
            "a password stands in the address of the database",
            where="[cluster] ledger",
            hint="Take it out, and set PGPASSWORD or write it to ~/.pgpass.",
        )
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


def password() -> str | None:
    """What `PGPASSWORD_FILE` holds; libpq itself looks into PGPASSWORD and ~/.pgpass."""
    path = os.environ.get(_PASSWORD_FILE)
    if not path or os.environ.get("PGPASSWORD"):
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the password's file cannot be read: {type(error).__name__}",
            where=f"{_PASSWORD_FILE}={path}",
            hint="Check its path and permissions, or set PGPASSWORD.",
        ) from None
