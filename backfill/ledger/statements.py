"""All SQL of the ledger: its schema, and each statement with a name and a purpose.

A record without a `span` is pending. A span says that the positions `start` up to, not
including, `stop` of a bucket came to rest in one state for one reason; spans of a bucket never
overlap. A `flight` is an intent: its records are about to be sent, or were, and nothing is
known about them yet.

Parameters are plain question marks: Python 3.12 takes numbered ones for named ones, and warns.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "APPLICATION",
    "COUNTS",
    "COUNT_IN_STATE",
    "COUNT_LOST",
    "DELETE_ALL_INTENTS",
    "DELETE_INTENT",
    "EXTEND",
    "FORGET",
    "FORGET_LOST",
    "INSERT_INTENT",
    "IN_FLIGHT",
    "LATENCIES",
    "LATENCY",
    "MIGRATIONS",
    "OBSTACLE",
    "OUTCOMES",
    "OUTCOMES_IN_STATE",
    "RECALL",
    "RECOVER",
    "REMEMBER",
    "REQUESTS",
    "REWRITE",
    "SCHEMA",
    "SETTLE",
    "SETTLED",
    "SPAN_BEFORE",
    "TICK",
    "TICKS",
    "VERSION",
]

APPLICATION = 0x6266696C  # "bfil": tells our file from any other SQLite file
VERSION = 1

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
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""

MIGRATIONS: Mapping[int, str] = {}
"""For an older version that is still understood: the script that makes it one version newer."""

# --- in the course of a run ------------------------------------------------------------------

INSERT_INTENT = """
INSERT INTO flight (bucket, start, stop, lane)
SELECT place, low, high, number FROM (SELECT ? AS place, ? AS low, ? AS high, ? AS number)
WHERE coalesce((SELECT stop FROM span   WHERE bucket = place AND start < high
                ORDER BY start DESC LIMIT 1), 0) <= low
  AND coalesce((SELECT stop FROM flight WHERE bucket = place AND start < high
                ORDER BY start DESC LIMIT 1), 0) <= low
"""
"""Write an intent down, if all its positions are pending and in no other intent.

Spans do not overlap, nor do flights, so the last one that begins before our end reaches
furthest, and one look at each tree is enough however large they are.
"""

OBSTACLE = """
WITH wanted (place, low, high) AS (SELECT ?, ?, ?)
SELECT start, stop, state FROM (
    SELECT bucket, start, stop, state                FROM span
    UNION ALL
    SELECT bucket, start, stop, 'in flight' AS state FROM flight
), wanted WHERE bucket = place AND start < high AND stop > low ORDER BY start LIMIT 1
"""
"""What keeps an intent from being written down, for the error message."""

DELETE_INTENT = "DELETE FROM flight WHERE bucket = ? AND start = ? AND stop = ? AND lane = ?"
"""Take one range of an intent back, because its request has ended."""

SETTLE = """
INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
"""Records came to rest, and the ones before them did not do so in the same way."""

EXTEND = "UPDATE span SET stop = ?, at = ? WHERE bucket = ? AND start = ? AND stop = ?"
"""Records came to rest in the same way as the ones before them."""

SPAN_BEFORE = """
SELECT start, stop, state, http_status, reason, request_id FROM span
WHERE bucket = ? AND start < ? ORDER BY start DESC LIMIT 1
"""
"""The span that an outcome may extend."""

TICK = """
INSERT INTO tick (at, sent, throttled, retried, delivered, failed, unknown)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (at) DO UPDATE SET
    sent      = sent      + excluded.sent,
    throttled = throttled + excluded.throttled,
    retried   = retried   + excluded.retried,
    delivered = delivered + excluded.delivered,
    failed    = failed    + excluded.failed,
    unknown   = unknown   + excluded.unknown
"""
"""Add up what happened in a slice of time."""

LATENCY = """
INSERT INTO latency (at, slot, replies) VALUES (?, ?, ?)
ON CONFLICT (at, slot) DO UPDATE SET replies = replies + excluded.replies
"""
"""Add up the replies of one duration in a slice of time."""

# --- when a ledger is opened -----------------------------------------------------------------

IN_FLIGHT = "SELECT coalesce(sum(stop - start), 0) FROM flight"
"""How many records are in an intent."""

RECOVER = """
INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, at)
SELECT bucket, start, stop, 'unknown', NULL, ?, NULL, ? FROM flight
"""
"""Nobody is left to hear the replies to these intents."""

DELETE_ALL_INTENTS = "DELETE FROM flight"
"""The intents that were just settled are none any more."""

# --- looking things up -----------------------------------------------------------------------

SETTLED = "SELECT start, stop FROM span WHERE bucket = ? ORDER BY start"
"""Where in a bucket nothing is left to do."""

COUNTS = "SELECT state, sum(stop - start) FROM span GROUP BY state"
"""How many records are in each state."""

OUTCOMES = """
SELECT bucket, start, stop, state, http_status, reason, request_id, at FROM span
WHERE (bucket, start) > (?, ?) ORDER BY bucket, start LIMIT ?
"""
"""A page of all spans, after a given one."""

OUTCOMES_IN_STATE = """
SELECT bucket, start, stop, state, http_status, reason, request_id, at FROM span
WHERE (bucket, start) > (?, ?) AND state = ? ORDER BY bucket, start LIMIT ?
"""
"""A page of the spans in one state, after a given one."""

REQUESTS = """
SELECT coalesce(sum(sent), 0), coalesce(sum(throttled), 0), coalesce(sum(retried), 0) FROM tick
"""
"""The requests of all runs."""

TICKS = "SELECT at, sent, throttled, retried, delivered, failed, unknown FROM tick ORDER BY at"
"""Every slice of time, in order."""

LATENCIES = "SELECT at, slot, replies FROM latency ORDER BY at, slot"
"""The durations of replies in every slice of time, in order."""

# --- settling by hand ------------------------------------------------------------------------

COUNT_IN_STATE = "SELECT coalesce(sum(stop - start), 0) FROM span WHERE state = ?"
"""How many records a decision by hand concerns."""

FORGET = "DELETE FROM span WHERE state = ?"
"""Make all records of one state pending again."""

COUNT_LOST = (
    "SELECT coalesce(sum(stop - start), 0) FROM span WHERE state = 'unknown' AND reason = ?"
)
"""How many records were in flight when a program ended."""

FORGET_LOST = "DELETE FROM span WHERE state = 'unknown' AND reason = ?"
"""Make those pending again, as the guarantee to deliver at least once asks for."""

REWRITE = """
UPDATE span SET state = ?, at = ?,
                reason = ? || CASE reason WHEN '' THEN '' ELSE ' (before: ' || reason || ')' END
WHERE state = ?
"""
"""Move all records of one state to another, keeping the words that were known about them."""

# --- small facts -----------------------------------------------------------------------------

REMEMBER = """
INSERT INTO fact (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
"""Keep a small fact, instead of what it was before."""

RECALL = "SELECT value FROM fact WHERE name = ?"
"""A small fact."""
