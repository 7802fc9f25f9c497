"""The ledger's statements, each with a name and a purpose; its tables stand in `schema.py`.

Parameters are plain question marks: Python 3.12 takes numbered ones for named ones, and warns.
"""

from __future__ import annotations

from backfill.ledger.totals import FLIGHT_WEIGHT, SPAN_WEIGHT

__all__ = [
    "ADD_ATTEMPT",
    "ADD_TOTAL",
    "ATTEMPTS",
    "CLEAR_TOTALS",
    "COMMITTED",
    "COUNTS",
    "COUNT_DECIDED",
    "COUNT_RECOVERED",
    "DELETE_ALL_INTENTS",
    "DELETE_INTENT",
    "EXTEND",
    "FORGET",
    "FORGET_SPAN",
    "FOUND",
    "INSERT_INTENT",
    "IN_FLIGHT",
    "KEEP_ATTEMPTS",
    "KNOWN",
    "LATENCIES",
    "LATENCY",
    "LOST_WORDS",
    "NOTED",
    "OBSTACLE",
    "OUTCOMES",
    "OUTCOMES_IN_STATE",
    "RECALL",
    "RECOUNT",
    "RECOVER",
    "REMEMBER",
    "REQUESTS",
    "REWRITE",
    "SETTLE",
    "SETTLED",
    "SPANS_IN_STATE",
    "SPAN_BEFORE",
    "TICK",
    "TICKS",
]

LOST_WORDS = "the program ended before the reply was written down"
"""What is said of records that were in flight when a process ended."""

# --- in the course of a run ------------------------------------------------------------------

INSERT_INTENT = """
INSERT OR IGNORE INTO flight (bucket, start, stop, lane) VALUES (?, ?, ?, CASE WHEN
        coalesce((SELECT stop FROM span   WHERE bucket = ? AND start < ?
                  ORDER BY start DESC LIMIT 1), 0) <= ?
    AND coalesce((SELECT stop FROM flight WHERE bucket = ? AND start < ?
                  ORDER BY start DESC LIMIT 1), 0) <= ? THEN ? END)
"""
"""Write an intent down, if all its positions are pending and in no other intent.

The parameters are bucket, start and stop, then twice bucket, stop and start, then the lane: an
intent without one is ignored. Spans do not overlap, nor do flights, so the last one that begins
before our end reaches furthest, and one look at each tree is enough however large they are. A
SELECT in the place of VALUES would first be copied to a table of its own, for a third more time.
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
INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, cause, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
"""Records came to rest, and the ones before them did not do so in the same way."""

EXTEND = "UPDATE span SET stop = ?, at = ? WHERE bucket = ? AND start = ? AND stop = ?"
"""Records came to rest in the same way as the ones before them."""

ADD_ATTEMPT = """
INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
"""A request left records pending; kept for their story."""

_DECIDED = "state = ? AND cause = coalesce(?, cause)"  # of None every cause
_SAID = "coalesce(? || CASE reason WHEN '' THEN '' ELSE ' (before: ' || reason || ')' END, reason)"

KEEP_ATTEMPTS = f"""
INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
SELECT bucket, start, stop, http_status, {_SAID}, request_id, at
FROM span WHERE {_DECIDED} ORDER BY bucket, start
"""  # noqa: S608 - words of our own
"""What is to be pending again by a decision has been in a request; kept for its story."""

ATTEMPTS = """
SELECT at, stop - start, http_status, reason, request_id FROM attempt
WHERE bucket = ? AND start <= ? AND stop > ? ORDER BY number
"""
"""The requests that a position was in and that left it pending, in order."""

SPAN_BEFORE = """
SELECT start, stop, state, http_status, reason, request_id, cause FROM span
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

ADD_TOTAL = """
INSERT INTO total (bucket, spans, delivered, failed, unknown, in_flight, weight)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (bucket) DO UPDATE SET
    spans     = spans     + excluded.spans,
    delivered = delivered + excluded.delivered,
    failed    = failed    + excluded.failed,
    unknown   = unknown   + excluded.unknown,
    in_flight = in_flight + excluded.in_flight,
    weight    = weight    + excluded.weight
