"""The tables and functions of one job's ledger, in a PostgreSQL schema of its own.

They are those of SQLite's, so both are read by the same statements, and besides: `owner`, who may
write for a bucket, by an epoch that each taking raises; `held`, lanes in which a request of a lost
owner may still be on its way; `deliverer`, the processes of a run and the number of each one's last
commit; `budget`, what all of them may send together.

Every change is one call of a function: nobody can be stopped in the middle of a transaction while
it holds the locks of rows.
"""

from __future__ import annotations

from backfill.ledger.postgres.budget_functions import BUDGET
from backfill.ledger.postgres.errors import CONTRADICTION, LOST, TOO_SOON
from backfill.ledger.postgres.owner_functions import OWNERSHIP

__all__ = ["SCHEMA", "VERSION"]

VERSION = 1


_TABLES = f"""
CREATE TABLE version (number integer NOT NULL);
INSERT INTO version VALUES ({VERSION});

CREATE TABLE span (
    bucket      integer NOT NULL,
    start       bigint  NOT NULL CHECK (start >= 0),
    stop        bigint  NOT NULL CHECK (stop > start),
    state       text    NOT NULL CHECK (state IN ('delivered', 'failed', 'unknown')),
    http_status integer,
    reason      text    NOT NULL,
    request_id  text,
    cause       text    NOT NULL CHECK (cause IN ('reply', 'lost', 'by_hand')),
    at          double precision NOT NULL,
    PRIMARY KEY (bucket, start)
) WITH (fillfactor = 50);  -- a span that grows finds room beside its old version
CREATE TABLE flight (
    bucket integer NOT NULL,
    start  bigint  NOT NULL CHECK (start >= 0),
    stop   bigint  NOT NULL CHECK (stop > start),
    lane   integer NOT NULL,
    PRIMARY KEY (bucket, start)
);
CREATE TABLE total (
    bucket    integer PRIMARY KEY,
    spans     bigint NOT NULL,
    delivered bigint NOT NULL,
    failed    bigint NOT NULL,
    unknown   bigint NOT NULL,
    in_flight bigint NOT NULL,
    weight    bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE tick (
    at bigint PRIMARY KEY, sent bigint NOT NULL, throttled bigint NOT NULL,
    retried bigint NOT NULL, delivered bigint NOT NULL, failed bigint NOT NULL,
    unknown bigint NOT NULL
);
CREATE TABLE latency (
    at bigint NOT NULL, slot integer NOT NULL, replies bigint NOT NULL, PRIMARY KEY (at, slot)
);
CREATE TABLE fact (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE attempt (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket      integer NOT NULL,
    start       bigint  NOT NULL,
    stop        bigint  NOT NULL,
    http_status integer,
    reason      text    NOT NULL,
    request_id  text,
    at          double precision NOT NULL
);
CREATE INDEX attempt_of ON attempt (bucket, start);
"""  # noqa: S608 - numbers and words of our own

