-- The write paths: re-check, append, open and fence of streams, administrative notes, and the commit of
-- one group of units. Composite types carry the rows of a group in one binary parameter each.

CREATE TYPE audit.entry AS (
    at          timestamptz,
    client      uuid,
    client_name text,
    fingerprint text,
    address     text,
    protocol    text,
    correlation text,
    position    integer,
    operation   text,
    object      uuid,
    result      text,
    reason      text,
    duration_us bigint,
    detail      text,
    previous    bytea,
    hash        bytea
);
COMMENT ON TYPE audit.entry IS 'One row to append; stream and number are given by audit.append(). previous and hash are made by the writer and recomputed by audit.verify().';

CREATE TYPE kmip.change AS (
    kind             integer,
    expected         bigint,
    uid              uuid,
    version          bigint,
    domain           bigint,
    owner            uuid,
    object_type      bigint,
    state            bigint,
    protection       bigint,
    algorithm        bigint,
    length           bigint,
    usage_mask       bigint,
    revocation_reason bigint,
    key_format       bigint,
    initial_date     bigint,
    activation_date  bigint,
    process_start_date bigint,
    protect_stop_date bigint,
    deactivation_date bigint,
    compromise_occurrence_date bigint,
    compromise_date  bigint,
    destroy_date     bigint,
    last_change_date bigint,
    extractable      boolean,
    never_extractable boolean,
    sensitive        boolean,
    always_sensitive boolean,
    control_mac      bytea,
    attributes       jsonb,
    envelope         bytea,
    replace_names    boolean
);
COMMENT ON TYPE kmip.change IS 'One change of one object: kind 1 insert, 2 update, 3 destroy; NULL attributes stay as they are';

CREATE TYPE kmip.new_name AS (change integer, position integer, type bigint, value text);
COMMENT ON TYPE kmip.new_name IS 'A name of the object of change number `change` (from 1)';

-- kinds of losers: 1 change, 2 name, 3 read, 4 standing; `place` counts from 1
-- Written so that it is inlined into the statement that calls it.
CREATE FUNCTION audit.recheck(p_uids uuid[], p_versions bigint[], p_clients uuid[], p_standings bigint[])
RETURNS TABLE (kind integer, place integer) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT 3, r.place::integer
      FROM unnest(p_uids, p_versions) WITH ORDINALITY AS r(uid, version, place)
      LEFT JOIN kmip.object o ON o.uid = r.uid
     WHERE o.version IS DISTINCT FROM r.version
    UNION ALL
    SELECT 4, r.place::integer
      FROM unnest(p_clients, p_standings) WITH ORDINALITY AS r(client, standing, place)
      LEFT JOIN policy.client c ON c.id = r.client AND c.enabled
     WHERE c.standing IS DISTINCT FROM r.standing;
END;
COMMENT ON FUNCTION audit.recheck IS 'What has changed since it was read: objects by version, clients by standing. Nothing: all still holds.';

CREATE FUNCTION audit.append(p_stream uuid, p_seq bigint, p_hash bytea, p_entries audit.entry[],
                             p_uids uuid[], p_versions bigint[], p_clients uuid[], p_standings bigint[])
RETURNS TABLE (kind integer, place integer) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n integer := cardinality(p_entries);
BEGIN
    RETURN QUERY SELECT * FROM audit.recheck(p_uids, p_versions, p_clients, p_standings);
    IF FOUND OR n = 0 THEN
        RETURN;
    END IF;
    UPDATE audit.stream s SET seq = p_seq + n, hash = (p_entries[n]).hash
     WHERE s.id = p_stream AND s.seq = p_seq AND s.hash = p_hash AND NOT s.fenced;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'audit stream % has moved or is fenced', p_stream USING ERRCODE = 'HF001';
    END IF;
    INSERT INTO audit.event (stream, seq, at, client, client_name, fingerprint, address, protocol,
                             correlation, position, operation, object, result, reason, duration_us,
                             detail, previous, hash)
    SELECT p_stream, p_seq + e.place, e.at, e.client, e.client_name, e.fingerprint, e.address, e.protocol,
           e.correlation, e.position, e.operation, e.object, e.result, e.reason, e.duration_us,
           e.detail, e.previous, e.hash
      FROM unnest(p_entries) WITH ORDINALITY AS e(at, client, client_name, fingerprint, address, protocol,
           correlation, position, operation, object, result, reason, duration_us, detail, previous, hash,
           place);
