-- Retention: how long audit rows are kept, which months may go, and the one way to let a month go. What goes leaves a
-- stub: for each stream the rows that went, with the hashes before and after them, signed by the attestation key in a
-- node's TPM, which no administrator of the database holds. audit.verify() takes a good stub for the rows it covers.

-- ---- tables ----
CREATE TABLE audit.retention (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    keep_months integer NOT NULL CHECK (keep_months BETWEEN 1 AND 1200),
    reason      text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text NOT NULL
);
COMMENT ON TABLE audit.retention IS 'How long audit rows are kept at least. Empty until audit.set_retention() is called: nothing may be dropped then';
COMMENT ON COLUMN audit.retention.one IS 'There is one row at most';
COMMENT ON COLUMN audit.retention.keep_months IS 'Whole months after the end of a month before it may be dropped';
COMMENT ON COLUMN audit.retention.reason IS 'Why';
COMMENT ON COLUMN audit.retention.changed_at IS 'Since when';
COMMENT ON COLUMN audit.retention.changed_by IS 'By whom: database user and operator';

CREATE TABLE audit.export (
    month   date PRIMARY KEY,
    rows    bigint NOT NULL,
    sha256  bytea NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    by_whom text NOT NULL
);
COMMENT ON TABLE audit.export IS 'The last export of each month as a whole, once it was over: audit.drop_month() drops a month against this one alone';
COMMENT ON COLUMN audit.export.month IS 'First day of the month (UTC)';
COMMENT ON COLUMN audit.export.rows IS 'How many events the file has';
COMMENT ON COLUMN audit.export.sha256 IS 'SHA-256 of the whole file';
COMMENT ON COLUMN audit.export.at IS 'When it was written';
COMMENT ON COLUMN audit.export.by_whom IS 'By whom: database user and operator';

CREATE TABLE audit.stub (
    month         date PRIMARY KEY,
    rows          bigint NOT NULL,
    export_sha256 bytea NOT NULL CHECK (octet_length(export_sha256) = 32),
    dropped_at    timestamptz NOT NULL,
    dropped_by    text NOT NULL,
    reason        text NOT NULL,
    ak_pub        bytea NOT NULL,
    signature     bytea NOT NULL CHECK (octet_length(signature) = 64)
);
COMMENT ON TABLE audit.stub IS 'What is left of a month that was dropped; audit.stubs shows it for people. Written by audit.drop_month() alone, never changed';
COMMENT ON COLUMN audit.stub.month IS 'First day of the month (UTC)';
COMMENT ON COLUMN audit.stub.rows IS 'How many rows it had';
COMMENT ON COLUMN audit.stub.export_sha256 IS 'SHA-256 of the file that has them';
COMMENT ON COLUMN audit.stub.dropped_at IS 'When it was dropped';
COMMENT ON COLUMN audit.stub.dropped_by IS 'By whom: database user and operator';
COMMENT ON COLUMN audit.stub.reason IS 'Why';
COMMENT ON COLUMN audit.stub.ak_pub IS 'The attestation key that signed it, TPM2B_PUBLIC';
COMMENT ON COLUMN audit.stub.signature IS 'ECDSA over audit.stub_message(): r and s, 32 bytes each';

CREATE TABLE audit.stub_run (
    month     date NOT NULL REFERENCES audit.stub,
    stream    uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq  bigint NOT NULL CHECK (last_seq >= first_seq),
    before    bytea NOT NULL CHECK (octet_length(before) = 32),
    after     bytea NOT NULL CHECK (octet_length(after) = 32),
    PRIMARY KEY (month, stream, first_seq)
);
CREATE INDEX stub_run_stream ON audit.stub_run (stream, first_seq);
COMMENT ON TABLE audit.stub_run IS 'Which rows went with a month: for each stream one run, or several where the clock was set back at the turn of the month';
COMMENT ON COLUMN audit.stub_run.month IS 'The month';
COMMENT ON COLUMN audit.stub_run.stream IS 'The stream';
COMMENT ON COLUMN audit.stub_run.first_seq IS 'Its first row that went';
COMMENT ON COLUMN audit.stub_run.last_seq IS 'The last one';
COMMENT ON COLUMN audit.stub_run.before IS 'Hash of the row before the first';
COMMENT ON COLUMN audit.stub_run.after IS 'Hash of the last one, which the next row names';
COMMENT ON INDEX audit.stub_run_stream IS 'What went of a stream';