_COMMIT = f"""
CREATE FUNCTION intents(given jsonb)
RETURNS TABLE (bucket integer, low bigint, high bigint, lane integer)
LANGUAGE sql IMMUTABLE ROWS 64 AS $$
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, (e->>3)::integer
    FROM jsonb_array_elements(given) e
$$;

-- Says which of these intents meets what; those that meet nothing are written down already.
CREATE FUNCTION refuse_start(started jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    met record;
BEGIN
    SELECT e.*, there.start, there.stop, there.state INTO met FROM intents(started) e, LATERAL (
        SELECT s.start, s.stop, s.state FROM span s WHERE s.bucket = e.bucket
        UNION ALL
        SELECT f.start, f.stop, 'in flight' FROM flight f
        WHERE f.bucket = e.bucket AND (f.start, f.stop) <> (e.low, e.high)
    ) there WHERE there.start < e.high AND there.stop > e.low
    ORDER BY there.start LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'two started batches overlap' USING ERRCODE = '{CONTRADICTION}';
    END IF;
    RAISE EXCEPTION 'bucket %, lane % starts % to %, and % to % is %', met.bucket, met.lane,
          met.low, met.high, met.start, met.stop, met.state USING ERRCODE = '{CONTRADICTION}';
END $$;

CREATE FUNCTION write_down(by_whom text, number bigint, moment double precision, given jsonb)
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    n       bigint;
    longest bigint := given->'longest';
BEGIN
    SELECT count(*) INTO n FROM (
        SELECT 1 FROM owner o, jsonb_array_elements(given->'owned') e
        WHERE o.bucket = (e->>0)::integer AND o.epoch = (e->>1)::bigint FOR SHARE OF o
    ) held;
    IF n <> jsonb_array_length(given->'owned') THEN
        RAISE EXCEPTION 'a bucket is not this process''s any more' USING ERRCODE = '{LOST}';
    END IF;

    DELETE FROM flight f USING jsonb_array_elements(given->'settled') e
    WHERE f.bucket = (e->>0)::integer AND f.start = (e->>1)::bigint
      AND f.stop = (e->>2)::bigint AND f.lane = (e->>3)::integer;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> jsonb_array_length(given->'settled') THEN
        RAISE EXCEPTION 'an intent that was written down is not there any more'
              USING ERRCODE = '{CONTRADICTION}';
    END IF;

    UPDATE span s SET stop = (e->>0)::bigint,
                      at = coalesce(moment, extract(epoch FROM clock_timestamp()))
    FROM jsonb_array_elements(given->'extended') e
    WHERE s.bucket = (e->>1)::integer AND s.start = (e->>2)::bigint AND s.stop = (e->>3)::bigint;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> jsonb_array_length(given->'extended') THEN
        RAISE EXCEPTION 'a span that was written down is not there any more'
              USING ERRCODE = '{CONTRADICTION}';
    END IF;

    INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, cause, at)
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, e->>3, (e->>4)::integer, e->>5,
           e->>6, e->>7, coalesce(moment, extract(epoch FROM clock_timestamp()))
    FROM jsonb_array_elements(given->'fresh') e;

    -- Intents that ended lie in the index until PostgreSQL clears it, so none is looked for
    -- further away than the longest one reaches.
    INSERT INTO flight (bucket, start, stop, lane)
    SELECT e.bucket, e.low, e.high, e.lane FROM (
        SELECT e.*, lag(e.high, 1, 0::bigint) OVER (PARTITION BY e.bucket ORDER BY e.low) AS before
        FROM intents(given->'started') e
    ) e
    WHERE e.before <= e.low
      AND coalesce((SELECT s.stop FROM span s WHERE s.bucket = e.bucket
                    AND s.start < e.high ORDER BY s.start DESC LIMIT 1), 0) <= e.low
      AND NOT EXISTS (SELECT 1 FROM flight f WHERE f.bucket = e.bucket AND f.stop > e.low
                      AND f.start > e.low - longest AND f.start < e.high);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> jsonb_array_length(given->'started') THEN
        PERFORM refuse_start(given->'started');
    END IF;

    INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, (e->>3)::integer, e->>4, e->>5,
           coalesce(moment, extract(epoch FROM clock_timestamp()))
    FROM jsonb_array_elements(given->'attempts') e;

    INSERT INTO total AS t
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, (e->>3)::bigint, (e->>4)::bigint,
           (e->>5)::bigint, (e->>6)::bigint
    FROM jsonb_array_elements(given->'totals') e
    ON CONFLICT (bucket) DO UPDATE SET
        spans = t.spans + excluded.spans, delivered = t.delivered + excluded.delivered,
        failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown,
        in_flight = t.in_flight + excluded.in_flight, weight = t.weight + excluded.weight;

    INSERT INTO tick AS t
    SELECT (e->>0)::bigint, (e->>1)::bigint, (e->>2)::bigint, (e->>3)::bigint, (e->>4)::bigint,
           (e->>5)::bigint, (e->>6)::bigint
    FROM jsonb_array_elements(given->'tick') e
    ON CONFLICT (at) DO UPDATE SET
        sent = t.sent + excluded.sent, throttled = t.throttled + excluded.throttled,
        retried = t.retried + excluded.retried, delivered = t.delivered + excluded.delivered,
        failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown;
    INSERT INTO latency AS l
    SELECT (e->>0)::bigint, (e->>1)::integer, (e->>2)::bigint
    FROM jsonb_array_elements(given->'latency') e
    ON CONFLICT (at, slot) DO UPDATE SET replies = l.replies + excluded.replies;

    INSERT INTO fact SELECT e->>0, e->>1 FROM jsonb_array_elements(given->'facts') e
    ON CONFLICT (name) DO UPDATE SET value = excluded.value;

    INSERT INTO deliverer (name, commits) VALUES (by_whom, number)
    ON CONFLICT (name) DO UPDATE SET commits = number;
END $$;
"""  # noqa: S608 - numbers and words of our own

