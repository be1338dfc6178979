-- audit.verify() as in 0008_verify.sql, but that rows which went with a month are covered by its stub, and by that alone.
CREATE OR REPLACE FUNCTION audit.verify(p_stream uuid DEFAULT NULL)
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
    good      date[] := '{}';
    gone      bigint := 0;
    stub      audit.stub;
BEGIN
    FOR stub IN SELECT * FROM audit.stub ORDER BY month LOOP
        detail := audit.stub_wrong(stub);
        IF detail IS NULL THEN
            good := good || stub.month;
        ELSE
            stream := NULL; seq := NULL; what := 'forged';
            detail := format('the stub of month %s does not count: %s', to_char(stub.month, 'YYYY-MM'), detail);
            wrong := wrong + 1; RETURN NEXT;
        END IF;
    END LOOP;
    FOR e IN
        SELECT * FROM (
            SELECT v.stream, v.seq, v.seq AS last, 0 AS gone, v.previous, v.hash, audit.row_hash(v) AS computed, v.detail,
                   h.id IS NOT NULL AS has_head, h.seq AS head_seq, h.hash AS head_hash,
                   CASE WHEN v.seq = 1 THEN audit.opening_detail(h) END AS opening
              FROM audit.event v LEFT JOIN audit.stream h ON h.id = v.stream
             WHERE p_stream IS NULL OR v.stream = p_stream
            UNION ALL
            -- rows that went with a month stand as one, where the month's stub is good
            SELECT r.stream, r.first_seq, r.last_seq, r.last_seq - r.first_seq + 1, r.before, r.after, r.after, NULL, h.id IS NOT NULL, h.seq, h.hash, NULL
              FROM audit.stub_run r LEFT JOIN audit.stream h ON h.id = r.stream
             WHERE r.month = ANY (good) AND (p_stream IS NULL OR r.stream = p_stream)
             ORDER BY stream, seq) AS ordered
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL -- closes the last stream
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
        IF e.gone > 0 THEN
            gone := gone + e.gone;
        ELSE
            rows := rows + 1;
        END IF;
        IF e.seq <= last_seq THEN
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
            IF e.opening IS NOT NULL AND e.detail IS DISTINCT FROM e.opening THEN
                stream := now_in; seq := 1; what := 'changed';
                detail := 'opener or predecessor of the stream are not those of its first row';
                wrong := wrong + 1; RETURN NEXT;
            END IF;
        END IF;
        IF e.last >= last_seq THEN
            last_seq := e.last;
            last_hash := e.hash;
        END IF;
    END LOOP;

    -- Streams that lost all rows, and tails that successors remember.
    FOR s IN SELECT h.id, h.seq FROM audit.stream h
              WHERE (p_stream IS NULL OR h.id = p_stream) AND h.seq > 0
                AND NOT EXISTS (SELECT FROM audit.event v WHERE v.stream = h.id)
                AND NOT EXISTS (SELECT FROM audit.stub_run r WHERE r.stream = h.id AND r.month = ANY (good))
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
                                       AND v.seq = s.seq AND v.hash = s.hash)
           AND NOT EXISTS (SELECT FROM audit.stub_run r WHERE r.stream = s.predecessor AND r.month = ANY (good)
                              AND (r.last_seq = s.seq AND r.after = s.hash OR s.seq >= r.first_seq AND s.seq < r.last_seq)) THEN
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
        detail := format('%s streams, %s rows: every hash, link, head and predecessor is right%s', streams, rows,
            CASE WHEN gone > 0 THEN format('; %s rows went with %s months, whose stubs are signed', gone, cardinality(good)) END);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION audit.verify IS 'Verifies the audit trail, or one stream: one row for each thing that is wrong (changed, removed, reordered, added, forged), or a single row "verified". Rows that went with a dropped month must be covered by a signed stub. Usage: SELECT * FROM audit.verify();';