CREATE TRIGGER stub_is_final BEFORE UPDATE OR DELETE ON audit.stub FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER stub_no_truncate BEFORE TRUNCATE ON audit.stub FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER stub_run_is_final BEFORE UPDATE OR DELETE ON audit.stub_run FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER stub_run_no_truncate BEFORE TRUNCATE ON audit.stub_run FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

-- ---- what is signed ----
CREATE FUNCTION audit.stub_digest(p_stub audit.stub, p_runs audit.stub_run[]) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(convert_to('1:1,' || audit.field(to_char(p_stub.month, 'YYYY-MM')) || audit.field(p_stub.rows::text)
    || audit.field(encode(p_stub.export_sha256, 'hex')) || audit.field(audit.microseconds(p_stub.dropped_at)::text)
    || audit.field(p_stub.dropped_by) || audit.field(p_stub.reason)
    || coalesce((SELECT string_agg(audit.field(r.stream::text) || audit.field(r.first_seq::text) || audit.field(r.last_seq::text)
                          || audit.field(encode(r.before, 'hex')) || audit.field(encode(r.after, 'hex')), ''
                          ORDER BY r.stream, r.first_seq) FROM unnest(p_runs) AS r), ''), 'UTF8'));
COMMENT ON FUNCTION audit.stub_digest IS 'SHA-256 over all of a stub but its signature: netstrings as in audit.canonical(), a marker, the fields of the month, then those of each run in order';

