-- SELECT * FROM audit.verify(): recomputes every hash, follows every chain, compares tails with heads
-- and successors, and names what is wrong. STABLE, so that all of it looks at one snapshot.
CREATE FUNCTION audit.verify_bad_rows(p_stream uuid, p_bad bigint[], p_missing bigint[])
RETURNS TABLE (stream uuid, seq bigint, what text, detail text) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    row_now audit.event;
    trial   audit.event;
    place   bigint;
    stood   bigint;
BEGIN
    -- A row whose hash is right for another number was moved; otherwise its contents were changed.
    FOR row_now IN SELECT * FROM audit.event e WHERE e.stream = p_stream AND e.seq = ANY (p_bad) ORDER BY e.seq LOOP
        stood := NULL;
        FOREACH place IN ARRAY p_bad || p_missing LOOP
            CONTINUE WHEN place = row_now.seq;
            trial := row_now;
            trial.seq := place;
            IF audit.row_hash(trial) = row_now.hash THEN
                stood := place;
                EXIT;
            END IF;
        END LOOP;
        RETURN QUERY SELECT p_stream, row_now.seq,
            CASE WHEN stood IS NULL THEN 'changed' ELSE 'reordered' END,
            CASE WHEN stood IS NULL THEN 'the row does not match its hash'
                 ELSE format('this row was written as row %s', stood) END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.verify_bad_rows IS 'Tells changed rows from moved ones; internal';

CREATE FUNCTION audit.verify(p_stream uuid DEFAULT NULL)
RETURNS TABLE (stream uuid, seq bigint, what text, detail text) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    zero      constant bytea := decode(repeat('00', 32), 'hex');
    most      constant integer := 200;   -- rows of one stream that are looked at closely
    e         record;
    s         record;
    now_in    uuid;
    head_seq  bigint;
    head_hash bytea;
    has_head  boolean;
    opening   text;
    last_seq  bigint;
    last_hash bytea;
    bad       bigint[];
    missing   bigint[];
    gap       boolean;
    streams   bigint := 0;
    rows      bigint := 0;
    wrong     bigint := 0;
    n         bigint;