END
$$;
COMMENT ON FUNCTION audit.append IS 'The one way to add rows to a stream: moves the head on by compare-and-swap and inserts, if all that was read still holds; else writes nothing and returns what has changed.';

-- One row whose hash is made here: for opening rows and administrative acts.
CREATE FUNCTION audit.append_one(p_stream uuid, p_operation text, p_object uuid, p_result text, p_who text,
                                 p_detail text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head audit.stream;
    e    audit.event;
BEGIN
    SELECT * INTO STRICT head FROM audit.stream WHERE id = p_stream FOR UPDATE;
    e.stream := p_stream;
    e.seq := head.seq + 1;
    e.at := clock_timestamp();
    e.client_name := nullif(p_who, '');
    e.operation := p_operation;
    e.object := p_object;
    e.result := p_result;
    e.detail := nullif(p_detail, '');
    e.previous := head.hash;
    e.hash := audit.row_hash(e);
    INSERT INTO audit.event VALUES (e.*);
    UPDATE audit.stream SET seq = e.seq, hash = e.hash WHERE id = p_stream;
END
$$;
COMMENT ON FUNCTION audit.append_one IS 'Appends one row whose hash is computed by the database; internal';

CREATE FUNCTION audit.opening_detail(s audit.stream) RETURNS text LANGUAGE sql STABLE
RETURN 'opener=' || s.opener || ' '
    || CASE WHEN s.predecessor IS NULL THEN 'first'
            ELSE 'predecessor=' || s.predecessor || ' seq=' || s.predecessor_seq
                 || ' hash=' || encode(s.predecessor_hash, 'hex') END;
COMMENT ON FUNCTION audit.opening_detail IS 'The detail of row 1 of a stream: names opener and predecessor, so that they are under the hash';

CREATE FUNCTION audit.start_stream(p_stream uuid, p_opener text)
RETURNS TABLE (seq bigint, hash bytea) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before audit.stream;
    mine   audit.stream;
BEGIN
    -- The one that has no successor yet: the latest by its time only while no clock is set back.
    SELECT * INTO before FROM audit.stream s WHERE s.opener = p_opener
       AND NOT EXISTS (SELECT FROM audit.stream n WHERE n.predecessor = s.id)
     ORDER BY s.opened_at DESC LIMIT 1 FOR UPDATE;
    INSERT INTO audit.stream (id, opener, opened_at, predecessor, predecessor_seq, predecessor_hash, seq, hash)
    VALUES (p_stream, p_opener, clock_timestamp(), before.id, before.seq, before.hash, 0,
            decode(repeat('00', 32), 'hex'))
    RETURNING * INTO mine;
    PERFORM audit.append_one(p_stream, 'Open Stream', NULL, 'Success', NULL, audit.opening_detail(mine));
    RETURN QUERY SELECT s.seq, s.hash FROM audit.stream s WHERE s.id = p_stream;
END
$$;
COMMENT ON FUNCTION audit.start_stream IS 'Starts a stream; its first row names the stream that the same opener had before, with number and hash of its last row; internal';

-- Who opens a stream may append any rows to it: never to the one of administrative acts.
CREATE FUNCTION audit.open_stream(p_stream uuid, p_opener text)
RETURNS TABLE (seq bigint, hash bytea) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_opener = 'administration' THEN
        RAISE EXCEPTION 'the stream "administration" is written by audit.note() alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT * FROM audit.start_stream(p_stream, p_opener);
END
$$;
COMMENT ON FUNCTION audit.open_stream IS 'Starts a stream of a worker: audit.start_stream()';

CREATE FUNCTION audit.fence(p_stream uuid)
RETURNS TABLE (seq bigint, hash bytea) LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ UPDATE audit.stream s SET fenced = true WHERE s.id = p_stream RETURNING s.seq, s.hash $$;
COMMENT ON FUNCTION audit.fence IS 'Waits for the transaction that may still write to the stream, closes the stream for good and returns its head: so a COMMIT of unknown outcome is resolved';

CREATE FUNCTION audit.note(p_operation text, p_detail text DEFAULT NULL, p_object uuid DEFAULT NULL,
                           p_result text DEFAULT 'Success')
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    operator text := nullif(current_setting('holdfast.operator', true), '');
    target   uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(7234, 3);
    SELECT id INTO target FROM audit.stream WHERE opener = 'administration' AND NOT fenced
     ORDER BY opened_at DESC LIMIT 1;
    IF NOT FOUND THEN
        target := gen_random_uuid();
        PERFORM audit.start_stream(target, 'administration');
    END IF;
    PERFORM audit.append_one(target, left(p_operation, 256), p_object, left(p_result, 64),
                             session_user || coalesce(' (' || left(operator, 128) || ')', ''), left(p_detail, 1024));
END
$$;
COMMENT ON FUNCTION audit.note IS 'Records an administrative act in the stream "administration", in the caller''s transaction; the setting holdfast.operator adds who did it';

-- ---- the commit of one group ----
CREATE FUNCTION kmip.commit(p_skip_locked boolean, p_changes kmip.change[], p_names kmip.new_name[],
                            p_stream uuid, p_seq bigint, p_hash bytea, p_entries audit.entry[],
                            p_uids uuid[], p_versions bigint[], p_clients uuid[], p_standings bigint[])
RETURNS TABLE (kind integer, place integer) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    changed  uuid[];
    freed    uuid[];
    old_uids uuid[];
    old_versions bigint[];
    losers   integer := 0;
    n        integer;
    m        integer;
BEGIN
    -- 1. Lock what will change, in the order of uids, and compare versions. Nothing is written before
    --    all is known to hold: losing is an answer, not an error.
    SELECT array_agg(c.uid) INTO changed FROM unnest(p_changes) AS c WHERE c.kind > 1;
    IF changed IS NOT NULL THEN
        IF p_skip_locked THEN
            SELECT array_agg(l.uid), array_agg(l.version) INTO old_uids, old_versions FROM (
                SELECT o.uid, o.version FROM kmip.object o WHERE o.uid = ANY (changed)
                 ORDER BY o.uid FOR NO KEY UPDATE SKIP LOCKED) AS l;
        ELSE
            SELECT array_agg(l.uid), array_agg(l.version) INTO old_uids, old_versions FROM (
                SELECT o.uid, o.version FROM kmip.object o WHERE o.uid = ANY (changed)
                 ORDER BY o.uid FOR NO KEY UPDATE) AS l;
        END IF;
        RETURN QUERY
            SELECT 1, c.place::integer
              FROM (SELECT x.kind, x.uid, x.expected, x.place FROM unnest(p_changes) WITH ORDINALITY AS
                    x(kind, expected, uid, version, domain, owner, object_type, state, protection, algorithm,
                      length, usage_mask, revocation_reason, key_format, initial_date, activation_date,
                      process_start_date, protect_stop_date, deactivation_date, compromise_occurrence_date,
                      compromise_date, destroy_date, last_change_date, extractable, never_extractable,
                      sensitive, always_sensitive, control_mac, attributes, envelope, replace_names, place)
                    WHERE x.kind > 1) AS c
             WHERE NOT EXISTS (SELECT FROM unnest(old_uids, old_versions) AS l(uid, version)
                                WHERE l.uid = c.uid AND l.version = c.expected);
        GET DIAGNOSTICS n = ROW_COUNT;
        losers := losers + n;
    END IF;
    -- 2. Names: taken by a live object that this group neither destroys nor gives other names, or wanted
    --    twice in this group (the first one gets it). An object that is made and destroyed at once wants none.
    IF cardinality(p_names) > 0 THEN
        SELECT coalesce(array_agg(c.uid), '{}') INTO freed FROM unnest(p_changes) AS c
         WHERE c.kind = 3 OR c.kind = 2 AND c.replace_names;
        RETURN QUERY
            SELECT 2, w.change FROM (
                SELECT n.change, (p_changes[n.change]).domain, (p_changes[n.change]).owner, n.value,
                       (p_changes[n.change]).uid,
                       row_number() OVER (PARTITION BY (p_changes[n.change]).domain,
                                          (p_changes[n.change]).owner, n.value ORDER BY n.change) AS nth
                  FROM unnest(p_names) AS n WHERE (p_changes[n.change]).state < 5) AS w
             WHERE w.nth > 1
                OR EXISTS (SELECT FROM kmip.name t WHERE t.live AND t.domain = w.domain
                              AND t.owner = w.owner AND t.value = w.value AND t.object <> w.uid
                              AND t.object <> ALL (freed));
        GET DIAGNOSTICS n = ROW_COUNT;
        losers := losers + n;
    END IF;
    -- 3. What was only read, before the group's own changes move it.
    RETURN QUERY SELECT * FROM audit.recheck(p_uids, p_versions, p_clients, p_standings);
    GET DIAGNOSTICS n = ROW_COUNT;
    losers := losers + n;
    IF losers > 0 THEN
        RETURN;
    END IF;
    -- 4. Apply.
    IF changed IS DISTINCT FROM NULL AND cardinality(changed) = cardinality(p_changes) THEN
        n := 0; -- no inserts
    ELSE
        INSERT INTO kmip.object
        SELECT c.uid, c.version, c.domain, c.owner, c.object_type, c.state, c.protection, c.algorithm,
               c.length, c.usage_mask, c.revocation_reason, c.key_format, c.initial_date, c.activation_date,
               c.process_start_date, c.protect_stop_date, c.deactivation_date,
               c.compromise_occurrence_date, c.compromise_date, c.destroy_date, c.last_change_date,
               c.extractable, c.never_extractable, c.sensitive, c.always_sensitive, c.control_mac,
               coalesce(c.attributes, '{}')
          FROM unnest(p_changes) AS c WHERE c.kind = 1;
        INSERT INTO kmip.material (uid, envelope)
        SELECT c.uid, c.envelope FROM unnest(p_changes) AS c WHERE c.kind = 1;
    END IF;
    IF changed IS NOT NULL THEN
        UPDATE kmip.object o
           SET version = c.version, state = c.state, usage_mask = c.usage_mask,
               revocation_reason = c.revocation_reason, activation_date = c.activation_date,
               process_start_date = c.process_start_date, protect_stop_date = c.protect_stop_date,
               deactivation_date = c.deactivation_date,
               compromise_occurrence_date = c.compromise_occurrence_date,
               compromise_date = c.compromise_date, destroy_date = c.destroy_date,
               last_change_date = c.last_change_date, extractable = c.extractable,
               never_extractable = c.never_extractable, sensitive = c.sensitive,
               always_sensitive = c.always_sensitive, control_mac = c.control_mac,
               attributes = coalesce(c.attributes, o.attributes)
          FROM unnest(p_changes) AS c
         WHERE c.kind > 1 AND o.uid = c.uid AND o.version = c.expected;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n <> cardinality(changed) THEN
            RAISE EXCEPTION 'a locked object changed' USING ERRCODE = 'HF002';
        END IF;
        SELECT array_agg(c.uid) INTO changed FROM unnest(p_changes) AS c WHERE c.kind = 3;
        IF changed IS NOT NULL THEN
            UPDATE kmip.material SET envelope = decode(repeat('00', octet_length(envelope)), 'hex')
             WHERE uid = ANY (changed) AND envelope IS NOT NULL;
            UPDATE kmip.material SET envelope = NULL WHERE uid = ANY (changed) AND envelope IS NOT NULL;
        END IF;
        IF changed IS NOT NULL THEN
            UPDATE kmip.name SET live = false WHERE object = ANY (changed) AND live;
        END IF;
        SELECT array_agg(c.uid) INTO changed FROM unnest(p_changes) AS c WHERE c.kind = 2 AND c.replace_names;
        IF changed IS NOT NULL THEN
            UPDATE kmip.name SET live = false, position = -1 WHERE object = ANY (changed) AND live;
        END IF;
    END IF;
    m := cardinality(p_names);
    IF m > 0 THEN
        INSERT INTO kmip.name (object, position, domain, owner, type, value, live)
        SELECT (p_changes[n.change]).uid, n.position, (p_changes[n.change]).domain,
               (p_changes[n.change]).owner, n.type, n.value, (p_changes[n.change]).state < 5
          FROM unnest(p_names) AS n ORDER BY 3, 4, 6
        ON CONFLICT (domain, owner, value) WHERE live DO NOTHING;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n <> m THEN
            -- another node took a name between steps 2 and 4: all back, look again
            RAISE EXCEPTION 'a name was taken meanwhile' USING ERRCODE = 'HF002';
        END IF;
    END IF;
    -- 5. The audit rows.
    PERFORM audit.append(p_stream, p_seq, p_hash, p_entries, '{}', '{}', '{}', '{}');
END
$$;
COMMENT ON FUNCTION kmip.commit IS 'The changes and audit rows of one group of units: all of it, or nothing and the list of those that lost a race';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kmip, audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmip.effective_state TO holdfast_server, holdfast_auditor;
GRANT EXECUTE ON FUNCTION kmip.commit TO holdfast_server;
GRANT USAGE ON SCHEMA audit TO holdfast_server, holdfast_policy, holdfast_auditor;
GRANT EXECUTE ON FUNCTION audit.recheck, audit.append, audit.open_stream, audit.fence,
    audit.make_partitions TO holdfast_server;
GRANT EXECUTE ON FUNCTION audit.note TO holdfast_server, holdfast_policy;
