-- The commit of one group again, for attribute operations: a name that an object gives up in this group
-- may go to another object of the group. Replaces the function of 0005_commit.sql as a whole.
CREATE OR REPLACE FUNCTION kmip.commit(p_skip_locked boolean, p_changes kmip.change[], p_names kmip.new_name[],
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