CREATE FUNCTION audit.stub_message(p_digest bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN convert_to('holdfast audit stub ' || encode(p_digest, 'hex') || E'\n', 'UTF8');
COMMENT ON FUNCTION audit.stub_message IS 'The line that the TPM signs for a stub with this digest';

CREATE FUNCTION audit.stub_wrong(p_stub audit.stub) RETURNS text LANGUAGE sql STABLE
RETURN CASE
    WHEN NOT EXISTS (SELECT FROM audit.signer g WHERE g.ak_pub = p_stub.ak_pub) THEN 'it is signed by a key that is no node''s'
    WHEN NOT audit.p256_verifies((audit.ak_point(p_stub.ak_pub))[1], (audit.ak_point(p_stub.ak_pub))[2],
             audit.stub_message(audit.stub_digest(p_stub, ARRAY(SELECT r FROM audit.stub_run r WHERE r.month = p_stub.month))),
             p_stub.signature) THEN 'its signature is not right'
    WHEN (SELECT coalesce(sum(r.last_seq - r.first_seq + 1), 0) FROM audit.stub_run r WHERE r.month = p_stub.month)
         <> p_stub.rows THEN 'its runs have another number of rows' END;
COMMENT ON FUNCTION audit.stub_wrong IS 'What is wrong with a stub; NULL: it is good';

CREATE VIEW audit.stubs AS
SELECT to_char(s.month, 'YYYY-MM') AS month, s.rows, encode(s.export_sha256, 'hex') AS export_sha256, s.dropped_at,
       s.dropped_by, s.reason,
       (SELECT g.node FROM audit.signer g WHERE g.ak_pub = s.ak_pub ORDER BY g.anchored_at DESC, g.node LIMIT 1) AS node, encode(d.digest, 'hex') AS digest,
       convert_from(audit.stub_message(d.digest), 'UTF8') AS message, encode(s.signature, 'hex') AS signature,
       coalesce(audit.stub_wrong(s), 'good') AS verdict
  FROM audit.stub s CROSS JOIN LATERAL (SELECT audit.stub_digest(s, ARRAY(SELECT r FROM audit.stub_run r WHERE r.month = s.month)) AS digest) AS d;
COMMENT ON VIEW audit.stubs IS 'Months that were dropped, when, by whom and why, and whether the signature of the TPM is right';
COMMENT ON COLUMN audit.stubs.month IS 'The month (UTC)';
COMMENT ON COLUMN audit.stubs.rows IS 'How many rows it had';
COMMENT ON COLUMN audit.stubs.export_sha256 IS 'SHA-256 of the file that has them';
COMMENT ON COLUMN audit.stubs.dropped_at IS 'When it was dropped';
COMMENT ON COLUMN audit.stubs.dropped_by IS 'By whom';
COMMENT ON COLUMN audit.stubs.reason IS 'Why';
COMMENT ON COLUMN audit.stubs.node IS 'The node whose TPM signed, the latest that it was; NULL: none that is known';
COMMENT ON COLUMN audit.stubs.digest IS 'SHA-256 of all that is signed: audit.stub_digest()';
COMMENT ON COLUMN audit.stubs.message IS 'The line that was signed, with its line feed';
COMMENT ON COLUMN audit.stubs.signature IS 'ECDSA with P-256 and SHA-256: r and s';
COMMENT ON COLUMN audit.stubs.verdict IS 'good, or what is wrong';

-- ---- months ----
CREATE FUNCTION audit.month_partition(p_month date) RETURNS regclass LANGUAGE sql STABLE
RETURN (SELECT c.oid::regclass FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE i.inhparent = 'audit.event'::regclass AND c.relname = 'event_' || to_char(p_month, 'YYYY_MM'));
COMMENT ON FUNCTION audit.month_partition IS 'The partition of a month; NULL where there is none';

-- The bounds of a month, in which its rows are: inlined, so that other months are left out.
CREATE FUNCTION audit.month_begin(p_month date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_month::timestamp AT TIME ZONE 'UTC';
COMMENT ON FUNCTION audit.month_begin IS 'When a month begins (UTC), given its first day';
CREATE FUNCTION audit.month_end(p_month date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_month + interval '1 month') AT TIME ZONE 'UTC';
COMMENT ON FUNCTION audit.month_end IS 'When a month is over (UTC), given its first day';

CREATE FUNCTION audit.month_runs(p_month date) RETURNS SETOF audit.stub_run LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT p_month, r.stream, min(r.seq), max(r.seq), (array_agg(r.previous ORDER BY r.seq))[1],
           (array_agg(r.hash ORDER BY r.seq DESC))[1]
      FROM (SELECT o.*, count(*) FILTER (WHERE o.opens) OVER (PARTITION BY o.stream ORDER BY o.seq) AS run
              FROM (SELECT e.stream, e.seq, e.previous, e.hash,
                           e.seq <> coalesce(lag(e.seq) OVER w, -1) + 1 AS opens
                      FROM audit.event e WHERE e.at >= audit.month_begin(p_month)
                       AND e.at < audit.month_end(p_month)
                    WINDOW w AS (PARTITION BY e.stream ORDER BY e.seq)) AS o
             WHERE true) AS r
     GROUP BY r.stream, r.run
$$;
COMMENT ON FUNCTION audit.month_runs IS 'The rows of a month as runs of consecutive numbers, each with the hashes before and after it';

-- One row for each thing that is wrong, none where all is right: hashes, links, and what stands before and after.
CREATE FUNCTION audit.verify_month(p_month date)
RETURNS TABLE (stream uuid, seq bigint, what text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT o.stream, o.seq, CASE WHEN o.bad THEN 'the row does not match its hash' ELSE 'the row does not follow the one before it' END
      FROM (SELECT e.stream, e.seq, e.hash <> audit.row_hash(e) AS bad,
                   e.seq = lag(e.seq) OVER w + 1 AND e.previous <> lag(e.hash) OVER w AS loose
              FROM audit.event e WHERE e.at >= audit.month_begin(p_month)
               AND e.at < audit.month_end(p_month)
            WINDOW w AS (PARTITION BY e.stream ORDER BY e.seq)) AS o WHERE o.bad OR o.loose
    UNION ALL
    SELECT r.stream, r.first_seq, 'the row before this one is missing or another' FROM audit.month_runs(p_month) r
     WHERE NOT (r.first_seq = 1 AND r.before = decode(repeat('00', 32), 'hex')
                OR EXISTS (SELECT FROM audit.event e WHERE e.stream = r.stream AND e.seq = r.first_seq - 1 AND e.hash = r.before)
                OR EXISTS (SELECT FROM audit.stub_run t WHERE t.stream = r.stream AND t.last_seq = r.first_seq - 1 AND t.after = r.before))
    UNION ALL
    SELECT r.stream, r.last_seq, 'the row after this one is missing or another' FROM audit.month_runs(p_month) r
     WHERE NOT (EXISTS (SELECT FROM audit.stream s WHERE s.id = r.stream AND s.seq = r.last_seq AND s.hash = r.after)
                OR EXISTS (SELECT FROM audit.event e WHERE e.stream = r.stream AND e.seq = r.last_seq + 1 AND e.previous = r.after)
                OR EXISTS (SELECT FROM audit.stub_run t WHERE t.stream = r.stream AND t.first_seq = r.last_seq + 1 AND t.before = r.after))
    UNION ALL
    SELECT NULL, NULL, format('%s rows of the month are in the partition for rows without one', count(*))
      FROM audit.event_default d WHERE d.at >= audit.month_begin(p_month)
       AND d.at < audit.month_end(p_month) HAVING count(*) > 0
$$;
COMMENT ON FUNCTION audit.verify_month IS 'What is wrong with the rows of a month, one row for each; none: all is right. As audit.verify(), for one month';

-- ---- acts ----
CREATE FUNCTION audit.set_retention(p_keep_months integer, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_keep_months IS NULL OR p_keep_months NOT BETWEEN 1 AND 1200 OR coalesce(p_reason, '') = '' THEN
        RAISE EXCEPTION 'a retention period is 1 to 1200 months, with a reason' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.retention AS r (keep_months, reason, changed_by) VALUES (p_keep_months, p_reason, audit.actor())
    ON CONFLICT (one) DO UPDATE SET keep_months = p_keep_months, reason = p_reason, changed_at = now(), changed_by = audit.actor();
    PERFORM audit.note('Admin Set Audit Retention', format('keep_months=%s reason=%s', p_keep_months, p_reason));
END
$$;
COMMENT ON FUNCTION audit.set_retention IS 'How many whole months audit rows are kept at least: SELECT audit.set_retention(84, ''seven years, bookkeeping law'')';

CREATE FUNCTION audit.check_rows(p_month date, p_rows bigint) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    SELECT count(*) INTO n FROM audit.event e WHERE e.at >= audit.month_begin(p_month) AND e.at < audit.month_end(p_month);
    IF n IS DISTINCT FROM p_rows THEN
        RAISE EXCEPTION 'month % has % rows, the export %', to_char(p_month, 'YYYY-MM'), n, p_rows
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Export the month again.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit.check_rows IS 'An error unless a month has this number of rows; internal';

-- Of a month that is not over there is no export that has all of it.
CREATE FUNCTION audit.record_export(p_month date, p_rows bigint, p_sha256 bytea) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF audit.month_end(p_month) > now() THEN
        RETURN;
    END IF;
    PERFORM audit.check_rows(p_month, p_rows);
    INSERT INTO audit.export AS x (month, rows, sha256, by_whom) VALUES (p_month, p_rows, p_sha256, audit.actor())
    ON CONFLICT (month) DO UPDATE SET rows = p_rows, sha256 = p_sha256, at = now(), by_whom = audit.actor();
END
$$;
COMMENT ON FUNCTION audit.record_export IS 'Keeps number of rows and SHA-256 of the latest export of a month that is over, by which alone it may be dropped; internal';

CREATE FUNCTION audit.note_export(p_what text, p_month date, p_rows bigint, p_sha256 bytea) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_rows IS NULL OR p_rows < 0 OR octet_length(p_sha256) IS DISTINCT FROM 32 THEN
        RAISE EXCEPTION 'an export has a number of rows and a SHA-256' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_month IS NOT NULL THEN
        IF p_month <> date_trunc('month', p_month) OR audit.month_partition(p_month) IS NULL THEN
            RAISE EXCEPTION 'there is no month %', p_month USING ERRCODE = 'no_data_found';
        END IF;
        PERFORM audit.record_export(p_month, p_rows, p_sha256);
    END IF;
    PERFORM audit.note('Admin Export Audit', format('%s rows=%s sha256=%s', left(p_what, 512), p_rows, encode(p_sha256, 'hex')));
END
$$;
COMMENT ON FUNCTION audit.note_export IS 'Records that audit rows were exported: what, the month where it is a whole one (else NULL), how many rows, SHA-256 of the file';

-- What the node is to sign before audit.drop_month() with the same arguments; cheap: nothing is verified yet.
CREATE FUNCTION audit.drop_digest(p_month date, p_rows bigint, p_export_sha256 bytea, p_reason text, p_at timestamptz)
RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT audit.stub_digest(ROW(p_month, p_rows, p_export_sha256, p_at, audit.actor(), p_reason, NULL, NULL)::audit.stub,
                               ARRAY(SELECT r FROM audit.month_runs(p_month) r)) $$;
COMMENT ON FUNCTION audit.drop_digest IS 'The digest of the stub that audit.drop_month() would write; the running server of a node signs it: holdfast audit drop';

CREATE FUNCTION audit.check_droppable(p_month date, p_rows bigint, p_export_sha256 bytea) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text := audit.why_kept(p_month);
BEGIN
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'month % is not dropped: %', to_char(p_month, 'YYYY-MM'), wrong USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF NOT EXISTS (SELECT FROM audit.export x WHERE x.month = p_month AND x.rows = p_rows AND x.sha256 = p_export_sha256) THEN
        RAISE EXCEPTION 'month % is not dropped: the file is not that of its latest export', to_char(p_month, 'YYYY-MM')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Give that file (audit.partitions has its SHA-256), or export the month again.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit.check_droppable IS 'An error unless a month may be dropped now against this file; internal';

CREATE FUNCTION audit.drop_month(p_month date, p_rows bigint, p_export_sha256 bytea, p_reason text, p_at timestamptz,
                                 p_node uuid, p_signature bytea)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    part  regclass := audit.month_partition(p_month);
    made  audit.stub;
    wrong text;
    bad   record;
BEGIN
    PERFORM audit.check_droppable(p_month, p_rows, p_export_sha256); -- before anybody is made to wait
    IF coalesce(p_reason, '') = '' OR p_at IS NULL OR p_at NOT BETWEEN now() - interval '1 day' AND now() + interval '1 hour' THEN
        RAISE EXCEPTION 'a reason and the present time are needed' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', part); -- no row comes in from here on; readers go on
    PERFORM audit.check_droppable(p_month, p_rows, p_export_sha256); -- what was true while it waited for the lock
    SELECT * INTO bad FROM audit.verify_month(p_month) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'month % is not dropped: stream %, row %: %', to_char(p_month, 'YYYY-MM'), bad.stream, bad.seq, bad.what
            USING ERRCODE = 'data_corrupted', HINT = 'SELECT * FROM audit.verify() tells all that is wrong.';
    END IF;
    PERFORM audit.check_rows(p_month, p_rows);
    made := ROW(p_month, p_rows, p_export_sha256, p_at, audit.actor(), p_reason,
                (SELECT g.ak_pub FROM audit.signer g WHERE g.node = p_node), p_signature);
    IF made.ak_pub IS NULL THEN
        RAISE EXCEPTION 'there is no node % whose attestation key is believed', p_node USING ERRCODE = 'no_data_found',
            HINT = 'holdfast init and holdfast recovery restore make it so; audit.signers shows those there are.';
    END IF;
    INSERT INTO audit.stub VALUES (made.*);
    INSERT INTO audit.stub_run SELECT * FROM audit.month_runs(p_month);
    wrong := audit.stub_wrong(made);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'month % is not dropped: the stub is not good: %', to_char(p_month, 'YYYY-MM'), wrong USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM audit.note('Admin Drop Audit Month', format('month=%s rows=%s export=%s digest=%s reason=%s', to_char(p_month, 'YYYY-MM'),
        p_rows, encode(p_export_sha256, 'hex'),
        encode(audit.stub_digest(made, ARRAY(SELECT r FROM audit.stub_run r WHERE r.month = p_month)), 'hex'), p_reason));
    -- Appends wait behind this lock: never for longer than they bear, whoever else reads the trail just now.
    PERFORM set_config('lock_timeout', '80ms', true);
    BEGIN
        EXECUTE format('ALTER TABLE audit.event DETACH PARTITION %s', part);
        EXECUTE format('DROP TABLE %s', part);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'month % is not dropped: somebody reads the audit trail just now, try again', to_char(p_month, 'YYYY-MM')
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END;
END
$$;
COMMENT ON FUNCTION audit.drop_month IS 'Drops a month whose retention period is over, whose rows verify, and whose latest recorded export has this number of rows and SHA-256; leaves a stub signed by the node''s TPM. All in one transaction. Called by holdfast audit drop';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT SELECT ON audit.retention, audit.export, audit.stub, audit.stub_run, audit.stubs TO holdfast_auditor;
GRANT SELECT ON audit.retention TO holdfast_policy;
GRANT EXECUTE ON FUNCTION audit.stub_digest, audit.stub_message, audit.stub_wrong, audit.month_partition, audit.month_begin,
    audit.month_end, audit.month_runs, audit.verify_month, audit.note_export TO holdfast_auditor;
GRANT EXECUTE ON FUNCTION audit.set_retention, audit.drop_digest, audit.drop_month, audit.month_partition, audit.month_begin,
    audit.month_end TO holdfast_policy;
