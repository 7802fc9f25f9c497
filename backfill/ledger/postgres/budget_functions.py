"""What all deliverers of a job may send together: one row, and the functions that draw on it.

All moments are the database's. A deliverer draws some requests at a time, spread over a stretch of
time that nobody else gets; what it does not use of them expires, but for records of the limit,
which it gives back with its next draw.
"""

from __future__ import annotations

__all__ = ["BUDGET"]

BUDGET = """
CREATE TABLE budget (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    rate          double precision CHECK (rate > 0),  -- requests a second; NULL: as they come
    records_left  bigint,
    failures_left bigint,
    ends_at       timestamptz,
    free_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    quiet_until   timestamptz NOT NULL DEFAULT '-infinity',
    generation    bigint NOT NULL DEFAULT 0,
    sent          bigint NOT NULL DEFAULT 0,
    accepted      bigint NOT NULL DEFAULT 0,
    refused       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO budget DEFAULT VALUES;

CREATE FUNCTION run_key() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (current_schema()::regnamespace::oid::bigint << 24) | 16777215
$$;

-- The first deliverer of a run says what the run may send; those who join it later do not.
CREATE FUNCTION join_run(of_rate double precision, records bigint, failures bigint,
                         seconds double precision)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    alone boolean := pg_try_advisory_lock(run_key());
BEGIN
    IF alone THEN
        UPDATE budget SET rate = of_rate, records_left = records, failures_left = failures,
            ends_at = clock_timestamp() + make_interval(secs => seconds),
            free_at = clock_timestamp(), sent = 0, accepted = 0, refused = 0;
        PERFORM pg_advisory_lock_shared(run_key());
        PERFORM pg_advisory_unlock(run_key());
    ELSE
        PERFORM pg_advisory_lock_shared(run_key());
    END IF;
    RETURN alone;
END $$;

CREATE FUNCTION draw(n_sent bigint, n_accepted bigint, n_refused bigint, n_failed bigint,
                     given_back bigint, wanted integer, records_each integer,
                     stretch double precision,
                     OUT granted integer, OUT records bigint, OUT begins double precision,
                     OUT spacing double precision, OUT of_generation bigint,
                     OUT quiet double precision, OUT stop text)
LANGUAGE plpgsql AS $$
DECLARE
    b        budget%ROWTYPE;
    moment   timestamptz;
    first_at timestamptz;
BEGIN
    SELECT * INTO b FROM budget FOR UPDATE;
    moment := clock_timestamp();
    b.records_left := b.records_left + given_back;
    b.failures_left := b.failures_left - n_failed;
    first_at := greatest(b.free_at, moment, b.quiet_until);
    stop := CASE WHEN b.failures_left < 0 THEN 'errors'
                 WHEN b.ends_at <= moment THEN 'time'
                 WHEN b.records_left <= 0 THEN 'limit' END;
    granted := 0;
    spacing := coalesce(1 / b.rate, 0);
    IF stop IS NULL AND first_at < moment + make_interval(secs => stretch) THEN
        granted := wanted;
        IF b.rate IS NOT NULL THEN
            granted := least(wanted, greatest(1, ceil(
                extract(epoch FROM moment + make_interval(secs => stretch) - first_at)
                * b.rate)))::integer;
        END IF;
        IF b.records_left IS NOT NULL THEN
            granted := least(granted, ceil(b.records_left / records_each::float8))::integer;
        END IF;
    END IF;
    records := least(granted::bigint * records_each, b.records_left);
    begins := extract(epoch FROM first_at - moment);
    of_generation := b.generation;
    quiet := CASE WHEN b.quiet_until > moment
                  THEN extract(epoch FROM b.quiet_until - moment) ELSE 0 END;
    UPDATE budget SET records_left = b.records_left - records, failures_left = b.failures_left,
        free_at = first_at + make_interval(secs => granted * spacing),
        sent = sent + n_sent, accepted = accepted + n_accepted, refused = refused + n_refused;
END $$;

-- Nobody sends before `seconds` are over, and whatever was drawn before counts no more.
CREATE FUNCTION hush(seconds double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + make_interval(secs => seconds);
    now_generation bigint;
BEGIN
    UPDATE budget SET quiet_until = greatest(quiet_until, until), generation = generation + 1,
        free_at = greatest(quiet_until, until)
    RETURNING generation INTO now_generation;
    PERFORM pg_notify(current_schema(), now_generation::text);
END $$;

CREATE FUNCTION set_rate(of_rate double precision) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE budget SET rate = of_rate, generation = generation + 1, free_at = clock_timestamp();
    PERFORM pg_notify(current_schema(), (SELECT generation FROM budget)::text);
END $$;
"""
