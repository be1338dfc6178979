-- policy.explain(): what the rules say to an operation of a client, decided as server/policy does it; a test compares
-- the two.

-- ---- the language of rules ----
CREATE FUNCTION policy.glob_matches(pattern text, value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value COLLATE "C" LIKE replace(replace(replace(replace(replace(
    pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_');
COMMENT ON FUNCTION policy.glob_matches IS 'Whether the whole value matches the pattern: * is any text, none too, ? any one character, all else itself';

CREATE FUNCTION policy.object_policy(attributes jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(attributes ->> 'OperationPolicyName', 'default');
COMMENT ON FUNCTION policy.object_policy IS 'The policy of an object by its kmip.object.attributes: its Operation Policy Name, or "default"';

-- Custom attributes of 1.x stand there as "x-Name", vendor attributes of 2.x as "vendor:Name", each as a list of
-- {"type":..,"value":..}, null where an instance was deleted.
CREATE FUNCTION policy.has_attribute(attributes jsonb, name text, value text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(attributes -> name
                @> jsonb_build_array(jsonb_build_object('type', 'TextString', 'value', value)), false);
COMMENT ON FUNCTION policy.has_attribute IS 'Whether one of the values of this text attribute in kmip.object.attributes ("x-Name", "vendor:Name") is this one';

CREATE FUNCTION policy.has_group(attributes jsonb, name text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(attributes -> 'ObjectGroup' @> jsonb_build_array(name), false);
COMMENT ON FUNCTION policy.has_group IS 'Whether one of the Object Groups in kmip.object.attributes is this one';

CREATE FUNCTION policy.share(one uuid, other uuid) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT one = other
        OR EXISTS (SELECT FROM policy.group_member a JOIN policy.group_member b USING (client_group)
                     JOIN policy.client_group g ON g.id = a.client_group AND g.shares
                    WHERE a.client = one AND b.client = other)
$$;
COMMENT ON FUNCTION policy.share IS 'Whether two clients share their objects: the same one, or both in a group that shares; internal';

CREATE FUNCTION policy.subject_covers(r policy.rule, p_client uuid) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT num_nonnulls(r.client, r.client_group, r.role) = 0
        OR r.client = p_client
        OR EXISTS (SELECT FROM policy.group_member m WHERE m.client_group = r.client_group AND m.client = p_client)
        OR EXISTS (SELECT FROM policy.role_member m WHERE m.role = r.role
                      AND (m.client = p_client
                           OR m.client_group IN (SELECT client_group FROM policy.group_member WHERE client = p_client)))
$$;
COMMENT ON FUNCTION policy.subject_covers IS 'Whether a rule is for this client: for everyone, for it, a group of it, a role of it or of a group of it; internal';

-- ---- one rule and one object ----
CREATE TYPE policy.target AS (
    known       boolean,
    uid         uuid,
    owner       uuid,
    object_type bigint,
    attributes  jsonb,
    names       text[]
);
COMMENT ON TYPE policy.target IS 'What is known of the object that a decision is about; not known: only the owner, if not NULL';

-- What is made is decided as it is to be, its owner the maker; what has no object as one of the client's without
-- anything to select by.
CREATE FUNCTION policy.target_of(who policy.client, p policy.permission, p_object uuid) RETURNS policy.target
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT true, CASE WHEN p.needs_object THEN o.uid END, CASE WHEN p.needs_object THEN o.owner ELSE who.id END,
           o.object_type, o.attributes,
           ARRAY(SELECT n.value FROM kmip.name n WHERE n.object = o.uid AND n.position >= 0)
      FROM kmip.object o WHERE p.class <> 'server' AND o.uid = p_object AND o.domain = who.domain
    UNION ALL
    SELECT p.class = 'server', NULL, CASE WHEN NOT p.needs_object THEN who.id END, NULL, '{}', '{}'
     WHERE p.class = 'server' OR p_object IS NULL
$$;
COMMENT ON FUNCTION policy.target_of IS 'The object of a decision: no row where the client''s domain has no such object; internal';

CREATE FUNCTION policy.selector_results(r policy.rule, p policy.permission, p_client uuid, t policy.target)
RETURNS TABLE (holds boolean, failed text, open text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    VALUES
    (coalesce(r.valid_from <= now(), true), 'holds only from ' || r.valid_from, NULL),
    (coalesce(now() < r.valid_until, true), 'held only until ' || r.valid_until, NULL),
    (r.policy = '*' OR CASE WHEN t.known THEN r.policy = policy.object_policy(t.attributes) END,
     format('the object''s policy is not "%s"', r.policy), 'policy'),
    (r.owner = 'any' OR CASE r.owner WHEN 'self' THEN t.owner = p_client
                                     ELSE CASE WHEN t.owner IS NOT NULL THEN policy.share(t.owner, p_client) END END,
     CASE r.owner WHEN 'self' THEN 'the client does not own the object'
                  ELSE 'neither the client nor one it shares with owns the object' END, 'owner'),
    (r.object IS NULL OR CASE WHEN NOT p.needs_object THEN false WHEN t.known THEN r.object = t.uid END,
     'it is another object', 'identifier'),
    (r.object_type IS NULL OR CASE WHEN t.known THEN coalesce(r.object_type = t.object_type, false) END,
     format('the object is no %s', audit.type_name(r.object_type)), 'type'),
    (r.object_group IS NULL OR CASE WHEN t.known THEN policy.has_group(t.attributes, r.object_group) END,
     format('the object is not in the object group "%s"', r.object_group), 'object group'),
    (r.name_pattern IS NULL
     OR CASE WHEN t.known
             THEN EXISTS (SELECT FROM unnest(t.names) AS n WHERE policy.glob_matches(r.name_pattern, n)) END,
     format('no name of the object matches "%s"', r.name_pattern), 'names'),
    (r.attribute_name IS NULL
     OR CASE WHEN t.known THEN policy.has_attribute(t.attributes, r.attribute_name, r.attribute_value) END,
     format('the object has no %s with the value "%s"', r.attribute_name, r.attribute_value), 'attributes')
$$;
COMMENT ON FUNCTION policy.selector_results IS 'Each condition of a rule: whether it holds (NULL: only the object tells), what is said where it does not, what it hangs on; internal';

-- ---- the decision ----
-- The rules that are for the client and name the permission, in the order in which they are looked at.
CREATE FUNCTION policy.considered(who policy.client, p policy.permission, t policy.target)
RETURNS TABLE (place bigint, r policy.rule, matches boolean, why text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT row_number() OVER (ORDER BY array_position('{deny,approval,allow}', r.effect),
                                        CASE r.effect WHEN 'approval' THEN -r.approvals END, r.id), r, c.matches,
           CASE WHEN NOT c.matches THEN c.failed WHEN c.matches IS NULL THEN 'depends on the object: ' || c.open END
      FROM policy.rule r
     CROSS JOIN LATERAL (
            SELECT CASE WHEN bool_or(NOT s.holds) THEN false WHEN bool_and(s.holds IS NOT NULL) THEN true END,
                   string_agg(s.failed, '; ') FILTER (WHERE NOT s.holds),
                   string_agg(s.open, ', ') FILTER (WHERE s.holds IS NULL)
              FROM policy.selector_results(r, p, who.id, t) AS s) AS c (matches, failed, open)
     WHERE r.domain = who.domain AND policy.subject_covers(r, who.id) AND policy.permits(r.permissions, p)
$$;
COMMENT ON FUNCTION policy.considered IS 'The rules for a client and a permission, denials first, then approvals, those that want most administrators first, then permissions, and whether each matches (NULL: only the object tells) and why not; internal';

-- A denial that matches decides; then a permission is needed; then an approval holds back what is permitted, of several
-- the one that wants most administrators.
CREATE FUNCTION policy.weighed(who policy.client, p policy.permission, t policy.target,
                               OUT place bigint, OUT held bigint, OUT open text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    WITH looked AS (SELECT c.place, (c.r).id, (c.r).effect, c.matches, c.matches IS NULL AS open
                      FROM policy.considered(who, p, t) AS c),
    holds AS (SELECT min(l.place) AS place FROM looked l WHERE l.matches AND l.effect = 'approval'),
    outcome AS (
        SELECT min(l.place) FILTER (WHERE l.matches AND l.effect = 'deny') AS deny,
               min(l.place) FILTER (WHERE l.matches AND l.effect = 'approval') AS approval,
               min(l.place) FILTER (WHERE l.matches AND l.effect = 'allow') AS allow,
               (array_agg(l.id ORDER BY l.place) FILTER (WHERE l.matches AND l.effect = 'approval'))[1] AS holding,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.open AND l.effect = 'deny') AS denies,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.open AND l.effect = 'approval'
                                                                    AND l.place < coalesce((SELECT h.place FROM holds h), l.place + 1))
                   AS approvals,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.open AND l.effect = 'allow') AS allows
          FROM looked l)
    SELECT CASE WHEN deny IS NOT NULL THEN deny WHEN allow IS NOT NULL THEN coalesce(approval, allow) END,
           CASE WHEN deny IS NULL AND allow IS NULL AND allows IS NULL THEN holding END,
           CASE WHEN deny IS NULL THEN nullif(concat_ws(', ', 'refused if rule ' || denies || ' matches',
               CASE WHEN allow IS NOT NULL
                    THEN CASE WHEN approval IS NULL THEN 'waits for approval' ELSE 'waits for more administrators' END
                        || ' if rule ' || approvals || ' matches'
                    WHEN allow IS NULL AND approval IS NOT NULL
                    THEN 'waits for approval if rule ' || allows || ' matches'
                    WHEN allow IS NULL THEN 'allowed if rule ' || allows || ' matches'
                        || coalesce(' (waits for approval if rule ' || approvals || ' matches, too)', '') END), '') END
      FROM outcome
$$;
COMMENT ON FUNCTION policy.weighed IS 'Which rule decides, by its place in policy.considered() (NULL: none permits), which one wants an approval of what none permits, by its number, and what only the object tells, in words; internal';

CREATE FUNCTION policy.outcome_text(r policy.rule, p policy.permission, p_held bigint)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE r.effect
    WHEN 'allow' THEN format('allowed by rule %s', r.id)
    WHEN 'approval' THEN format('waits until %s administrator%s approved it: rule %s', r.approvals,
                                CASE WHEN r.approvals > 1 THEN 's have' ELSE ' has' END, r.id)
    ELSE CASE WHEN r.id IS NULL THEN 'refused: no rule permits it' ELSE format('refused: denied by rule %s', r.id) END
         || coalesce(', and rule ' || p_held || ' only holds back what one permits', '')
         || CASE WHEN p.needs_object THEN ' (the client is told that there is no such object)'
                 ELSE ' (the client is told Permission Denied)' END
    END;
COMMENT ON FUNCTION policy.outcome_text IS 'What a rule that decides leads to, in words; a row of NULLs: no rule permits it, p_held then is one that wants an approval; internal';

CREATE FUNCTION policy.explain(client text, operation text, object uuid DEFAULT NULL)
RETURNS TABLE (rule bigint, effect text, subject text, selectors text, matches boolean, decides boolean, why text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who    policy.client := policy.client_named(explain.client);
    p      policy.permission := policy.permission_named(explain.operation);
    t      policy.target := policy.target_of(who, p, explain.object);
    winner policy.rule;
    last   bigint; -- place of the rule that decides, NULL if there is none
    held   bigint; -- number of a rule that would hold it back
    open   text;   -- what only the object tells
    stop   text;   -- what refuses all, whatever the rules say
BEGIN
    PERFORM audit.note('Admin Explain', format('client=%s operation=%s', who.name, p.name), explain.object);
    SELECT CASE WHEN NOT d.enabled THEN format('refused: the domain "%s" is disabled', d.name)
                WHEN NOT who.enabled THEN 'refused: the client is disabled'
                WHEN t.known IS NULL
                THEN format('refused: there is no such object in the client''s domain "%s"', d.name) END
      INTO stop FROM policy.domain d WHERE d.id = who.domain;
    IF t.known IS NOT NULL THEN
        SELECT w.place, w.held, w.open INTO last, held, open FROM policy.weighed(who, p, t) AS w;
        winner := (SELECT c.r FROM policy.considered(who, p, t) c WHERE c.place = last);
        RETURN QUERY
            SELECT (c.r).id, (c.r).effect, policy.subject_text((c.r).client, (c.r).client_group, (c.r).role),
                   policy.selectors_text(c.r), c.matches,
                   coalesce(c.place = last AND open IS NULL AND stop IS NULL, false),
                   coalesce(c.why, CASE WHEN c.place = last THEN 'all of its conditions hold'
                                        WHEN last IS NULL
                                        THEN 'all of its conditions hold, but it only holds back what one permits'
                                        ELSE format('would match, but rule %s comes before it', winner.id) END)
              FROM policy.considered(who, p, t) c ORDER BY c.place;
    END IF;
    RETURN QUERY
        SELECT CASE WHEN stop IS NULL AND open IS NULL THEN winner.id END,
               CASE WHEN stop IS NOT NULL THEN 'deny' WHEN open IS NULL THEN coalesce(winner.effect, 'deny') END,
               'client ' || who.name, NULL::text, NULL::boolean, stop IS NOT NULL OR open IS NULL,
               format('%s: %s', p.name,
                      coalesce(stop, 'depends on the object: ' || open || ', else '
                                     || policy.outcome_text(winner, p, held), policy.outcome_text(winner, p, held)));
END
$$;
COMMENT ON FUNCTION policy.explain IS 'What the rules say to an operation of a client: each rule that is for the client and names the operation, in the order in which they decide, and in the last row the decision. Without an object: as far as that can be told. SELECT * FROM policy.explain(''web-7'', ''get'', ''018f...'')';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.glob_matches, policy.object_policy, policy.has_attribute, policy.has_group,
    policy.explain TO holdfast_policy;