_DECIDED = "s.state = from_state AND s.cause = coalesce(only_cause, s.cause)"
_SAID = (
    "coalesce(words || CASE s.reason WHEN '' THEN '' ELSE ' (before: ' || s.reason || ')' END,"
    " s.reason)"
)

_DECISIONS = f"""
-- A decision by hand: nothing may be in flight, nor may another process hold a bucket.
CREATE FUNCTION refuse_company() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE owner IN EXCLUSIVE MODE;
    IF EXISTS (SELECT 1 FROM flight) OR EXISTS (
        SELECT 1 FROM locks() WHERE pid <> pg_backend_pid()
    ) THEN
        RAISE EXCEPTION 'requests are in flight' USING ERRCODE = '{CONTRADICTION}';
    END IF;
END $$;

-- Nobody sends again what a request of a lost owner may still bring.
CREATE FUNCTION refuse_too_soon() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    last timestamptz := (SELECT max(until) FROM held);
BEGIN
    IF last > clock_timestamp() THEN
        RAISE EXCEPTION '%', ceil(extract(epoch FROM last - clock_timestamp()))::integer
              USING ERRCODE = '{TOO_SOON}';
    END IF;
END $$;

CREATE FUNCTION decide_chosen(forgotten jsonb, fresh jsonb, resend boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM refuse_company();
    IF resend THEN
        PERFORM refuse_too_soon();
    END IF;
    DELETE FROM span s USING jsonb_array_elements(forgotten) e
    WHERE s.bucket = (e->>0)::integer AND s.start = (e->>1)::bigint AND s.stop = (e->>2)::bigint;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> jsonb_array_length(forgotten) THEN
        RAISE EXCEPTION 'somebody else settled records meanwhile'
              USING ERRCODE = '{CONTRADICTION}';
    END IF;
    INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, cause, at)
    SELECT (e->>0)::integer, (e->>1)::bigint, (e->>2)::bigint, e->>3, (e->>4)::integer, e->>5,
           e->>6, e->>7, (e->>8)::float8
    FROM jsonb_array_elements(fresh) e;
    PERFORM recount_all();
END $$;

CREATE FUNCTION decide(from_state text, to_state text, only_cause text, words text,
                       moment double precision)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM refuse_company();
    IF from_state = 'unknown' AND to_state = 'pending' THEN
        PERFORM refuse_too_soon();
    END IF;
    SELECT coalesce(sum(s.stop - s.start), 0) INTO n FROM span s WHERE {_DECIDED};
    IF to_state = 'pending' THEN
        INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
        SELECT s.bucket, s.start, s.stop, s.http_status, {_SAID}, s.request_id, s.at
        FROM span s WHERE {_DECIDED} ORDER BY s.bucket, s.start;
        DELETE FROM span s WHERE {_DECIDED};
    ELSE
        UPDATE span s SET state = to_state, cause = 'by_hand',
               at = coalesce(moment, extract(epoch FROM clock_timestamp())), reason = {_SAID}
        WHERE {_DECIDED};
    END IF;
    PERFORM recount_all();
    RETURN n;
END $$;
"""  # noqa: S608 - numbers and words of our own

SCHEMA = _TABLES + OWNERSHIP + BUDGET + _COMMIT + _DECISIONS
