-- Forwarding of the audit trail: destinations, their cursors in each stream, and the functions by which the
-- forwarder reads rows that a destination has not yet and moves its cursors.
--
-- New rows are found by the heads: a cursor below its stream's head. Streams that ended and are forwarded whole are
-- marked done and not looked at again but by the full look, so the cost does not grow with what was ever written.
-- A number in a stream is given by compare-and-swap of the head, so no row becomes visible before its predecessors:
-- a gap is a row that is gone (retention, or tampering), never one that is still to come.

-- Streams opened lately are new ones. Moving a head changes no indexed column, so it stays as cheap as it was.
CREATE INDEX stream_opened ON audit.stream (opened_at);
COMMENT ON INDEX audit.stream_opened IS 'Streams opened lately';

CREATE TABLE audit.forward_destination (
    name       text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    begun_at   timestamptz NOT NULL DEFAULT now(),
    begun_by   text NOT NULL DEFAULT session_user,
    from_now   boolean NOT NULL,
    forwarded  bigint NOT NULL DEFAULT 0,
    moved_at   timestamptz,
    trouble    text,
    trouble_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE audit.forward_destination IS 'Where the audit trail is forwarded to; the addresses are in the configuration of the forwarders';
COMMENT ON COLUMN audit.forward_destination.name IS 'Name of the destination, as in [forward] destinations';
COMMENT ON COLUMN audit.forward_destination.begun_at IS 'When it was begun';
COMMENT ON COLUMN audit.forward_destination.begun_by IS 'The database user who began it';
COMMENT ON COLUMN audit.forward_destination.from_now IS 'True: it gets the rows written since then; false: all rows';
COMMENT ON COLUMN audit.forward_destination.forwarded IS 'Rows it has got';
COMMENT ON COLUMN audit.forward_destination.moved_at IS 'When it got the latest';
COMMENT ON COLUMN audit.forward_destination.trouble IS 'What keeps the forwarder from going on; NULL: nothing';
COMMENT ON COLUMN audit.forward_destination.trouble_at IS 'Since when';

-- No reference to audit.stream, whose rows never go: it would lock a head for each new cursor.
CREATE TABLE audit.forward_cursor (
    destination text NOT NULL REFERENCES audit.forward_destination ON DELETE CASCADE,
    stream      uuid NOT NULL,
    seq         bigint NOT NULL,
    done        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (destination, stream)
) WITH (fillfactor = 50);
CREATE INDEX forward_cursor_open ON audit.forward_cursor (destination, stream) WHERE NOT done;
COMMENT ON TABLE audit.forward_cursor IS 'How far a destination has come in each stream';
COMMENT ON COLUMN audit.forward_cursor.destination IS 'The destination';
COMMENT ON COLUMN audit.forward_cursor.stream IS 'The stream';
COMMENT ON COLUMN audit.forward_cursor.seq IS 'The last row that the destination has; 0: none yet';
COMMENT ON COLUMN audit.forward_cursor.done IS 'The stream has ended and is forwarded whole: only the full look returns to it';
COMMENT ON INDEX audit.forward_cursor_open IS 'The streams that a destination is looking at';

CREATE FUNCTION audit.forward_key(p_destination text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN hashtextextended('holdfast audit forward ' || p_destination, 0);
COMMENT ON FUNCTION audit.forward_key IS 'The advisory lock that the forwarder of a destination holds; internal';

CREATE FUNCTION audit.forward_holder(p_destination text) RETURNS integer LANGUAGE sql STABLE
RETURN (SELECT l.pid FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock' AND l.objsubid = 1
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (l.classid::bigint << 32 | l.objid::bigint) = audit.forward_key(p_destination));
COMMENT ON FUNCTION audit.forward_holder IS 'Process of the session that forwards to a destination; NULL: none does';

CREATE FUNCTION audit.forward_check(p_destination text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF audit.forward_holder(p_destination) IS DISTINCT FROM pg_backend_pid() THEN
        RAISE EXCEPTION 'this session does not forward to destination %', p_destination
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'audit.forward_claim() must have said true in it; audit.forwarding tells whether another one is at work.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit.forward_check IS 'An error unless this session has the claim of the destination; internal';

CREATE FUNCTION audit.forward_begin(p_destination text, p_from_now boolean) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM audit.forward_check(p_destination);
    INSERT INTO audit.forward_destination (name, from_now) VALUES (p_destination, p_from_now) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_from_now THEN
        INSERT INTO audit.forward_cursor (destination, stream, seq) SELECT p_destination, s.id, s.seq FROM audit.stream s;
    END IF;
    PERFORM audit.note('Admin Begin Forwarding', format('destination=%s from=%s', p_destination,
                       CASE WHEN p_from_now THEN 'now' ELSE 'beginning' END));
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.forward_begin IS 'For who has the claim: makes a destination unless it is there, at the beginning of the audit trail or at its present end; returns whether it was made';

CREATE FUNCTION audit.forward_claim(p_destination text) RETURNS boolean LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_try_advisory_lock(audit.forward_key(p_destination)) $$;
COMMENT ON FUNCTION audit.forward_claim IS 'True: this session is the one that forwards to the destination, until it ends; false: another one is';

CREATE FUNCTION audit.forward_look(p_destination text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM audit.forward_check(p_destination);
    INSERT INTO audit.forward_cursor (destination, stream, seq)
    SELECT p_destination, s.id, 0 FROM audit.stream s
     WHERE NOT EXISTS (SELECT FROM audit.forward_cursor c WHERE c.destination = p_destination AND c.stream = s.id)
    ON CONFLICT DO NOTHING;
    -- A worker that was taken for dead may have gone on after its successor was there.
    UPDATE audit.forward_cursor c SET done = false FROM audit.stream s
     WHERE c.destination = p_destination AND c.done AND s.id = c.stream AND s.seq > c.seq;
    UPDATE audit.forward_cursor c SET done = true FROM audit.stream s
     WHERE c.destination = p_destination AND NOT c.done AND s.id = c.stream AND s.seq = c.seq
       AND (s.fenced OR EXISTS (SELECT FROM audit.stream n WHERE n.predecessor = s.id));
END
$$;
COMMENT ON FUNCTION audit.forward_look IS 'For who has the claim: the full look at all streams, at start and once a minute: takes up what is new, leaves out what has ended';

CREATE FUNCTION audit.forward_next(p_destination text, p_rows integer)
RETURNS TABLE (after bigint, head bigint, at text, class text, stream uuid, seq bigint, opener text, operation text,
               result text, reason text, client text, client_id uuid, fingerprint text, address text, protocol text,
               correlation text, "position" integer, object uuid, duration_us bigint, detail text, previous text,
               hash text) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    behind integer;
    quota  integer;
BEGIN
    PERFORM audit.forward_check(p_destination);
    INSERT INTO audit.forward_cursor (destination, stream, seq)
    SELECT p_destination, s.id, 0 FROM audit.stream s
     WHERE s.opened_at > now() - interval '5 minutes'
       AND NOT EXISTS (SELECT FROM audit.forward_cursor c WHERE c.destination = p_destination AND c.stream = s.id)
    ON CONFLICT DO NOTHING;
    SELECT count(*) INTO behind FROM audit.forward_cursor c JOIN audit.stream s ON s.id = c.stream
     WHERE c.destination = p_destination AND NOT c.done AND s.seq > c.seq;
    IF behind = 0 THEN
        RETURN;
    END IF;
    -- Every stream gets its share, so that a busy one starves no other.
    quota := greatest(1, p_rows / behind);
    -- Heads and rows in one statement, so in one snapshot.
    RETURN QUERY
    SELECT b.after, b.head, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           CASE WHEN audit.is_admin_act(e.operation) THEN 'admin' WHEN e.operation = 'Open Stream' THEN 'stream'
                ELSE coalesce((SELECT p.class FROM policy.permission p
                                WHERE p.name = lower(replace(e.operation, ' ', '-'))), 'other') END,
           b.stream, e.seq, b.opener, e.operation, e.result, e.reason, e.client_name, e.client, e.fingerprint,
           e.address, e.protocol, e.correlation, e.position, e.object, e.duration_us, e.detail,
           encode(e.previous, 'hex'), encode(e.hash, 'hex')
      FROM (SELECT c.stream, c.seq AS after, s.seq AS head, s.opener, s.opened_at
              FROM audit.forward_cursor c JOIN audit.stream s ON s.id = c.stream
             WHERE c.destination = p_destination AND NOT c.done AND s.seq > c.seq
             ORDER BY s.opened_at, c.stream LIMIT p_rows) AS b
      LEFT JOIN LATERAL (SELECT v.* FROM audit.event v WHERE v.stream = b.stream AND v.seq > b.after
                          ORDER BY v.seq LIMIT quota) AS e ON true
     ORDER BY b.opened_at, b.stream, e.seq;
END
$$;
COMMENT ON FUNCTION audit.forward_next IS 'For who has the claim: the next rows that a destination has not yet, in the order of each stream; seq is NULL where the stream has no row from after + 1 to head any more';

CREATE FUNCTION audit.forward_moved(p_destination text, p_streams uuid[], p_seqs bigint[], p_rows bigint)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    PERFORM audit.forward_check(p_destination);
    UPDATE audit.forward_cursor c SET seq = m.seq
      FROM unnest(p_streams, p_seqs) AS m(stream, seq) JOIN audit.stream s ON s.id = m.stream
     WHERE c.destination = p_destination AND c.stream = m.stream AND m.seq > c.seq AND m.seq <= s.seq;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> cardinality(p_streams) THEN
        RAISE EXCEPTION 'the cursors of destination % are not where they were: does another program move them?', p_destination
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE audit.forward_destination SET forwarded = forwarded + p_rows, moved_at = now(), trouble = NULL, trouble_at = NULL
     WHERE name = p_destination;
END
$$;
COMMENT ON FUNCTION audit.forward_moved IS 'For who has the claim: moves cursors of a destination on, after it has got p_rows rows: never back, never past a head';

CREATE FUNCTION audit.forward_trouble(p_destination text, p_trouble text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM audit.forward_check(p_destination);
    UPDATE audit.forward_destination
       SET trouble = left(p_trouble, 500), trouble_at = CASE WHEN p_trouble IS NOT NULL THEN coalesce(trouble_at, now()) END
     WHERE name = p_destination;
END
$$;
COMMENT ON FUNCTION audit.forward_trouble IS 'For who has the claim: keeps what holds the forwarder up, for audit.forwarding; NULL: nothing does any more';

CREATE FUNCTION audit.forward_forget(p_destination text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM policy.check_reason(p_reason);
    DELETE FROM audit.forward_destination WHERE name = p_destination;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no destination %', p_destination USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM audit.note('Admin Forget Forwarding', format('destination=%s reason=%s', p_destination, p_reason));
END
$$;
COMMENT ON FUNCTION audit.forward_forget IS 'Removes a destination and its cursors: retention waits for it no longer, and begun again it starts anew';

CREATE FUNCTION audit.forwarded_up_to(p_before timestamptz) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
SELECT NOT EXISTS (
    SELECT FROM audit.forward_destination d CROSS JOIN audit.stream s
      LEFT JOIN audit.forward_cursor c ON c.destination = d.name AND c.stream = s.id
     WHERE s.seq > coalesce(c.seq, 0)
       AND EXISTS (SELECT FROM audit.event e WHERE e.stream = s.id AND e.seq > coalesce(c.seq, 0) AND e.at < p_before))
$$;
COMMENT ON FUNCTION audit.forwarded_up_to IS 'Whether every destination has all rows written before this time, also where there is no destination: asked by retention with the end of a partition before it is dropped';

CREATE VIEW audit.forwarding AS
SELECT d.name AS destination, b.rows_behind, b.oldest, now() - b.oldest AS behind, d.forwarded, d.moved_at,
       audit.forward_holder(d.name) IS NOT NULL AS running,
       d.trouble, d.trouble_at, d.from_now, d.begun_at, d.begun_by
  FROM audit.forward_destination d
 CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.seq - coalesce(c.seq, 0)), 0)::bigint AS rows_behind, min(f.at) AS oldest
      FROM audit.stream s
      LEFT JOIN audit.forward_cursor c ON c.destination = d.name AND c.stream = s.id
      LEFT JOIN LATERAL (SELECT e.at FROM audit.event e WHERE e.stream = s.id AND e.seq > coalesce(c.seq, 0)
                          ORDER BY e.seq LIMIT 1) AS f ON true
     WHERE s.seq > coalesce(c.seq, 0)) AS b;
COMMENT ON VIEW audit.forwarding IS 'How far each destination of the audit trail has come';
COMMENT ON COLUMN audit.forwarding.destination IS 'Name of the destination';
COMMENT ON COLUMN audit.forwarding.rows_behind IS 'Rows that it has not got yet';
COMMENT ON COLUMN audit.forwarding.oldest IS 'When the oldest of them was written';
COMMENT ON COLUMN audit.forwarding.behind IS 'How long ago that was; NULL: it has all';
COMMENT ON COLUMN audit.forwarding.forwarded IS 'Rows it has got';
COMMENT ON COLUMN audit.forwarding.moved_at IS 'When it got the latest';
COMMENT ON COLUMN audit.forwarding.running IS 'Whether a forwarder is at work for it';
COMMENT ON COLUMN audit.forwarding.trouble IS 'What keeps the forwarder from going on; NULL: nothing';
COMMENT ON COLUMN audit.forwarding.trouble_at IS 'Since when';
COMMENT ON COLUMN audit.forwarding.from_now IS 'True: it gets the rows written since it was begun; false: all rows';
COMMENT ON COLUMN audit.forwarding.begun_at IS 'When it was begun';
COMMENT ON COLUMN audit.forwarding.begun_by IS 'The database user who began it';

REVOKE ALL ON FUNCTION audit.forward_key, audit.forward_holder, audit.forward_check, audit.forward_begin,
    audit.forward_claim, audit.forward_look, audit.forward_next, audit.forward_moved, audit.forward_trouble, audit.forward_forget, audit.forwarded_up_to FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO holdfast_forward, holdfast_policy;
GRANT EXECUTE ON FUNCTION audit.forward_begin, audit.forward_claim, audit.forward_look, audit.forward_next,
    audit.forward_moved, audit.forward_trouble TO holdfast_forward;
GRANT EXECUTE ON FUNCTION audit.forward_forget TO holdfast_policy;
GRANT EXECUTE ON FUNCTION audit.forward_key, audit.forward_holder, audit.forwarded_up_to TO holdfast_auditor;
GRANT SELECT ON audit.forward_destination, audit.forward_cursor, audit.forwarding TO holdfast_auditor;

-- ---- what months wait for ----
-- What a receiver has not got yet must not go either.
CREATE FUNCTION audit.why_kept(p_month date) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN CASE
    WHEN audit.month_partition(p_month) IS NULL THEN 'there is no such month'
    WHEN audit.month_end(p_month) > now() THEN 'the month is not over'
    WHEN NOT EXISTS (SELECT FROM audit.retention) THEN 'no retention period is set'
    WHEN (p_month + make_interval(months => 1 + (SELECT r.keep_months FROM audit.retention r))) AT TIME ZONE 'UTC' > now()
        THEN 'kept until ' || (p_month + make_interval(months => 1 + (SELECT r.keep_months FROM audit.retention r)))::date
    WHEN NOT EXISTS (SELECT FROM audit.export x WHERE x.month = p_month) THEN 'it was not exported'
    WHEN NOT audit.forwarded_up_to(audit.month_end(p_month))
        THEN 'a destination of audit forward has not got all of it' END;
COMMENT ON FUNCTION audit.why_kept IS 'Why a month may not be dropped now; NULL where it may, once its rows verify and its export is shown';

CREATE VIEW audit.partitions AS
SELECT to_char(m.month, 'YYYY-MM') AS month, greatest(m.reltuples, 0)::bigint AS rows_about,
       pg_total_relation_size(m.oid) AS bytes, x.at AS exported_at, x.rows AS exported_rows,
       encode(x.sha256, 'hex') AS export_sha256, audit.why_kept(m.month) IS NULL AS droppable, audit.why_kept(m.month) AS why_not
  FROM (SELECT c.oid, c.reltuples, to_date(right(c.relname, 7), 'YYYY_MM') AS month FROM pg_class c
          JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'audit.event'::regclass
           AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$') AS m
  LEFT JOIN audit.export x ON x.month = m.month;
COMMENT ON VIEW audit.partitions IS 'The months of the audit trail: size, export, and whether they may be dropped';
COMMENT ON COLUMN audit.partitions.month IS 'The month (UTC)';
COMMENT ON COLUMN audit.partitions.rows_about IS 'About how many rows, as the planner thinks; audit.verify_month() counts';
COMMENT ON COLUMN audit.partitions.bytes IS 'Size with indexes';
COMMENT ON COLUMN audit.partitions.exported_at IS 'When the whole month was last exported; NULL: never';
COMMENT ON COLUMN audit.partitions.exported_rows IS 'How many rows that export has';
COMMENT ON COLUMN audit.partitions.export_sha256 IS 'SHA-256 of its file';
COMMENT ON COLUMN audit.partitions.droppable IS 'True: holdfast audit drop may take it';
COMMENT ON COLUMN audit.partitions.why_not IS 'Why it may not be dropped';

REVOKE ALL ON FUNCTION audit.why_kept FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.why_kept TO holdfast_auditor, holdfast_policy;
GRANT SELECT ON audit.partitions TO holdfast_auditor, holdfast_policy;
