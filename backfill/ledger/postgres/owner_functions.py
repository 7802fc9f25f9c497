"""Who may write for a bucket: taking, taking over, giving back, and what a lost owner left behind.

A bucket's owner holds an advisory lock on the connection that commits, so it ends with the process
or its connection. A bucket that was given back has an owner without a name.
"""

from __future__ import annotations

from backfill.ledger.postgres.errors import LOST
from backfill.ledger.statements import FOUND as _SQLITES
from backfill.ledger.statements import LOST_WORDS

__all__ = ["FOUND", "LOST_AS_UNKNOWN", "OWNERSHIP"]

FOUND = _SQLITES.replace("instr(", "strpos(")

LOST_AS_UNKNOWN = f"""
WITH span AS (
    SELECT bucket, start, stop, state, http_status, reason, request_id, cause, at FROM span
    UNION ALL
    SELECT bucket, start, stop, 'unknown', NULL, '{LOST_WORDS}', NULL, 'lost',
           extract(epoch FROM now())::float8
    FROM flight
), tick AS (
    SELECT at, sum(sent)::bigint AS sent, sum(throttled)::bigint AS throttled,
           sum(retried)::bigint AS retried, sum(delivered)::bigint AS delivered,
           sum(failed)::bigint AS failed, sum(unknown)::bigint AS unknown
    FROM (
        SELECT at, sent, throttled, retried, delivered, failed, unknown FROM tick
        UNION ALL
        SELECT coalesce((SELECT max(at) FROM tick), extract(epoch FROM now())::bigint),
               count(DISTINCT (bucket, lane)), 0, 0, 0, 0, 0
        FROM flight HAVING count(*) > 0
    ) AS counted GROUP BY at
), flight AS (SELECT * FROM flight WHERE false)
"""  # noqa: S608 - words of our own
"""Stands before a question to read what dead deliverers left in flight as it will be settled: the
records as unknown, and their requests as sent when something was heard of the job last.
"""