BEGIN
    FOR e IN
        SELECT * FROM (
            SELECT v.stream, v.seq, v.previous, v.hash, audit.row_hash(v) AS computed, v.detail,
                   h.id IS NOT NULL AS has_head, h.seq AS head_seq, h.hash AS head_hash,
                   CASE WHEN v.seq = 1 THEN audit.opening_detail(h) END AS opening
              FROM audit.event v LEFT JOIN audit.stream h ON h.id = v.stream
             WHERE p_stream IS NULL OR v.stream = p_stream
             ORDER BY v.stream, v.seq) AS ordered
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL -- closes the last stream
    LOOP
        IF now_in IS DISTINCT FROM e.stream THEN
            IF now_in IS NOT NULL THEN
                -- the end of a stream: its tail against its head, and a closer look at bad rows
                IF NOT has_head THEN
                    stream := now_in; seq := NULL; what := 'removed';
                    detail := format('the head of this stream is gone; it has %s rows', last_seq);
                    wrong := wrong + 1; RETURN NEXT;
                ELSIF head_seq > last_seq THEN
                    stream := now_in; seq := last_seq + 1; what := 'removed';
                    detail := format('rows %s to %s are missing at the end', last_seq + 1, head_seq);
                    wrong := wrong + 1; RETURN NEXT;
                ELSIF head_seq < last_seq THEN
                    stream := now_in; seq := head_seq + 1; what := 'added';
                    detail := format('rows %s to %s are beyond the head, or the head was set back', head_seq + 1, last_seq);
                    wrong := wrong + 1; RETURN NEXT;
                ELSIF head_hash <> last_hash AND NOT last_seq = ANY (bad) THEN
                    stream := now_in; seq := last_seq; what := 'changed';
                    detail := 'the last row is not the one that the head names';
                    wrong := wrong + 1; RETURN NEXT;
                END IF;
                IF cardinality(bad) > 0 THEN
                    RETURN QUERY SELECT * FROM audit.verify_bad_rows(now_in, bad[1:most], missing[1:most]);
                    IF cardinality(bad) > most THEN
                        stream := now_in; seq := bad[most + 1]; what := 'changed';
                        detail := format('this and %s further rows of the stream do not match their hashes', cardinality(bad) - most - 1);
                        RETURN NEXT;
                    END IF;
                    wrong := wrong + cardinality(bad);
                END IF;
            END IF;
            EXIT WHEN e.stream IS NULL;
            streams := streams + 1;
            now_in := e.stream; last_seq := 0; last_hash := zero; bad := '{}'; missing := '{}';
            has_head := e.has_head; head_seq := e.head_seq; head_hash := e.head_hash;
        END IF;
        rows := rows + 1;
        IF e.seq = last_seq THEN
            stream := now_in; seq := e.seq; what := 'added'; detail := 'there is more than one row with this number';
            wrong := wrong + 1; RETURN NEXT;
        END IF;
        gap := e.seq > last_seq + 1;
        IF gap THEN
            stream := now_in; seq := last_seq + 1; what := 'removed';
            detail := CASE WHEN e.seq = last_seq + 2 THEN 'this row is missing'
                           ELSE format('rows %s to %s are missing', last_seq + 1, e.seq - 1) END;
            wrong := wrong + 1; RETURN NEXT;
            IF cardinality(missing) < most THEN
                missing := missing || ARRAY(SELECT generate_series(last_seq + 1, least(e.seq - 1, last_seq + most)));
            END IF;
        END IF;
        IF e.hash <> e.computed THEN
            bad := bad || e.seq;
        ELSE
            IF NOT gap AND e.previous <> last_hash AND NOT last_seq = ANY (bad) THEN
                stream := now_in; seq := last_seq; what := 'changed';
                detail := format('row %s followed another row than this one', e.seq);
                wrong := wrong + 1; RETURN NEXT;
            END IF;
            IF e.seq = 1 AND has_head AND e.detail IS DISTINCT FROM e.opening THEN
                stream := now_in; seq := 1; what := 'changed';
                detail := 'opener or predecessor of the stream are not those of its first row';
                wrong := wrong + 1; RETURN NEXT;
            END IF;
        END IF;
        last_seq := e.seq;
        last_hash := e.hash;
    END LOOP;

    -- Streams that lost all rows, and tails that successors remember.
    FOR s IN SELECT h.id, h.seq FROM audit.stream h
              WHERE (p_stream IS NULL OR h.id = p_stream) AND h.seq > 0
                AND NOT EXISTS (SELECT FROM audit.event v WHERE v.stream = h.id)
    LOOP
        stream := s.id; seq := 1; what := 'removed'; detail := format('rows 1 to %s, the whole stream, are missing', s.seq);
        wrong := wrong + 1; streams := streams + 1; RETURN NEXT;
    END LOOP;
    FOR s IN
        -- what the first row of a successor says, and what its head row says
        SELECT said.predecessor, said.predecessor_seq AS seq, said.predecessor_hash AS hash, said.id
          FROM (SELECT h.id, h.predecessor, h.predecessor_seq, h.predecessor_hash FROM audit.stream h
                 WHERE h.predecessor IS NOT NULL
                UNION
                SELECT v.stream, (m)[1]::uuid, (m)[2]::bigint, decode((m)[3], 'hex')
                  FROM audit.event v,
                       regexp_match(v.detail, 'predecessor=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) seq=([0-9]{1,18}) hash=([0-9a-f]{64})$') AS m
                 WHERE v.seq = 1 AND v.operation = 'Open Stream' AND m IS NOT NULL) AS said
         WHERE p_stream IS NULL OR said.predecessor = p_stream
    LOOP
        IF s.seq > 0 AND NOT EXISTS (SELECT FROM audit.event v WHERE v.stream = s.predecessor
                                       AND v.seq = s.seq AND v.hash = s.hash) THEN
            SELECT max(v.seq) INTO n FROM audit.event v WHERE v.stream = s.predecessor;
            stream := s.predecessor; seq := s.seq;
            what := CASE WHEN n >= s.seq THEN 'changed' ELSE 'removed' END;
            detail := format('stream %s came after row %s of this stream, which is %s', s.id, s.seq,
                             CASE WHEN n >= s.seq THEN 'now another row' ELSE 'missing' END);
            wrong := wrong + 1; RETURN NEXT;
        END IF;
    END LOOP;
    IF wrong = 0 THEN
        stream := NULL; seq := NULL; what := 'verified';
        detail := format('%s streams, %s rows: every hash, link, head and predecessor is right', streams, rows);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION audit.verify IS 'Verifies the audit trail, or one stream: one row for each thing that is wrong (changed, removed, reordered, added), or a single row "verified". Usage: SELECT * FROM audit.verify();';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO holdfast_auditor;
GRANT EXECUTE ON FUNCTION audit.verify, audit.verify_bad_rows, audit.row_hash, audit.canonical, audit.field,
    audit.microseconds, audit.opening_detail, audit.key_events, audit.client_events, audit.date_of,
    audit.state_name, audit.type_name, audit.algorithm_name TO holdfast_auditor;
GRANT USAGE ON SCHEMA audit TO holdfast_auditor;
SELECT audit.make_partitions(3);
