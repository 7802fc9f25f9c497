"""What a database must be like to keep the promises of a ledger."""

from __future__ import annotations

from typing import Any

import psycopg

from backfill.core.errors import LedgerAccessError
from backfill.ledger.postgres.errors import in_words

__all__ = ["check_requirements"]

_OLDEST = 140000  # pg_terminate_backend with a time to wait


def check_requirements(connection: psycopg.Connection[Any], where: str) -> None:
    """Raise LedgerAccessError, in words, for a database that cannot keep the promises."""
    version = connection.info.server_version
    if version < _OLDEST:
        raise LedgerAccessError(
            f"the database is PostgreSQL {version // 10000}, and 14 or later is needed",
            where=where,
        )
    with in_words(where):
        found = connection.execute(
            "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('fsync'),"
            " current_setting('synchronous_commit'), current_setting('track_activities'),"
            " current_setting('server_encoding')"
        ).fetchone()
    assert found is not None  # noqa: S101 - a SELECT without FROM has one row
    pid, standby, fsync, synchronous, activities, encoding = found
    if pid != connection.info.backend_pid:
        raise LedgerAccessError(
            "the database is reached through a pooler, such as PgBouncer",
            where=where,
            hint="Locks of a session and LISTEN are lost in transaction mode, and from here no"
            " mode can be told from another. Name the database itself.",
        )
    for wrong, message, hint in (
        (
            encoding != "UTF8",
            f"the database's encoding is {encoding}",
            "Make one whose encoding is UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE"
            " template0.",
        ),
        (standby, "the database is a standby, which can only be read", "Name the primary."),
        (
            "off" in (fsync, synchronous),
            "the database does not keep what it was told: "
            + ("fsync" if fsync == "off" else "synchronous_commit")
            + " is off",
            "Set it to on, for this database or this user at least: an intent that a loss of"
            " power takes along would be sent twice.",
        ),
        (
            activities == "off",
            "track_activities is off, so nobody can tell which deliverer is alive",
            "Set it to on.",
        ),
    ):
        if wrong:
            raise LedgerAccessError(message, where=where, hint=hint)
