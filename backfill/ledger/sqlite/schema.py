"""The ledger's tables, and how those of an older version become today's.

A record without a `span` is pending. A span says that the positions `start` up to, not
including, `stop` of a bucket came to rest in one state, for one cause and reason; spans of a
bucket never overlap. A `flight` is an intent: its records are about to be sent, or were, and
nothing is known about them yet. `total` holds what the spans and intents of a bucket add up to,
and `life` the number of transactions, both changed by each of them. An `attempt` is a request that
left its records pending; it tells a record's story and decides nothing.

Two functions of our own are known to every connection: `new_identity()`, the random name of this
ledger that its mark bears, too, and `digest(text)`, by which a damaged fact is noticed.

Parameters are plain question marks: Python 3.12 takes numbered ones for named ones, and warns.
"""

from __future__ import annotations

from collections.abc import Mapping

from backfill.ledger.statements import RECOUNT

__all__ = ["APPLICATION", "MARKED", "MIGRATIONS", "SCHEMA", "VERSION"]

APPLICATION = 0x6266696C  # "bfil": tells our file from any other SQLite file
VERSION = 2
MARKED = 2  # from this version on a ledger has a mark

_TOTALS = """
CREATE TABLE total (
    bucket    INTEGER PRIMARY KEY,
    spans     INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    unknown   INTEGER NOT NULL,
    in_flight INTEGER NOT NULL,
    weight    INTEGER NOT NULL
);

CREATE TABLE life (
    identity TEXT    NOT NULL,
    commits  INTEGER NOT NULL
);
"""
_ATTEMPTS = """
CREATE TABLE attempt (
    number      INTEGER PRIMARY KEY,
    bucket      INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    stop        INTEGER NOT NULL,
    http_status INTEGER,
    reason      TEXT    NOT NULL,
    request_id  TEXT,
    at          REAL    NOT NULL
);

CREATE INDEX attempt_by_position ON attempt (bucket, start);
"""
_CAUSE = "TEXT NOT NULL DEFAULT 'reply' CHECK (cause IN ('reply', 'lost', 'by_hand'))"

SCHEMA = f"""
CREATE TABLE span (
    bucket      INTEGER NOT NULL,
    start       INTEGER NOT NULL CHECK (start >= 0),
    stop        INTEGER NOT NULL CHECK (stop > start),
    state       TEXT    NOT NULL CHECK (state IN ('delivered', 'failed', 'unknown')),
    http_status INTEGER,
    reason      TEXT    NOT NULL,
    request_id  TEXT,
    at          REAL    NOT NULL,
    cause       {_CAUSE},
    PRIMARY KEY (bucket, start)
) WITHOUT ROWID;

CREATE TABLE flight (
    bucket INTEGER NOT NULL,
    start  INTEGER NOT NULL CHECK (start >= 0),
    stop   INTEGER NOT NULL CHECK (stop > start),
    lane   INTEGER NOT NULL,
    PRIMARY KEY (bucket, start)
) WITHOUT ROWID;

CREATE TABLE tick (
    at        INTEGER PRIMARY KEY,
    sent      INTEGER NOT NULL,
    throttled INTEGER NOT NULL,
    retried   INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    unknown   INTEGER NOT NULL
);

CREATE TABLE latency (
    at      INTEGER NOT NULL,
    slot    INTEGER NOT NULL,
    replies INTEGER NOT NULL,
    PRIMARY KEY (at, slot)
) WITHOUT ROWID;

CREATE TABLE fact (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    digest INTEGER
) WITHOUT ROWID;

{_ATTEMPTS}
{_TOTALS}
INSERT INTO life (identity, commits) VALUES (new_identity(), 0);

PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""  # noqa: S608 - words and numbers of our own

MIGRATIONS: Mapping[int, str] = {
    1: f"""
ALTER TABLE span ADD COLUMN cause {_CAUSE};
UPDATE span SET cause = 'lost'
WHERE state = 'unknown' AND reason = 'the program ended before the reply was written down';
UPDATE span SET cause = 'by_hand' WHERE reason LIKE 'settled by hand as %';

ALTER TABLE fact ADD COLUMN digest INTEGER;
UPDATE fact SET digest = digest(name || '=' || value);

{_ATTEMPTS}
{_TOTALS}
{RECOUNT};
INSERT INTO life (identity, commits) VALUES (new_identity(), 0);
""",  # noqa: S608 - words and numbers of our own
}
"""For an older version that is still understood: the script that makes it one version newer."""
