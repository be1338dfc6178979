-- Four eyes: what a rule with the effect "approval" permits only once administrators have approved it.
-- A client asks and is refused, with the number of its request; administrators approve; the client asks again and
-- it is done, once. A worker finds the request before it decides; what follows from it is part of the transaction
-- that writes the audit rows: a refusal opens the request, what is done uses it up.

CREATE FUNCTION policy.domain_approval_hours(p_domain text, p_hours integer, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place  bigint;
    before integer;
BEGIN
    IF coalesce(p_hours NOT BETWEEN 1 AND 8760, true) THEN
        PERFORM policy.mistake(format('requests can wait for 1 to 8760 hours, not for %s',
                                      coalesce(p_hours::text, 'NULL')));
    END IF;
    PERFORM policy.check_reason(p_reason);
    place := policy.domain_lock(p_domain);
    SELECT approval_hours INTO before FROM policy.domain WHERE id = place;
    UPDATE policy.domain SET approval_hours = p_hours WHERE id = place;
    PERFORM audit.note('Admin Change Domain', format('domain=%s approval_hours=%s was=%s reason=%s', p_domain, p_hours,
                                                     before, p_reason));
END
$$;
COMMENT ON FUNCTION policy.domain_approval_hours IS 'Sets for how many hours the requests of a domain wait for approval; holds for those that are asked from now on';

-- ---- administrators ----
-- An operator is told as "alice@host" or "root for alice@host".
CREATE FUNCTION policy.is_approver(p_client text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN lower(p_client) IN (lower(session_user), lower(coalesce(current_setting('holdfast.operator', true), '')))
    OR lower(p_client) = ANY (string_to_array(lower(split_part(coalesce(current_setting('holdfast.operator', true), ''),
                                                              '@', 1)), ' for '));
COMMENT ON FUNCTION policy.is_approver IS 'Whether who approves has the name of this client; internal';

CREATE FUNCTION policy.open_request(p_id bigint, p_states text[]) RETURNS policy.request LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r policy.request;
BEGIN
    SELECT * INTO r FROM policy.request WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('there is no request %s', p_id), 'Those that wait are in policy.requests.');
    ELSIF r.state IN ('waiting', 'approved') AND r.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'request % expired at %', p_id, r.expires_at USING
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The client may ask again.';
    ELSIF r.state <> ALL (p_states) THEN
        RAISE EXCEPTION 'request % is %', p_id, CASE r.state WHEN 'used' THEN 'used up: it was approved and done'
                                                     ELSE r.state || ' already' END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN r;
END
$$;
COMMENT ON FUNCTION policy.open_request IS 'Locks a request that is in one of the states and has not expired; an error if there is none; internal';

CREATE FUNCTION policy.note_request(p_operation text, p_request policy.request, p_more text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT audit.note(p_operation, format('request=%s client=%s permission=%s rule=%s %s', p_request.id,
                      (SELECT name FROM policy.client WHERE id = p_request.client), p_request.permission,
                      p_request.rule, p_more), p_request.object)
$$;
COMMENT ON FUNCTION policy.note_request IS 'The audit row of a decision about a request; internal';

-- Four eyes are of different people. The operator is what a session says of itself: it tells those apart who share the
-- database user holdfast_policy, and nobody else.
CREATE FUNCTION policy.approver() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN session_user = 'holdfast_policy' THEN policy.author() ELSE session_user::text END;
COMMENT ON FUNCTION policy.approver IS 'Who approves: the database user; of the shared user holdfast_policy with the operator that it names; internal';

CREATE FUNCTION policy.approve(id bigint, reason text) RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r     policy.request;
    asker text;
    have  integer;
BEGIN
    PERFORM policy.check_reason(approve.reason);
    r := policy.open_request(approve.id, '{waiting}');
    SELECT c.name INTO asker FROM policy.client c WHERE c.id = r.client;
    IF policy.is_approver(asker) THEN
        RAISE EXCEPTION 'client % asked for request % itself and cannot approve it', asker, r.id
            USING ERRCODE = 'insufficient_privilege', HINT = 'Another administrator must look at it.';
    END IF;
    INSERT INTO policy.approval (request, approver, reason) VALUES (r.id, policy.approver(), approve.reason)
    ON CONFLICT (request, approver) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% has approved request % already and counts once', policy.approver(), r.id
            USING ERRCODE = 'unique_violation', HINT = 'Another administrator must approve it, too.';
    END IF;
    SELECT count(*) INTO have FROM policy.approval a WHERE a.request = r.id;
    IF have >= r.needed THEN
        r.state := 'approved';
        UPDATE policy.request q SET state = r.state WHERE q.id = r.id;
    END IF;
    PERFORM policy.note_request('Admin Approve Request', r,
                                format('approvals=%s needed=%s state=%s reason=%s', have, r.needed, r.state,
                                       approve.reason));
    RETURN r.state;
END
$$;
COMMENT ON FUNCTION policy.approve IS 'Approves a request of policy.requests: SELECT policy.approve(12, ''ticket 4711''). Each administrator counts once, the client that asks not at all: a database user of its own is one administrator, whatever operator it names. Returns approved, or waiting while more approvals are needed.';

CREATE FUNCTION policy.refuse(id bigint, reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r policy.request;
BEGIN
    PERFORM policy.check_reason(refuse.reason);
    r := policy.open_request(refuse.id, '{waiting,approved}');
    UPDATE policy.request q SET state = 'refused', ended_at = clock_timestamp() WHERE q.id = r.id;
    PERFORM policy.note_request('Admin Refuse Request', r, format('was=%s reason=%s', r.state, refuse.reason));
END
$$;
COMMENT ON FUNCTION policy.refuse IS 'Refuses a request, or takes back an approval that was not used yet: SELECT policy.refuse(12, ''not this quarter''). The client may ask again, which is another request.';

CREATE VIEW policy.requests AS
SELECT r.id AS number, c.name AS client, d.name AS domain, r.permission, r.object,
       (SELECT array_agg(n.value ORDER BY n.position) FROM kmip.name n
         WHERE n.object = r.object AND n.position >= 0) AS names,
       r.rule, (SELECT u.reason FROM policy.rule u WHERE u.id = r.rule) AS rule_reason,
       (SELECT count(*) FROM policy.approval a WHERE a.request = r.id) AS approvals, r.needed,
       (SELECT array_agg(a.approver ORDER BY a.at, a.approver)
          FROM policy.approval a WHERE a.request = r.id) AS approvers,
       r.state, r.asked_at, r.expires_at
  FROM policy.request r JOIN policy.client c ON c.id = r.client JOIN policy.domain d ON d.id = r.domain
 WHERE r.state IN ('waiting', 'approved') AND r.expires_at > now();
COMMENT ON VIEW policy.requests IS 'What waits for approval, or is approved and not done yet: policy.approve(number, reason), policy.refuse(number, reason)';
COMMENT ON COLUMN policy.requests.number IS 'Number of the request';
COMMENT ON COLUMN policy.requests.client IS 'Who asked';
COMMENT ON COLUMN policy.requests.domain IS 'Its domain';
COMMENT ON COLUMN policy.requests.permission IS 'What it wants to do';
COMMENT ON COLUMN policy.requests.object IS 'With which object';
COMMENT ON COLUMN policy.requests.names IS 'The names of the object';
COMMENT ON COLUMN policy.requests.rule IS 'Number of the rule that wants the approval';
COMMENT ON COLUMN policy.requests.rule_reason IS 'Why that rule stands there; NULL once it is gone';
COMMENT ON COLUMN policy.requests.approvals IS 'How many administrators have approved';
COMMENT ON COLUMN policy.requests.needed IS 'How many must';
COMMENT ON COLUMN policy.requests.approvers IS 'Who has';
COMMENT ON COLUMN policy.requests.state IS 'waiting; approved: the client may do it once';
COMMENT ON COLUMN policy.requests.asked_at IS 'When it was asked first';
COMMENT ON COLUMN policy.requests.expires_at IS 'Until when it may be approved and done';

-- ---- workers ----
-- Looked at before a request is decided. A number that is not used leaves a gap.
CREATE FUNCTION policy.find_request(p_client uuid, p_permission text, p_object uuid, p_needed integer)
RETURNS TABLE (number bigint, approved boolean, expired bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r policy.request;
BEGIN
    SELECT * INTO r FROM policy.request q WHERE q.client = p_client AND q.permission = p_permission
       AND q.object = p_object AND q.state IN ('waiting', 'approved');
    IF r.expires_at > clock_timestamp() THEN
        RETURN QUERY SELECT r.id, r.state = 'approved' AND r.needed >= p_needed, 0::bigint;
    ELSE
        RETURN QUERY SELECT nextval('policy.request_id_seq'), false, coalesce(r.id, 0);
    END IF;
END
$$;
COMMENT ON FUNCTION policy.find_request IS 'The open request of a client for an operation on an object, and whether so many have approved it; else the number that a new one would have, and the one that expired, whose place it takes (0: none)';

-- Claims of a group of units: kind 1 asks (opens the request, or finds it open), 2 uses it up. One place in all
-- arrays for each. Locks what is used, so that of two who want to use one approval the second sees the first.
CREATE FUNCTION policy.claims_lost(p_kinds integer[], p_numbers bigint[], p_askers uuid[], p_permissions text[],
                                   p_objects uuid[], p_needed integer[])
RETURNS TABLE (place integer) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM policy.request r WHERE r.id = ANY (p_numbers) ORDER BY r.id FOR UPDATE;
    RETURN QUERY
    WITH claim AS (
        SELECT * FROM unnest(p_kinds, p_numbers, p_askers, p_permissions, p_objects, p_needed) WITH ORDINALITY
            AS c(kind, number, asker, permission, object, needed, place))
    -- used, unless it is approved for just this, and by nobody before in this group
    SELECT c.place::integer FROM claim c
     WHERE c.kind = 2
       AND (NOT EXISTS (SELECT FROM policy.request r WHERE r.id = c.number AND r.state = 'approved'
                           AND r.expires_at > clock_timestamp() AND r.client = c.asker
                           AND r.permission = c.permission AND r.object = c.object AND r.needed >= c.needed)
            OR EXISTS (SELECT FROM claim o WHERE o.kind = 2 AND o.number = c.number AND o.place < c.place))
    UNION ALL
    -- asked, while another request for the same stands open or is opened before in this group
    SELECT c.place::integer FROM claim c
     WHERE c.kind = 1
       AND (EXISTS (SELECT FROM policy.request r WHERE r.client = c.asker AND r.permission = c.permission
                       AND r.object = c.object AND r.state IN ('waiting', 'approved')
                       AND r.expires_at > clock_timestamp() AND r.id <> c.number
                       AND NOT EXISTS (SELECT FROM claim u WHERE u.kind = 2 AND u.number = r.id))
            OR EXISTS (SELECT FROM policy.request r WHERE r.id = c.number
                          AND (r.state NOT IN ('waiting', 'approved') OR r.expires_at <= clock_timestamp()))
            OR EXISTS (SELECT FROM claim u WHERE u.kind = 2 AND u.number = c.number)
            OR EXISTS (SELECT FROM claim o WHERE o.kind = 1 AND o.asker = c.asker AND o.permission = c.permission
                          AND o.object = c.object AND o.number <> c.number AND o.place < c.place));
END
$$;
COMMENT ON FUNCTION policy.claims_lost IS 'Which claims do not hold any more: their requests are run again';

CREATE FUNCTION policy.claims_write(p_kinds integer[], p_numbers bigint[], p_askers uuid[], p_permissions text[],
                                    p_objects uuid[], p_rules bigint[], p_needed integer[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c record;
BEGIN
    UPDATE policy.request r SET state = 'used', ended_at = clock_timestamp()
      FROM unnest(p_kinds, p_numbers) AS u(kind, number) WHERE u.kind = 2 AND r.id = u.number;
    FOR c IN SELECT * FROM unnest(p_kinds, p_numbers, p_askers, p_permissions, p_objects, p_rules, p_needed)
                 AS a(kind, number, asker, permission, object, rule, needed)
              WHERE a.kind = 1 ORDER BY a.number LOOP
        -- One that expired gives way, which the audit row of who asks tells: audit.note() here would make the group
        -- wait for whatever administrator has not committed yet.
        UPDATE policy.request r SET state = 'expired', ended_at = clock_timestamp()
         WHERE r.client = c.asker AND r.permission = c.permission AND r.object = c.object
           AND r.state IN ('waiting', 'approved') AND r.id <> c.number AND r.expires_at <= clock_timestamp();
        INSERT INTO policy.request (id, domain, client, permission, object, rule, needed, expires_at)
        OVERRIDING SYSTEM VALUE
        SELECT c.number, k.domain, k.id, c.permission, c.object, c.rule, c.needed,
               now() + make_interval(hours => d.approval_hours)
          FROM policy.client k JOIN policy.domain d ON d.id = k.domain WHERE k.id = c.asker
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            -- the rule may want more or fewer administrators by now than the request was opened for
            UPDATE policy.request r SET rule = c.rule, needed = c.needed,
                   state = CASE WHEN (SELECT count(*) FROM policy.approval a WHERE a.request = r.id) >= c.needed
                                THEN 'approved' ELSE 'waiting' END
             WHERE r.id = c.number AND r.needed <> c.needed AND r.state IN ('waiting', 'approved');
            IF NOT EXISTS (SELECT FROM policy.request r WHERE r.id = c.number AND r.client = c.asker
                              AND r.permission = c.permission AND r.object = c.object) THEN
                -- another node opened one meanwhile: all back, look again
                RAISE EXCEPTION 'a request was opened meanwhile' USING ERRCODE = 'HF002';
            END IF;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION policy.claims_write IS 'Opens what is asked and uses up what is used: after policy.claims_lost(), in the same transaction';

REVOKE ALL ON FUNCTION policy.domain_approval_hours, policy.is_approver, policy.approver, policy.open_request,
    policy.note_request, policy.approve, policy.refuse, policy.find_request, policy.claims_lost, policy.claims_write
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.domain_approval_hours, policy.approve, policy.refuse TO holdfast_policy;
GRANT EXECUTE ON FUNCTION policy.find_request, policy.claims_lost, policy.claims_write TO holdfast_server;
GRANT SELECT ON policy.requests TO holdfast_policy;
