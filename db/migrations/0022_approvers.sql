-- Four eyes are of different people. The operator is what a session says of itself: it tells those apart who share the
-- database user holdfast_policy, and nobody else.

CREATE FUNCTION policy.approver() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN session_user = 'holdfast_policy' THEN policy.author() ELSE session_user::text END;
COMMENT ON FUNCTION policy.approver IS 'Who approves: the database user; of the shared user holdfast_policy with the operator that it names; internal';

CREATE OR REPLACE FUNCTION policy.approve(id bigint, reason text) RETURNS text LANGUAGE plpgsql
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
                                format('approvals=%s needed=%s state=%s reason=%s', have, r.needed, r.state, approve.reason));
    RETURN r.state;
END
$$;
COMMENT ON FUNCTION policy.approve IS 'Approves a request of policy.requests: SELECT policy.approve(12, ''ticket 4711''). Each administrator counts once, the client that asks not at all: a database user of its own is one administrator, whatever operator it names. Returns approved, or waiting while more approvals are needed.';
COMMENT ON COLUMN policy.approval.approver IS 'Database user, of holdfast_policy with the operator; each counts once';

REVOKE ALL ON FUNCTION policy.approver FROM PUBLIC;
