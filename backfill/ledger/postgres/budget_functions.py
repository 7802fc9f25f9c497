"""What all deliverers of a run may send together: one row, and the functions that draw on it.

All moments are the database's. A deliverer draws some requests at a time, spread over a stretch of
time that nobody else gets; what it does not use of them expires. Records of the limit are counted
with who has them in hand, and come back with the next draw; those of a deliverer that died count
as sent.
"""

from __future__ import annotations

__all__ = ["BUDGET"]

BUDGET = """
CREATE TABLE deliverer (
    name          text PRIMARY KEY,
    commits       bigint NOT NULL DEFAULT 0,
    joined        bigint,          -- its place in line; NULL: not in the run
    pid           integer,
    backend_start timestamptz,
    draws         bigint NOT NULL DEFAULT 0,  -- the number of its last one
    in_hand       bigint NOT NULL DEFAULT 0,  -- records of the limit
    waits_until   timestamptz NOT NULL DEFAULT '-infinity'  -- for a bucket, unless it says so again
) WITH (fillfactor = 50);
CREATE SEQUENCE line;

CREATE TABLE budget (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    terms        jsonb NOT NULL DEFAULT '{}',
    rate         double precision CHECK (rate > 0),  -- requests a second; NULL: as they come
    records_left bigint,
    ends_at      timestamptz,
    free_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    quiet_until  timestamptz NOT NULL DEFAULT '-infinity',
    generation   bigint NOT NULL DEFAULT 0,
    sent         bigint NOT NULL DEFAULT 0,
    accepted     bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0,
    refusals     jsonb NOT NULL DEFAULT '[]',  -- the last ones: [number, when it had left, rate]
    delivered    bigint NOT NULL DEFAULT 0,
    failed       bigint NOT NULL DEFAULT 0,
    ambiguous    integer NOT NULL DEFAULT 0,   -- answers in a row that say nothing
    stop         text
) WITH (fillfactor = 10);
INSERT INTO budget DEFAULT VALUES;

CREATE FUNCTION run_key() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT lock_key(16777215)
$$;

CREATE FUNCTION be_here(by_whom text) RETURNS void LANGUAGE sql AS $$
    UPDATE deliverer d SET (pid, backend_start) = (
        SELECT a.pid, a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()
    ) WHERE d.name = by_whom;
$$;

-- The first deliverer of a run says what the run may send; those who join it later do not. They
-- wait until that is committed, or they would read what held before.
CREATE FUNCTION join_run(by_whom text, given jsonb, OUT first boolean, OUT terms jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '3s', true);
    first := pg_try_advisory_xact_lock(run_key());
    PERFORM pg_advisory_lock_shared(run_key());
    IF first THEN
        UPDATE deliverer d SET joined = NULL, in_hand = 0 WHERE d.joined IS NOT NULL;
        UPDATE budget b SET terms = given, rate = (given->>'rate')::float8,
            records_left = (given->>'limit')::bigint,
            ends_at = clock_timestamp() + make_interval(secs => (given->>'seconds')::float8),
            free_at = clock_timestamp(), sent = 0, accepted = 0, refused = 0, refusals = '[]',
            delivered = 0, failed = 0, ambiguous = 0, stop = NULL;
    END IF;
    INSERT INTO deliverer (name, joined) VALUES (by_whom, nextval('line'))
    ON CONFLICT (name) DO UPDATE SET joined = excluded.joined, in_hand = 0;
    PERFORM be_here(by_whom);
    SELECT b.terms INTO terms FROM budget b;
END $$;

-- Takes part on a new connection, too. False where another one found nobody in the run meanwhile,
-- and has begun one of its own.
CREATE FUNCTION rejoin_run(by_whom text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(run_key());
    PERFORM be_here(by_whom);
    RETURN EXISTS (SELECT 1 FROM deliverer d WHERE d.name = by_whom AND d.joined IS NOT NULL);
END $$;

-- Takes no part any more; tells whether nobody else does.
CREATE FUNCTION leave_run(by_whom text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE deliverer d SET joined = NULL, in_hand = 0 WHERE d.name = by_whom;
    PERFORM pg_advisory_unlock_shared(run_key());
    RETURN NOT EXISTS (SELECT 1 FROM locks() WHERE bucket = 16777215);
END $$;

-- Nobody sends before `seconds` are over, and whatever was drawn before counts no more.
CREATE FUNCTION hush(seconds double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budget%ROWTYPE;
BEGIN
    UPDATE budget SET generation = generation + 1,
        quiet_until = greatest(quiet_until, clock_timestamp() + make_interval(secs => seconds)),
        free_at = greatest(quiet_until, clock_timestamp() + make_interval(secs => seconds))
    RETURNING * INTO b;
    PERFORM pg_notify(current_schema(), json_build_array(
        b.generation, extract(epoch FROM b.quiet_until - clock_timestamp())
    )::text);
END $$;

-- Reports what became of the last requests, and draws the next ones. Who is first in line says
-- what the rate is. A draw whose answer was lost comes again with its number: what it reports is
-- counted, and what it was given comes back.
CREATE FUNCTION draw(by_whom text, given jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    b        budget%ROWTYPE;
    moment   timestamptz;
    first_at timestamptz;
    horizon  timestamptz;
    line     text[];  -- who delivers, in the order of joining
    others   integer;
    waiting  boolean;
    spacing  double precision;
    granted  integer := 0;
    records  bigint;
    in_hands boolean;
    last     deliverer%ROWTYPE;
    known    bigint;
    each     jsonb;
BEGIN
    SELECT * INTO b FROM budget FOR UPDATE;
    SELECT * INTO last FROM deliverer d WHERE d.name = by_whom;
    IF last.draws = (given->>'number')::bigint THEN
        given := given - 'hush' || jsonb_build_object('sent', 0, 'accepted', 0, 'delivered', 0,
            'failed', 0, 'ambiguous', 0, 'answered', false, 'refused', jsonb_build_array(),
            'given_back', last.in_hand);
    END IF;
    IF given ? 'hush' THEN
        PERFORM hush((given->>'hush')::float8);
        SELECT * INTO b FROM budget;
    END IF;
    moment := clock_timestamp();
    UPDATE deliverer d SET draws = (given->>'number')::bigint, in_hand = 0, waits_until =
        CASE WHEN (given->>'waits')::boolean THEN moment + interval '1 s' ELSE d.waits_until END
    WHERE d.name = by_whom;
    SELECT array_agg(d.name ORDER BY d.joined),
           count(*) FILTER (WHERE d.name <> by_whom),
           coalesce(bool_or(d.waits_until > moment AND d.name <> by_whom), false),
           coalesce(bool_or(d.in_hand > 0), false)
    INTO line, others, waiting, in_hands
    FROM deliverer d JOIN pg_stat_activity a USING (pid, backend_start) WHERE d.joined IS NOT NULL;

    b.sent := b.sent + (given->>'sent')::bigint;
    b.accepted := b.accepted + (given->>'accepted')::bigint;
    b.delivered := b.delivered + (given->>'delivered')::bigint;
    b.failed := b.failed + (given->>'failed')::bigint;
    b.ambiguous := (given->>'ambiguous')::integer
        + CASE WHEN (given->>'answered')::boolean THEN 0 ELSE b.ambiguous END;
    b.records_left := b.records_left + (given->>'given_back')::bigint;
    known := b.refused;
    FOR each IN SELECT * FROM jsonb_array_elements(given->'refused') LOOP
        b.refused := b.refused + 1;
        b.refusals := b.refusals || jsonb_build_array(jsonb_build_array(
            b.refused, extract(epoch FROM moment) - (each->>0)::float8, each->1));
    END LOOP;
    WHILE jsonb_array_length(b.refusals) > 32 LOOP
        b.refusals := b.refusals - 0;
    END LOOP;
    IF line[1] = by_whom AND b.rate IS DISTINCT FROM (given->>'rate')::float8 THEN
        b.rate := (given->>'rate')::float8;
        -- What was drawn at a slower rate keeps nobody waiting.
        b.free_at := least(b.free_at, moment + make_interval(secs => 1 / b.rate));
    END IF;

    b.stop := coalesce(b.stop, CASE
        WHEN b.failed > (b.terms->>'max_errors')::bigint THEN 'errors'
        WHEN b.delivered + b.failed >= (b.terms->>'fair_sample')::bigint
         AND b.failed > (b.terms->>'max_share')::float8 * (b.delivered + b.failed) THEN 'errors'
        WHEN b.ambiguous >= (b.terms->>'most_ambiguous')::integer THEN 'down'
        WHEN b.ends_at <= moment THEN 'time'
        WHEN b.records_left <= 0 AND NOT in_hands THEN 'limit' END);
    first_at := greatest(b.free_at, moment, b.quiet_until);
    horizon := moment + make_interval(secs => (given->>'stretch')::float8);
    spacing := coalesce(1 / b.rate, 0);
    IF coalesce(b.stop, 'limit') = 'limit' AND first_at < horizon THEN
        granted := (given->>'wanted')::integer;
        IF b.rate IS NOT NULL THEN
            granted := least(granted, greatest(1,
                ceil(extract(epoch FROM horizon - first_at) * b.rate)))::integer;
        END IF;
    END IF;
    IF b.records_left IS NOT NULL THEN
        records := CASE WHEN b.stop IS NULL
                        THEN least((given->>'records')::bigint, greatest(b.records_left, 0))
                        ELSE 0 END;
        b.records_left := b.records_left - records;
        UPDATE deliverer d SET in_hand = records WHERE d.name = by_whom AND records > 0;
    END IF;
    IF granted > 0 THEN
        b.free_at := first_at + make_interval(secs => granted * spacing);
    END IF;
    UPDATE budget SET (rate, records_left, free_at, sent, accepted, refused, refusals, delivered,
                       failed, ambiguous, stop)
        = (b.rate, b.records_left, b.free_at, b.sent, b.accepted, b.refused, b.refusals,
           b.delivered, b.failed, b.ambiguous, b.stop);
    RETURN jsonb_build_object(
        'requests', granted, 'records', records, 'spacing', spacing,
        'begins', extract(epoch FROM first_at - moment),
        'quiet', greatest(0, extract(epoch FROM greatest(b.quiet_until, moment) - moment)),
        'generation', b.generation, 'stop', b.stop, 'leads', line[1] = by_whom, 'others', others,
        'place', coalesce(array_position(line, by_whom) - 1, 0), 'waiting', waiting,
        'rate', b.rate, 'sent', b.sent, 'accepted', b.accepted, 'failed', b.failed,
        'settled', b.delivered + b.failed,
        'refusals', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                r->0, extract(epoch FROM moment) - (r->>1)::float8, r->2)), '[]')
            FROM jsonb_array_elements(b.refusals) r
            WHERE (r->>0)::bigint > (given->>'heard')::bigint AND (r->>0)::bigint <= known),
        'heard', b.refused);
END $$;
"""