"""
"""Note beside the spans what they have come to add up to."""

COMMITTED = "UPDATE life SET commits = commits + 1 RETURNING commits"
"""Count a transaction; the number goes into the mark."""

# --- when a ledger is opened -----------------------------------------------------------------

KNOWN = "SELECT identity, commits FROM life"
"""What the ledger says of itself, to be compared with its mark."""

FOUND = f"""
SELECT bucket, sum(spans), sum(delivered), sum(failed), sum(unknown), sum(in_flight), sum(weight)
FROM (
    SELECT bucket, count(*) AS spans,
           sum(CASE state WHEN 'delivered' THEN stop - start ELSE 0 END) AS delivered,
           sum(CASE state WHEN 'failed'    THEN stop - start ELSE 0 END) AS failed,
           sum(CASE state WHEN 'unknown'   THEN stop - start ELSE 0 END) AS unknown,
           0 AS in_flight, sum({SPAN_WEIGHT}) AS weight
    FROM span GROUP BY bucket
    UNION ALL
    SELECT bucket, 0, 0, 0, 0, sum(stop - start), sum({FLIGHT_WEIGHT}) FROM flight GROUP BY bucket
) AS entries GROUP BY bucket
"""  # noqa: S608 - numbers and words of our own
"""What the spans and intents of each bucket add up to."""

NOTED = "SELECT bucket, spans, delivered, failed, unknown, in_flight, weight FROM total"
"""What they should add up to."""

CLEAR_TOTALS = "DELETE FROM total"
"""Before they are added up anew, because a decision changed many spans at once."""

RECOUNT = f"""
INSERT INTO total (bucket, spans, delivered, failed, unknown, in_flight, weight) {FOUND}
"""
"""Add up anew what a decision changed; the spans were compared when the ledger was opened."""

IN_FLIGHT = "SELECT CAST(coalesce(sum(stop - start), 0) AS BIGINT) FROM flight"
"""How many records are in an intent."""

RECOVER = """
INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, cause, at)
SELECT bucket, start, stop, 'unknown', NULL, ?, NULL, 'lost', ? FROM flight
"""
"""Make unknown what a process that is gone had in flight."""

COUNT_RECOVERED = """
INSERT INTO tick (at, sent, throttled, retried, delivered, failed, unknown)
SELECT coalesce((SELECT max(at) FROM tick), ?), count(*), 0, 0, 0, 0, 0
FROM (SELECT DISTINCT bucket, lane FROM flight) WHERE true
ON CONFLICT (at) DO UPDATE SET sent = sent + excluded.sent
"""
"""Count their requests, which may have left, when the last thing was heard of that process."""

DELETE_ALL_INTENTS = "DELETE FROM flight"
"""The intents that were just settled are none any more."""

# --- looking things up -----------------------------------------------------------------------

SETTLED = "SELECT start, stop FROM span WHERE bucket = ? ORDER BY start"
"""Where in a bucket nothing is left to do."""

COUNTS = "SELECT state, CAST(sum(stop - start) AS BIGINT) FROM span GROUP BY state"
"""How many records are in each state."""

OUTCOMES = """
SELECT bucket, start, stop, state, http_status, reason, request_id, cause, at FROM span
WHERE (bucket, start) > (?, ?) ORDER BY bucket, start LIMIT ?
"""
"""A page of all spans, after a given one."""

OUTCOMES_IN_STATE = """
SELECT bucket, start, stop, state, http_status, reason, request_id, cause, at FROM span
WHERE (bucket, start) > (?, ?) AND state = ? ORDER BY bucket, start LIMIT ?
"""
"""A page of the spans in one state, after a given one."""

REQUESTS = """
SELECT CAST(coalesce(sum(sent), 0) AS BIGINT)
       + (SELECT count(*) FROM (SELECT DISTINCT bucket, lane FROM flight) AS requests),
       CAST(coalesce(sum(throttled), 0) AS BIGINT), CAST(coalesce(sum(retried), 0) AS BIGINT)
FROM tick
"""
"""The requests of all runs. Those in flight count as sent: their bytes may have left."""

TICKS = "SELECT at, sent, throttled, retried, delivered, failed, unknown FROM tick ORDER BY at"
"""Every slice of time, in order."""

LATENCIES = "SELECT at, slot, replies FROM latency ORDER BY at, slot"
"""The durations of replies in every slice of time, in order."""

# --- settling by hand ------------------------------------------------------------------------

COUNT_DECIDED = f"SELECT coalesce(sum(stop - start), 0) FROM span WHERE {_DECIDED}"  # noqa: S608
"""How many records a decision concerns: all of one state, or of one cause in it."""

FORGET = f"DELETE FROM span WHERE {_DECIDED}"  # noqa: S608 - words of our own
"""Make them pending again."""

SPANS_IN_STATE = """
SELECT start, stop, http_status, reason, request_id, cause, at FROM span
WHERE bucket = ? AND state = ? ORDER BY start
"""
"""The ranges of a bucket that a decision about some positions may concern."""

FORGET_SPAN = "DELETE FROM span WHERE bucket = ? AND start = ? AND stop = ?"
"""Make room for the pieces of a range that a decision concerns in part."""

REWRITE = f"""
UPDATE span SET state = ?, at = ?, cause = 'by_hand', reason = {_SAID} WHERE {_DECIDED}
"""  # noqa: S608 - words of our own
"""Move them to another state, keeping the words that were known about them."""

# --- small facts -----------------------------------------------------------------------------

REMEMBER = """
INSERT INTO fact (name, value, digest) SELECT name, value, digest(name || '=' || value)
FROM (SELECT ? AS name, ? AS value) WHERE true
ON CONFLICT (name) DO UPDATE SET value = excluded.value, digest = excluded.digest
"""
"""Keep a small fact, instead of what it was before."""

RECALL = "SELECT value, digest IS digest(name || '=' || value) FROM fact WHERE name = ?"
"""A small fact, and whether it is as it was written."""