OWNERSHIP = f"""
CREATE TABLE owner (
    bucket   integer PRIMARY KEY,
    epoch    bigint NOT NULL,
    name     text NOT NULL,
    hold     double precision NOT NULL,  -- seconds for which a request of it may be on its way
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE held (
    bucket integer NOT NULL, lane integer NOT NULL, until timestamptz NOT NULL,
    PRIMARY KEY (bucket, lane)
);

CREATE FUNCTION lock_key(b integer) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (current_schema()::regnamespace::oid::bigint << 24) | b
$$;

-- The locks of this job that somebody has: the buckets, and beside them the run itself.
CREATE FUNCTION locks() RETURNS TABLE (bucket integer, pid integer, shared boolean)
LANGUAGE sql VOLATILE AS $$
    SELECT (objid::bigint & 16777215)::integer, l.pid, mode = 'ShareLock' FROM pg_locks l
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND ((classid::bigint << 32) | objid::bigint) >> 24 = lock_key(0) >> 24
$$;

-- Sessions other than this one that nobody heard of for so long. Those of other users say nothing.
CREATE FUNCTION silent(seconds double precision) RETURNS SETOF integer
LANGUAGE sql VOLATILE AS $$
    SELECT pid FROM pg_stat_activity
    WHERE pid <> pg_backend_pid()
      AND greatest(query_start, state_change) < clock_timestamp() - make_interval(secs => seconds)
$$;

-- Takes a bucket that nobody holds. Where the database was started anew, its last owner has a
-- lease to come back in, for it may be alive.
CREATE FUNCTION take_free(b integer, by_whom text, lease double precision, hold double precision,
                          OUT new_epoch bigint, OUT lost bigint) LANGUAGE plpgsql AS $$
DECLARE
    theirs double precision;
BEGIN
    IF NOT pg_try_advisory_lock(lock_key(b)) THEN
        RETURN;
    END IF;
    IF pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => lease) AND EXISTS (
        SELECT 1 FROM owner o WHERE o.bucket = b AND o.name NOT IN ('', by_whom)
                                AND o.taken_at < pg_postmaster_start_time()
    ) THEN
        PERFORM pg_advisory_unlock(lock_key(b));
        RETURN;
    END IF;
    SELECT o.hold INTO theirs FROM owner o WHERE o.bucket = b;
    INSERT INTO owner AS o VALUES (b, 1, by_whom, hold)
    ON CONFLICT (bucket) DO UPDATE
    SET epoch = o.epoch + 1, name = excluded.name, hold = excluded.hold,
        taken_at = clock_timestamp()
    RETURNING o.epoch INTO new_epoch;
    SELECT coalesce(sum(f.stop - f.start), 0) INTO lost FROM flight f WHERE f.bucket = b;
    DELETE FROM held h WHERE h.bucket = b AND h.until <= clock_timestamp();
    IF lost > 0 THEN
        INSERT INTO held AS h
        SELECT b, f.lane, clock_timestamp() + make_interval(secs => greatest(theirs, hold))
        FROM flight f WHERE f.bucket = b GROUP BY f.lane
        ON CONFLICT (bucket, lane) DO UPDATE SET until = greatest(h.until, excluded.until);
        -- Its requests may have left: they count, when something was heard of the job last.
        INSERT INTO tick AS t
        SELECT coalesce((SELECT max(k.at) FROM tick k),
                        extract(epoch FROM clock_timestamp())::bigint),
               count(DISTINCT f.lane), 0, 0, 0, 0, 0
        FROM flight f WHERE f.bucket = b
        ON CONFLICT (at) DO UPDATE SET sent = t.sent + excluded.sent;
        INSERT INTO span (bucket, start, stop, state, http_status, reason, request_id, cause, at)
        SELECT f.bucket, f.start, f.stop, 'unknown', NULL, '{LOST_WORDS}', NULL, 'lost',
               extract(epoch FROM clock_timestamp())
        FROM flight f WHERE f.bucket = b;
        DELETE FROM flight f WHERE f.bucket = b;
        PERFORM recount(b);
    END IF;
END $$;

-- Takes the first of these buckets that nobody holds, or whose holder is silent: that one's
-- session is ended, so it can commit nothing more.
CREATE FUNCTION take(wanted integer[], by_whom text, lease double precision, hold double precision,
                     OUT taken integer, OUT new_epoch bigint, OUT lost bigint)
LANGUAGE plpgsql AS $$
BEGIN
    FOREACH taken IN ARRAY wanted LOOP
        SELECT * INTO new_epoch, lost FROM take_free(taken, by_whom, lease, hold);
        IF new_epoch IS NOT NULL THEN
            RETURN;
        END IF;
    END LOOP;
    FOR taken IN
        SELECT l.bucket FROM locks() l WHERE l.bucket = ANY (wanted)
                                         AND l.pid IN (SELECT silent(lease))
    LOOP
        PERFORM pg_terminate_backend(pid, 1000) FROM locks() l WHERE l.bucket = taken;
        SELECT * INTO new_epoch, lost FROM take_free(taken, by_whom, lease, hold);
        IF new_epoch IS NOT NULL THEN
            RETURN;
        END IF;
    END LOOP;
    taken := NULL;
END $$;

-- Takes a bucket back on a new connection, if nobody has taken it since.
CREATE FUNCTION retake(b integer, known bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_lock(lock_key(b)) THEN
        RETURN false;
    END IF;
    UPDATE owner o SET taken_at = clock_timestamp() WHERE o.bucket = b AND o.epoch = known;
    IF NOT FOUND THEN
        PERFORM pg_advisory_unlock(lock_key(b));
        RETURN false;
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION give_back(b integer, known bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE owner o SET name = '' WHERE o.bucket = b AND o.epoch = known;
    PERFORM pg_advisory_unlock(lock_key(b));
END $$;

-- Buckets that were not given back and whose owner is gone, or silent for so long.
CREATE FUNCTION orphans(lease double precision) RETURNS SETOF integer
LANGUAGE sql VOLATILE AS $$
    SELECT o.bucket FROM owner o
    WHERE o.name <> '' AND o.bucket NOT IN (
        SELECT l.bucket FROM locks() l WHERE l.pid NOT IN (SELECT silent(lease))
    )
$$;

-- What the lost owner of a bucket of ours left in a lane becomes pending again, for a run that
-- sends again. Its requests are kept for the story of these records.
CREATE FUNCTION resend_lost(b integer, known bigint, low bigint, high bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM 1 FROM owner o WHERE o.bucket = b AND o.epoch = known FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a bucket is not this process''s any more' USING ERRCODE = '{LOST}';
    END IF;
    WITH gone AS (
        DELETE FROM span s WHERE s.bucket = b AND s.start >= low AND s.stop <= high
                             AND s.state = 'unknown' AND s.cause = 'lost'
        RETURNING s.*
    ), kept AS (
        INSERT INTO attempt (bucket, start, stop, http_status, reason, request_id, at)
        SELECT bucket, start, stop, http_status, reason, request_id, at FROM gone ORDER BY start
    ) SELECT coalesce(sum(stop - start), 0) INTO n FROM gone;
    IF n > 0 THEN
        PERFORM recount(b);
    END IF;
    RETURN n;
END $$;

-- Adds up anew what a bucket holds, for its owner; and every bucket, for who has no company.
CREATE FUNCTION recount(b integer) RETURNS void LANGUAGE sql AS $$
    DELETE FROM total WHERE bucket = b;
    INSERT INTO total (bucket, spans, delivered, failed, unknown, in_flight, weight)
    SELECT * FROM ({FOUND}) found WHERE bucket = b;
$$;
CREATE FUNCTION recount_all() RETURNS void LANGUAGE sql AS $$
    DELETE FROM total;
    INSERT INTO total (bucket, spans, delivered, failed, unknown, in_flight, weight) {FOUND};
$$;
"""  # noqa: S608 - numbers and words of our own
