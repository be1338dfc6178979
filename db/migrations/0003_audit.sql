-- The audit trail: append-only streams of hash-chained rows. The only ways to write are
-- audit.open_stream(), audit.append(), audit.fence() and audit.note(); nobody updates, deletes or
-- truncates. The canonical form is the same as in db/audit_chain.h.
CREATE SCHEMA audit;
COMMENT ON SCHEMA audit IS 'Append-only audit trail. Start with the views events, failures, keys, the functions key_events() and client_events(), and SELECT * FROM audit.verify().';

-- No CHECK, WHEN or partial index on these two tables: each would be parsed anew by every append.
CREATE TABLE audit.stream (
    id               uuid PRIMARY KEY,
    opener           text NOT NULL,
    opened_at        timestamptz NOT NULL,
    predecessor      uuid,
    predecessor_seq  bigint,
    predecessor_hash bytea,
    seq              bigint NOT NULL,
    hash             bytea NOT NULL,
    fenced           boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
CREATE INDEX stream_opener ON audit.stream (opener, opened_at);
CREATE INDEX stream_predecessor ON audit.stream (predecessor);
COMMENT ON TABLE audit.stream IS 'Heads: one row for each stream, moved on by each append. A stream is the life of one worker process; the stream "administration" is shared by administrative acts.';
COMMENT ON COLUMN audit.stream.id IS 'Random name of the stream';
COMMENT ON COLUMN audit.stream.opener IS 'Who opened it: node and worker';
COMMENT ON COLUMN audit.stream.opened_at IS 'When';
COMMENT ON COLUMN audit.stream.predecessor IS 'The stream that the same opener had before; NULL for its first';
COMMENT ON COLUMN audit.stream.predecessor_seq IS 'The last row of the predecessor when this stream was opened';
COMMENT ON COLUMN audit.stream.predecessor_hash IS 'Its hash; also in the detail of row 1 of this stream';
COMMENT ON COLUMN audit.stream.seq IS 'Number of the last row';
COMMENT ON COLUMN audit.stream.hash IS 'Hash of the last row; 32 zero bytes before the first';
COMMENT ON COLUMN audit.stream.fenced IS 'No more rows: a new stream took over after a COMMIT of unknown outcome';
COMMENT ON INDEX audit.stream_opener IS 'The latest stream of an opener';
COMMENT ON INDEX audit.stream_predecessor IS 'The stream that came after another';

CREATE TABLE audit.event (
    stream      uuid NOT NULL,
    seq         bigint NOT NULL,
    at          timestamptz NOT NULL,
    client      uuid,
    client_name text,
    fingerprint text,
    address     text,
    protocol    text,
    correlation text,
    position    integer,
    operation   text NOT NULL,
    object      uuid,
    result      text NOT NULL,
    reason      text,
    duration_us bigint,
    detail      text,
    previous    bytea NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (stream, seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX event_object ON audit.event (object);
CREATE INDEX event_client ON audit.event (client);
CREATE INDEX event_at ON audit.event USING brin (at) WITH (pages_per_range = 32);
COMMENT ON TABLE audit.event IS 'One row for each operation, reads and refusals included; by month. Read it through audit.events.';
COMMENT ON COLUMN audit.event.stream IS 'The stream (worker process life) that wrote it';
COMMENT ON COLUMN audit.event.seq IS 'Number in the stream, from 1, without gaps';
COMMENT ON COLUMN audit.event.at IS 'When, by the server''s clock';
COMMENT ON COLUMN audit.event.client IS 'policy.client; NULL if nobody is known';
COMMENT ON COLUMN audit.event.client_name IS 'Its name at that time; for administrative acts the database user and the operator';
COMMENT ON COLUMN audit.event.fingerprint IS 'SHA-256 of the client''s certificate';
COMMENT ON COLUMN audit.event.address IS 'Network address of the client';
COMMENT ON COLUMN audit.event.protocol IS 'KMIP version of the request';
COMMENT ON COLUMN audit.event.correlation IS 'Client Correlation Value of the request';
COMMENT ON COLUMN audit.event.position IS 'Place in the batch, from 0';
COMMENT ON COLUMN audit.event.operation IS 'KMIP operation, or administrative act';
COMMENT ON COLUMN audit.event.object IS 'Unique Identifier of the object';
COMMENT ON COLUMN audit.event.result IS 'KMIP Result Status';
COMMENT ON COLUMN audit.event.reason IS 'KMIP Result Reason; NULL on success';
COMMENT ON COLUMN audit.event.duration_us IS 'Microseconds from the arrival of the request to the writing of this row';
COMMENT ON COLUMN audit.event.detail IS 'More, for administrative acts and for the opening row of a stream';
COMMENT ON COLUMN audit.event.previous IS 'Hash of the row before it in the stream; zeros for the first';
COMMENT ON COLUMN audit.event.hash IS 'SHA-256 over the canonical form of this row: audit.canonical()';
COMMENT ON INDEX audit.event_object IS 'The events of a key';
COMMENT ON INDEX audit.event_client IS 'The events of a client';
COMMENT ON INDEX audit.event_at IS 'The events of a time';

CREATE TABLE audit.event_default PARTITION OF audit.event DEFAULT;
COMMENT ON TABLE audit.event_default IS 'Rows of months that have no partition: an append never fails for want of one';

-- Nobody changes audit, owner and superuser included.
CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'HF004';
END
$$;
COMMENT ON FUNCTION audit.refuse IS 'Trigger: refuses UPDATE, DELETE and TRUNCATE';
CREATE TRIGGER event_is_final BEFORE UPDATE OR DELETE ON audit.event
    FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON audit.event
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON audit.event_default
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER stream_no_delete BEFORE DELETE ON audit.stream
    FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER stream_no_truncate BEFORE TRUNCATE ON audit.stream
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
-- A head only moves on, and a fence stays.
CREATE FUNCTION audit.guard_head() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.opener <> OLD.opener OR NEW.opened_at <> OLD.opened_at
       OR (NEW.predecessor, NEW.predecessor_seq, NEW.predecessor_hash)
          IS DISTINCT FROM (OLD.predecessor, OLD.predecessor_seq, OLD.predecessor_hash)
       OR NOT (NEW.seq > OLD.seq AND NOT OLD.fenced AND NOT NEW.fenced
               OR NEW.seq = OLD.seq AND NEW.hash = OLD.hash AND NEW.fenced)
       OR octet_length(NEW.hash) <> 32 THEN
        RAISE EXCEPTION 'the audit trail is append-only: this change of a head is refused' USING ERRCODE = 'HF004';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION audit.guard_head IS 'Trigger: a head only moves on';
CREATE TRIGGER stream_moves_on BEFORE UPDATE ON audit.stream
    FOR EACH ROW EXECUTE FUNCTION audit.guard_head();

-- ---- canonical form and hash ----
CREATE FUNCTION audit.field(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(octet_length(value)::text || ':' || value || ',', '-,'); -- all immutable, so it is inlined
COMMENT ON FUNCTION audit.field IS 'A netstring, "length:text,", or "-," for NULL';

CREATE FUNCTION audit.microseconds(at timestamptz) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN at BETWEEN '1000-01-01 00:00:00+00' AND '200000-01-01 00:00:00+00'
            THEN (extract(epoch FROM at) * 1000000)::bigint END; -- others, infinity too, would be an error
COMMENT ON FUNCTION audit.microseconds IS 'Microseconds since 1970 UTC, exact; NULL for a time that no clock tells';

CREATE FUNCTION audit.canonical(e audit.event) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN '1:1,'
    || audit.field(audit.microseconds(e.at)::text)
    || audit.field(e.stream::text)
    || audit.field(e.seq::text)
    || audit.field(e.client::text)
    || audit.field(e.client_name)
    || audit.field(e.fingerprint)
    || audit.field(e.address)
    || audit.field(e.protocol)
    || audit.field(e.correlation)
    || audit.field(e."position"::text)
    || audit.field(e.operation)
    || audit.field(e.object::text)
    || audit.field(e.result)
    || audit.field(e.reason)
    || audit.field(e.duration_us::text)
    || audit.field(e.detail)
    || audit.field(encode(e.previous, 'hex'));
COMMENT ON FUNCTION audit.canonical IS 'The text that the hash of a row covers: a marker and all its fields as netstrings, the previous hash last';

CREATE FUNCTION audit.row_hash(e audit.event) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(convert_to(audit.canonical(e), 'UTF8'));
COMMENT ON FUNCTION audit.row_hash IS 'SHA-256 of the canonical form, recomputed';

-- ---- partitions ----
CREATE FUNCTION audit.make_partitions(months integer DEFAULT 3) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    start  timestamp;
    part   text;
    made   integer := 0;
BEGIN
    FOR i IN 0 .. least(greatest(months, 0), 24) LOOP
        start := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i);
        part := 'event_' || to_char(start, 'YYYY_MM');
        CONTINUE WHEN to_regclass('audit.' || part) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(7234, 2);
        CONTINUE WHEN to_regclass('audit.' || part) IS NOT NULL;
        BEGIN
            -- ATTACH, unlike CREATE ... PARTITION OF, lets appends go on meanwhile.
            EXECUTE format('CREATE TABLE audit.%I (LIKE audit.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
            EXECUTE format('CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse()', part);
            EXECUTE format('COMMENT ON TABLE audit.%I IS %L', part, 'Audit rows of ' || to_char(start, 'YYYY-MM') || ' (UTC)');
            EXECUTE format('ALTER TABLE audit.event ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)', part,
                           to_char(start, 'YYYY-MM-DD 00:00:00+00'),
                           to_char(start + interval '1 month', 'YYYY-MM-DD 00:00:00+00'));
            made := made + 1;
        EXCEPTION WHEN lock_not_available OR check_violation OR duplicate_table OR deadlock_detected THEN
            -- the default partition holds the rows; nothing is lost
            RAISE WARNING 'audit partition % could not be made: %', part, SQLERRM;
        END;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION audit.make_partitions IS 'Makes the partitions of this month and the next ones where they are missing; returns how many. Called by migrations and by each worker.';
