-- The SQL API of rules, constraints and defaults: what `holdfast policy ...` calls, and what an administrator may
-- call in psql as holdfast_policy. Each change writes its audit row and raises the standing of the domain's clients
-- in the same transaction, so that it holds from their next request on.

-- ---- the language of rules, in parts that the server uses, too ----
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

CREATE FUNCTION policy.permits(permissions text[], p policy.permission) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN permissions && ARRAY['*', '@' || p.class, p.name];
COMMENT ON FUNCTION policy.permits IS 'Whether the list of a rule names this permission, its class or all; internal';

-- ---- explanations ----
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

CREATE FUNCTION policy.subject_text(p_client uuid, p_group uuid, p_role uuid) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT 'client ' || name FROM policy.client WHERE id = p_client),
                    (SELECT 'group ' || name FROM policy.client_group WHERE id = p_group),
                    (SELECT 'role ' || name FROM policy.role WHERE id = p_role), 'everyone')
$$;
COMMENT ON FUNCTION policy.subject_text IS 'For whom a rule or constraint is, as the functions take it';

CREATE FUNCTION policy.selectors_text(r policy.rule) RETURNS text LANGUAGE sql IMMUTABLE
RETURN concat_ws(', ', 'owner ' || r.owner, CASE WHEN r.policy <> '*' THEN format('policy "%s"', r.policy) END,
    'object ' || r.object::text, 'type ' || audit.type_name(r.object_type), 'object group "' || r.object_group || '"',
    'name ' || r.name_pattern, r.attribute_name || ' = ' || r.attribute_value);
COMMENT ON FUNCTION policy.selectors_text IS 'To which objects a rule applies, in words';

CREATE FUNCTION policy.permission_named(p_name text) RETURNS policy.permission LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- "Get Attribute List" and "GetAttributeList" are get-attribute-list, too
    wanted text := lower(replace(regexp_replace(trim(p_name), '([a-z])([A-Z])', '\1-\2', 'g'), ' ', '-'));
    found_row policy.permission;
BEGIN
    SELECT * INTO found_row FROM policy.permission WHERE name = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no permission for "%"', p_name USING ERRCODE = 'invalid_parameter_value',
            HINT = format('The permissions are: %s.',
                          (SELECT string_agg(name, ', ' ORDER BY name) FROM policy.permission));
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION policy.permission_named IS 'The permission by its name or by the name of its KMIP operation; an error if there is none; internal';

CREATE FUNCTION policy.client_named(p_name text) RETURNS policy.client LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM policy.client WHERE id = policy.client_id(p_name)
$$;
COMMENT ON FUNCTION policy.client_named IS 'The client by its name; an error if there is none; internal';

-- The rules that are for the client and name the permission, in the order in which they are looked at.
CREATE FUNCTION policy.considered(who policy.client, p policy.permission, t policy.target)
RETURNS TABLE (place bigint, r policy.rule, matches boolean, why text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT row_number() OVER (ORDER BY array_position('{deny,approval,allow}', r.effect), r.id), r, c.matches,
           CASE WHEN NOT c.matches THEN c.failed WHEN c.matches IS NULL THEN 'depends on the object: ' || c.open END
      FROM policy.rule r
     CROSS JOIN LATERAL (
            SELECT CASE WHEN bool_or(NOT s.holds) THEN false WHEN bool_and(s.holds IS NOT NULL) THEN true END,
                   string_agg(s.failed, '; ') FILTER (WHERE NOT s.holds),
                   string_agg(s.open, ', ') FILTER (WHERE s.holds IS NULL)
              FROM policy.selector_results(r, p, who.id, t) AS s) AS c (matches, failed, open)
     WHERE r.domain = who.domain AND policy.subject_covers(r, who.id) AND policy.permits(r.permissions, p)
$$;
COMMENT ON FUNCTION policy.considered IS 'The rules for a client and a permission, denials first, then approvals, then permissions, and whether each matches (NULL: only the object tells) and why not; internal';

-- A denial that matches decides; then a permission is needed; then an approval holds back what is permitted.
CREATE FUNCTION policy.weighed(who policy.client, p policy.permission, t policy.target,
                               OUT place bigint, OUT held bigint, OUT open text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    WITH looked AS (SELECT c.place, (c.r).id, (c.r).effect, c.matches FROM policy.considered(who, p, t) AS c),
    outcome AS (
        SELECT min(l.place) FILTER (WHERE l.matches AND l.effect = 'deny') AS deny,
               min(l.place) FILTER (WHERE l.matches AND l.effect = 'approval') AS approval,
               min(l.place) FILTER (WHERE l.matches AND l.effect = 'allow') AS allow,
               min(l.id) FILTER (WHERE l.matches AND l.effect = 'approval') AS holding,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.matches IS NULL AND l.effect = 'deny')
                   AS denies,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.matches IS NULL AND l.effect = 'approval')
                   AS approvals,
               string_agg(l.id::text, ' or ' ORDER BY l.place) FILTER (WHERE l.matches IS NULL AND l.effect = 'allow')
                   AS allows
          FROM looked l)
    SELECT CASE WHEN deny IS NOT NULL THEN deny WHEN allow IS NOT NULL THEN coalesce(approval, allow) END,
           CASE WHEN deny IS NULL AND allow IS NULL AND allows IS NULL THEN holding END,
           CASE WHEN deny IS NULL THEN nullif(concat_ws(', ', 'refused if rule ' || denies || ' matches',
               CASE WHEN allow IS NOT NULL AND approval IS NULL THEN 'waits for approval if rule ' || approvals || ' matches'
                    WHEN allow IS NULL AND approval IS NOT NULL THEN 'waits for approval if rule ' || allows || ' matches'
                    WHEN allow IS NULL THEN 'allowed if rule ' || allows || ' matches'
                        || coalesce(' (waits for approval if rule ' || approvals || ' matches, too)', '') END), '') END
      FROM outcome
$$;
COMMENT ON FUNCTION policy.weighed IS 'Which rule decides, by its place in policy.considered() (NULL: none permits), which one wants an approval of what none permits, by its number, and what only the object tells, in words; internal';

CREATE FUNCTION policy.outcome_text(r policy.rule, p policy.permission, p_held bigint) RETURNS text LANGUAGE sql IMMUTABLE
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
                                        WHEN last IS NULL THEN 'all of its conditions hold, but it only holds back what one permits'
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

-- ---- what administrators give, checked ----
CREATE FUNCTION policy.author() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT session_user
        || coalesce(' (' || left(nullif(current_setting('holdfast.operator', true), ''), 128) || ')', '')
$$;
COMMENT ON FUNCTION policy.author IS 'Who acts, as audit.note() writes it: the database user and the operator; internal';

CREATE FUNCTION policy.mistake(p_what text, p_next text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', p_what USING ERRCODE = 'invalid_parameter_value', HINT = p_next;
END
$$;
COMMENT ON FUNCTION policy.mistake IS 'Raises an error: what is wrong with what was given, and what to do; internal';

CREATE FUNCTION policy.check_text(p_what text, p_value text, p_most integer) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF trim(coalesce(p_value, '')) = '' THEN
        PERFORM policy.mistake(format('%s must not be empty', p_what));
    ELSIF octet_length(p_value) > p_most THEN
        PERFORM policy.mistake(format('%s has %s bytes, and %s is the most', p_what, octet_length(p_value), p_most));
    END IF;
END
$$;
COMMENT ON FUNCTION policy.check_text IS 'An error unless the text has something in it, and no more bytes than this; internal';

CREATE FUNCTION policy.plain(p_name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(regexp_replace(p_name, '[^A-Za-z0-9]', '', 'g'));
COMMENT ON FUNCTION policy.plain IS 'A KMIP name without what its forms differ in: "Symmetric Key", "SymmetricKey" and "symmetric-key" are the same; internal';

CREATE FUNCTION policy.number_given(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_given ~ '^[0-9]{1,9}$' THEN p_given::bigint
            WHEN p_given ~ '^0x[0-9A-Fa-f]{1,8}$' THEN ('x' || lpad(substr(p_given, 3), 8, '0'))::bit(32)::bigint END;
COMMENT ON FUNCTION policy.number_given IS 'The number, decimal or 0x.., that a text is; NULL if it is none; internal';

CREATE FUNCTION policy.kmip_number(p_what text, p_given text, p_names text[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint := policy.number_given(p_given);
BEGIN
    IF number IS NULL THEN
        number := (SELECT n.place FROM unnest(p_names) WITH ORDINALITY AS n(name, place)
                    WHERE policy.plain(n.name) = policy.plain(p_given));
    END IF;
    IF p_given IS NOT NULL AND coalesce(number NOT BETWEEN 1 AND cardinality(p_names), true) THEN
        PERFORM policy.mistake(format('there is no %s "%s"', p_what, p_given),
                               format('It is one of: %s; or its number.', array_to_string(p_names, ', ')));
    END IF;
    RETURN number;
END
$$;
COMMENT ON FUNCTION policy.kmip_number IS 'A KMIP value by its name among these, counted from 1, or by its number; an error if there is none; internal';

CREATE FUNCTION policy.type_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('Object Type', p_given, ARRAY(SELECT audit.type_name(n) FROM generate_series(1, 10) AS n))
$$;
COMMENT ON FUNCTION policy.type_number IS 'KMIP Object Type by name or number; the other way: audit.type_name()';

CREATE FUNCTION policy.algorithm_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('Cryptographic Algorithm', CASE WHEN p_given ILIKE 'DES3' THEN '3DES' ELSE p_given END,
                              ARRAY(SELECT audit.algorithm_name(n) FROM generate_series(1, 56) AS n))
$$;
COMMENT ON FUNCTION policy.algorithm_number IS 'KMIP Cryptographic Algorithm by name or number; the other way: audit.algorithm_name()';

CREATE FUNCTION policy.protection_name(protection bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE protection WHEN 1 THEN 'TPM-rooted' WHEN 2 THEN 'TPM-resident' END;
COMMENT ON FUNCTION policy.protection_name IS 'Where a key is used, in words: in the vault process, its root in the TPM, or in the TPM alone';

CREATE FUNCTION policy.protection_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('protection level', p_given, '{TPM-rooted,TPM-resident}')
$$;
COMMENT ON FUNCTION policy.protection_number IS 'Protection level by name or number';

CREATE FUNCTION policy.usage_names() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN string_to_array(
       'Sign,Verify,Encrypt,Decrypt,Wrap Key,Unwrap Key,Export,MAC Generate,MAC Verify,Derive Key,'
    || 'Content Commitment (Non Repudiation),Key Agreement,Certificate Sign,CRL Sign,Generate Cryptogram,'
    || 'Validate Cryptogram,Translate Encrypt,Translate Decrypt,Translate Wrap,Translate Unwrap,Authenticate,'
    || 'Unrestricted,FPE Encrypt,FPE Decrypt', ',');
COMMENT ON FUNCTION policy.usage_names IS 'The bits of the KMIP Cryptographic Usage Mask in words, the lowest first';

CREATE FUNCTION policy.usage_text(mask bigint) RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN mask IS NOT NULL THEN
           ARRAY(SELECT coalesce((policy.usage_names())[bit + 1], '0x' || to_hex(1::bigint << bit))
                   FROM generate_series(0, 31) AS bit WHERE mask & (1::bigint << bit) <> 0 ORDER BY bit) END
$$;
COMMENT ON FUNCTION policy.usage_text IS 'A KMIP Cryptographic Usage Mask in words; bits without a name as numbers';

CREATE FUNCTION policy.usage_mask(p_given text[]) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_given IS NOT NULL THEN coalesce(bit_or(coalesce(policy.number_given(trim(g)),
               1::bigint << (policy.kmip_number('use of keys', trim(g), policy.usage_names()) - 1)::integer)), 0) END
      FROM unnest(p_given) AS g
$$;
COMMENT ON FUNCTION policy.usage_mask IS 'A KMIP Cryptographic Usage Mask from the names of its bits; numbers among them are masks themselves';

-- ---- for whom ----
-- The row of the domain is locked: of two changes in a domain the later one sees what the earlier one did.
CREATE FUNCTION policy.domain_for(p_domain text, p_client policy.client) RETURNS policy.domain LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_row policy.domain;
BEGIN
    IF p_domain IS NULL AND p_client.id IS NULL AND (SELECT count(*) FROM policy.domain) > 1 THEN
        PERFORM policy.mistake('there are several domains, and none is named', 'Say in which domain it shall hold.');
    END IF;
    SELECT * INTO found_row FROM policy.domain d
     WHERE d.name = coalesce(p_domain, d.name) AND (p_domain IS NOT NULL OR d.id = coalesce(p_client.domain, d.id))
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no domain %', p_domain USING ERRCODE = 'no_data_found';
    ELSIF p_client.domain <> found_row.id THEN
        PERFORM policy.mistake(format('client %s is not in the domain %s', p_client.name, p_domain),
                               'Nothing crosses domains.');
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION policy.domain_for IS 'The domain of this name, locked; without a name that of the client, or the only one there is; internal';

CREATE FUNCTION policy.subject_named(p_subject text, p_domain text,
                                     OUT domain policy.domain, OUT client uuid, OUT client_group uuid, OUT role uuid)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kind   text := split_part(p_subject, ' ', 1);
    wanted text := substr(p_subject, length(kind) + 2);
    who    policy.client;
BEGIN
    IF coalesce(kind NOT IN ('everyone', 'client', 'group', 'role') OR (kind = 'everyone') <> (wanted = ''), true) THEN
        PERFORM policy.mistake(format('"%s" names nobody', p_subject),
                               'It is everyone, client NAME, group NAME or role NAME.');
    ELSIF kind = 'client' THEN
        who := policy.client_named(wanted);
    END IF;
    subject_named.domain := policy.domain_for(p_domain, who);
    subject_named.client := who.id;
    subject_named.client_group := (SELECT id FROM policy.client_group g WHERE kind = 'group'
                                      AND g.domain = (subject_named.domain).id AND g.name = wanted);
    subject_named.role := (SELECT id FROM policy.role r WHERE kind = 'role'
                              AND r.domain = (subject_named.domain).id AND r.name = wanted);
    IF kind <> 'everyone' AND num_nonnulls(subject_named.client, subject_named.client_group, subject_named.role) = 0 THEN
        RAISE EXCEPTION 'domain % has no % %', (subject_named.domain).name, kind, wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
COMMENT ON FUNCTION policy.subject_named IS 'Who is meant by everyone, "client NAME", "group NAME" or "role NAME", and in which domain; internal';

CREATE FUNCTION policy.raise_standings(p_domain bigint) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    UPDATE policy.client SET standing = standing + 1
     WHERE id IN (SELECT id FROM policy.client WHERE domain = p_domain ORDER BY id FOR NO KEY UPDATE)
$$;
COMMENT ON FUNCTION policy.raise_standings IS 'Makes a change hold for all clients of a domain from their next request on; internal';

-- Each administrative act on rules, constraints and defaults ends here.
CREATE FUNCTION policy.record(p_act text, p_domain policy.domain, p_what text, p_reason text,
                              p_object uuid DEFAULT NULL)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.raise_standings(p_domain.id);
    SELECT audit.note(p_act, format('domain=%s %s reason=%s', p_domain.name, left(p_what, 500), left(p_reason, 400)),
                      p_object);
$$;
COMMENT ON FUNCTION policy.record IS 'Raises the standings of the domain and writes the audit row of a change; internal';

-- ---- rules ----
-- Locate leaves out what is not permitted, and a template is part of another request: neither asks for one object whose
-- request could be kept.
CREATE FUNCTION policy.can_wait(p policy.permission) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN p.needs_object AND p.name NOT IN ('locate', 'use-template');
COMMENT ON FUNCTION policy.can_wait IS 'Whether a rule with the effect approval can name this permission; internal';

CREATE FUNCTION policy.check_waiting(p_permissions text[]) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cannot text := (SELECT string_agg(p.name, ', ' ORDER BY p.name) FROM policy.permission p
                     WHERE policy.permits(p_permissions, p) AND NOT policy.can_wait(p));
BEGIN
    IF cannot IS NOT NULL THEN
        PERFORM policy.mistake(format('only what is done to an object that exists, asked for by itself, can wait for approval: not %s', cannot),
            (SELECT format('Name what is meant of: %s; or all of a class: %s.', string_agg(c.names, ', '),
                           string_agg('@' || c.class, ', ') FILTER (WHERE c.whole))
               FROM (SELECT p.class, bool_and(policy.can_wait(p)) AS whole,
                            string_agg(p.name, ', ' ORDER BY p.name) FILTER (WHERE policy.can_wait(p)) AS names
                       FROM policy.permission p GROUP BY p.class ORDER BY p.class) AS c));
    END IF;
END
$$;
COMMENT ON FUNCTION policy.check_waiting IS 'An error where what these permissions name cannot all wait for approval; internal';

CREATE FUNCTION policy.check_permissions(p_permissions text[], p_effect text, p_selects boolean) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given   text;
    checked text[] := '{}';
BEGIN
    FOREACH given IN ARRAY coalesce(p_permissions, '{}') LOOP
        given := trim(given);
        IF given LIKE '@%' THEN
            IF NOT EXISTS (SELECT FROM policy.permission WHERE '@' || class = given) THEN
                PERFORM policy.mistake(format('there is no class of permissions "%s"', given),
                    format('The classes are: %s.', (SELECT string_agg(DISTINCT '@' || class, ', ') FROM policy.permission)));
            END IF;
        ELSIF given IS DISTINCT FROM '*' THEN
            given := (policy.permission_named(given)).name;
        END IF;
        checked := array_append(array_remove(checked, given), given);
    END LOOP;
    IF cardinality(checked) NOT BETWEEN 1 AND 64 THEN
        PERFORM policy.mistake('a rule names 1 to 64 permissions', 'SELECT * FROM policy.permissions shows them.');
    ELSIF p_effect = 'approval' THEN
        PERFORM policy.check_waiting(checked);
    ELSIF p_selects AND NOT EXISTS (SELECT FROM policy.permission p
                                     WHERE policy.permits(checked, p) AND p.class <> 'server') THEN
        PERFORM policy.mistake('none of these permissions is about an object that could be selected');
    END IF;
    RETURN checked;
END
$$;
COMMENT ON FUNCTION policy.check_permissions IS 'The permissions of a rule as they are stored, each once; an error for one that there is not or that the rule cannot have; internal';

CREATE FUNCTION policy.check_rule(r policy.rule) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM policy.check_text('the policy', r.policy, 255);
    IF coalesce(r.owner, '') NOT IN ('self', 'group', 'any') THEN
        PERFORM policy.mistake(format('there is no owner "%s"', r.owner),
            'self: objects of the client itself; group: of those it shares with, too; any: of all clients of the domain.');
    ELSIF r.object IS NOT NULL
      AND NOT EXISTS (SELECT FROM kmip.object o WHERE o.uid = r.object AND o.domain = r.domain) THEN
        RAISE EXCEPTION 'the domain has no object %', r.object USING ERRCODE = 'no_data_found';
    ELSIF r.attribute_name IS NULL <> (r.attribute_value IS NULL) THEN
        PERFORM policy.mistake('an attribute is selected by its name and its value, and one of them is missing');
    ELSIF r.attribute_name !~ '^([xy]-|[^:-]+:).' THEN
        PERFORM policy.mistake(format('"%s" is no custom or vendor attribute', r.attribute_name),
            'Their names are like x-Rack (KMIP 1.x) or vendor:Rack (KMIP 2.x).');
    ELSIF r.valid_from >= r.valid_until THEN
        PERFORM policy.mistake(format('the rule would never hold: it ends (%s) before it begins (%s)',
                                      r.valid_until, r.valid_from));
    ELSIF coalesce(r.approvals, 0) NOT BETWEEN 1 AND 8 THEN
        PERFORM policy.mistake(format('%s administrators cannot approve: 1 to 8 can', r.approvals));
    END IF;
    IF r.name_pattern IS NOT NULL THEN
        PERFORM policy.check_text('the name pattern', r.name_pattern, 1024);
    END IF;
    IF r.object_group IS NOT NULL THEN
        PERFORM policy.check_text('the object group', r.object_group, 1024);
    END IF;
END
$$;
COMMENT ON FUNCTION policy.check_rule IS 'An error for each mistake in a rule that its table cannot tell well; internal';

CREATE FUNCTION policy.rule_text(r policy.rule) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', CASE r.effect WHEN 'approval' THEN format('%s approvals for', r.approvals) ELSE r.effect END,
                     policy.subject_text(r.client, r.client_group, r.role) || ':', array_to_string(r.permissions, ','),
                     'with ' || policy.selectors_text(r), 'from ' || r.valid_from, 'until ' || r.valid_until)
$$;
COMMENT ON FUNCTION policy.rule_text IS 'A rule in one line, for audit rows; internal';

CREATE FUNCTION policy.rule_add(
    p_effect text, p_subject text, p_permissions text[], p_reason text, p_domain text DEFAULT NULL,
    p_policy text DEFAULT '*', p_owner text DEFAULT 'any', p_object uuid DEFAULT NULL, p_object_type text DEFAULT NULL,
    p_object_group text DEFAULT NULL, p_name_pattern text DEFAULT NULL, p_attribute_name text DEFAULT NULL,
    p_attribute_value text DEFAULT NULL, p_valid_from timestamptz DEFAULT NULL, p_valid_until timestamptz DEFAULT NULL,
    p_approvals integer DEFAULT 1)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record;
    r policy.rule;
BEGIN
    IF coalesce(p_effect, '') NOT IN ('allow', 'deny', 'approval') THEN
        PERFORM policy.mistake(format('there is no effect "%s"', p_effect), 'It is allow, deny or approval.');
    END IF;
    PERFORM policy.check_text('the reason', p_reason, 1024);
    SELECT * INTO s FROM policy.subject_named(p_subject, p_domain);
    r.domain := (s.domain).id;
    r.policy := p_policy;
    r.effect := p_effect;
    r.client := s.client;
    r.client_group := s.client_group;
    r.role := s.role;
    r.permissions := policy.check_permissions(p_permissions, p_effect, num_nonnulls(
        p_object, p_object_type, p_object_group, p_name_pattern, p_attribute_name, p_attribute_value) > 0);
    r.owner := p_owner;
    r.object := p_object;
    r.object_type := policy.type_number(p_object_type);
    r.object_group := p_object_group;
    r.name_pattern := p_name_pattern;
    r.attribute_name := p_attribute_name;
    r.attribute_value := p_attribute_value;
    r.valid_from := p_valid_from;
    r.valid_until := p_valid_until;
    r.approvals := p_approvals;
    r.reason := p_reason;
    PERFORM policy.check_rule(r);
    INSERT INTO policy.rule (domain, policy, effect, client, client_group, role, permissions, owner, object,
                             object_type, object_group, name_pattern, attribute_name, attribute_value, valid_from,
                             valid_until, approvals, reason, created_by)
    VALUES (r.domain, r.policy, r.effect, r.client, r.client_group, r.role, r.permissions, r.owner, r.object,
            r.object_type, r.object_group, r.name_pattern, r.attribute_name, r.attribute_value, r.valid_from,
            r.valid_until, r.approvals, r.reason, policy.author())
    RETURNING * INTO r;
    PERFORM policy.record('Admin Add Rule', s.domain, format('rule=%s %s', r.id, policy.rule_text(r)), p_reason,
                          r.object);
    RETURN r.id;
END
$$;
COMMENT ON FUNCTION policy.rule_add IS 'Adds a rule with this effect and returns its number; policy.allow(), deny() and require_approval() are shorter';

CREATE FUNCTION policy.allow(
    subject text, permissions text[], reason text, domain text DEFAULT NULL, policy text DEFAULT '*',
    owner text DEFAULT 'any', object uuid DEFAULT NULL, object_type text DEFAULT NULL, object_group text DEFAULT NULL,
    name_pattern text DEFAULT NULL, attribute_name text DEFAULT NULL, attribute_value text DEFAULT NULL,
    valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.rule_add('allow', subject, permissions, reason, domain, allow.policy, owner, object, object_type,
                           object_group, name_pattern, attribute_name, attribute_value, valid_from, valid_until)
$$;
COMMENT ON FUNCTION policy.allow IS 'Permits; returns the number of the rule. The subject is everyone, client NAME, group NAME or role NAME; permissions are names of policy.permissions, @class or *. SELECT policy.allow(''role backup'', ''{get,locate}'', ''restores read keys'', name_pattern => ''vol-*'')';

CREATE FUNCTION policy.deny(
    subject text, permissions text[], reason text, domain text DEFAULT NULL, policy text DEFAULT '*',
    owner text DEFAULT 'any', object uuid DEFAULT NULL, object_type text DEFAULT NULL, object_group text DEFAULT NULL,
    name_pattern text DEFAULT NULL, attribute_name text DEFAULT NULL, attribute_value text DEFAULT NULL,
    valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.rule_add('deny', subject, permissions, reason, domain, deny.policy, owner, object, object_type,
                           object_group, name_pattern, attribute_name, attribute_value, valid_from, valid_until)
$$;
COMMENT ON FUNCTION policy.deny IS 'Forbids, whatever else permits it; otherwise as policy.allow(). SELECT policy.deny(''everyone'', ''{destroy}'', ''freeze until the audit is over'', valid_until => ''2030-01-01'')';

CREATE FUNCTION policy.require_approval(
    subject text, permissions text[], reason text, domain text DEFAULT NULL, policy text DEFAULT '*',
    owner text DEFAULT 'any', object uuid DEFAULT NULL, object_type text DEFAULT NULL, object_group text DEFAULT NULL,
    name_pattern text DEFAULT NULL, attribute_name text DEFAULT NULL, attribute_value text DEFAULT NULL,
    valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL, approvals integer DEFAULT 1)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.rule_add('approval', subject, permissions, reason, domain, require_approval.policy, owner, object, object_type,
                           object_group, name_pattern, attribute_name, attribute_value, valid_from, valid_until, approvals)
$$;
COMMENT ON FUNCTION policy.require_approval IS 'Lets an operation that a rule permits wait until so many administrators have approved it; permits nothing itself; otherwise as policy.allow(). SELECT policy.require_approval(''everyone'', ''{destroy,revoke}'', ''four eyes'', approvals => 2)';

CREATE FUNCTION policy.rule_remove(rule bigint, reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d policy.domain;
    r policy.rule;
BEGIN
    PERFORM policy.check_text('the reason', rule_remove.reason, 1024);
    SELECT * INTO d FROM policy.domain WHERE id = (SELECT domain FROM policy.rule WHERE id = rule_remove.rule)
       FOR NO KEY UPDATE;
    DELETE FROM policy.rule WHERE id = rule_remove.rule RETURNING * INTO r;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no rule %', rule_remove.rule USING ERRCODE = 'no_data_found',
            HINT = '''holdfast policy list'' or policy.rules shows them.';
    END IF;
    PERFORM policy.record('Admin Remove Rule', d, format('rule=%s %s', r.id, policy.rule_text(r)), rule_remove.reason,
                          r.object);
END
$$;
COMMENT ON FUNCTION policy.rule_remove IS 'Removes a rule by its number: SELECT policy.rule_remove(17, ''the project ended'')';

CREATE VIEW policy.rules AS
SELECT r.id AS rule, d.name AS domain, r.effect, policy.subject_text(r.client, r.client_group, r.role) AS subject,
       r.permissions, r.policy, r.owner, r.object, audit.type_name(r.object_type) AS object_type, r.object_group,
       r.name_pattern, r.attribute_name, r.attribute_value, r.valid_from, r.valid_until,
       coalesce(r.valid_from <= now(), true) AND coalesce(now() < r.valid_until, true) AS valid,
       CASE WHEN r.effect = 'approval' THEN r.approvals END AS approvals, r.reason, r.created_at, r.created_by
  FROM policy.rule r JOIN policy.domain d ON d.id = r.domain;
COMMENT ON VIEW policy.rules IS 'The rules: who may do what to which objects. Of those that match, deny wins over all; what none allows is refused; what is allowed waits where one wants an approval';
COMMENT ON COLUMN policy.rules.rule IS 'Number of the rule';
COMMENT ON COLUMN policy.rules.domain IS 'The domain in which it holds';
COMMENT ON COLUMN policy.rules.effect IS 'allow, deny or approval';
COMMENT ON COLUMN policy.rules.subject IS 'For whom: everyone, client NAME, group NAME or role NAME';
COMMENT ON COLUMN policy.rules.permissions IS 'For what: names of policy.permissions, @class or *';
COMMENT ON COLUMN policy.rules.policy IS 'Only objects with this Operation Policy Name ("default" where they have none); * for all';
COMMENT ON COLUMN policy.rules.owner IS 'Only objects of the client itself (self), of those it shares with, too (group), or of all (any)';
COMMENT ON COLUMN policy.rules.object IS 'Only this object';
COMMENT ON COLUMN policy.rules.object_type IS 'Only objects of this Object Type';
COMMENT ON COLUMN policy.rules.object_group IS 'Only objects in this Object Group';
COMMENT ON COLUMN policy.rules.name_pattern IS 'Only objects with a name that matches: * any text, ? any character';
COMMENT ON COLUMN policy.rules.attribute_name IS 'Only objects that have this attribute with the value attribute_value';
COMMENT ON COLUMN policy.rules.attribute_value IS 'See attribute_name';
COMMENT ON COLUMN policy.rules.valid_from IS 'From when; NULL: since ever';
COMMENT ON COLUMN policy.rules.valid_until IS 'Up to when; NULL: without end';
COMMENT ON COLUMN policy.rules.valid IS 'Whether now is within that time';
COMMENT ON COLUMN policy.rules.approvals IS 'How many administrators must approve, where that is the effect';
COMMENT ON COLUMN policy.rules.reason IS 'Why it stands here';
COMMENT ON COLUMN policy.rules.created_at IS 'When it was made';
COMMENT ON COLUMN policy.rules.created_by IS 'By whom: database user and operator';

CREATE VIEW policy.permissions AS
SELECT p.name AS permission, '@' || p.class AS class, p.needs_object,
       ARRAY(SELECT r.id FROM policy.rule r WHERE policy.permits(r.permissions, p) ORDER BY r.id) AS rules
  FROM policy.permission p;
COMMENT ON VIEW policy.permissions IS 'What can be permitted, one permission for each operation, and the rules that name it';
COMMENT ON COLUMN policy.permissions.permission IS 'As rules name it';
COMMENT ON COLUMN policy.permissions.class IS 'Its class: in a rule it stands for all permissions of the class';
COMMENT ON COLUMN policy.permissions.needs_object IS 'Whether it is about an object that exists';
COMMENT ON COLUMN policy.permissions.rules IS 'Numbers of the rules that name it, its class or *';

-- ---- attributes, as constraints and defaults name them ----
-- The same table as proto/kmip/attributes.def; a test compares them.
CREATE TABLE policy.attribute (
    name text PRIMARY KEY,
    kind text NOT NULL,
    many boolean NOT NULL
);
COMMENT ON TABLE policy.attribute IS 'The KMIP attributes that a client may give, as constraints and defaults name them; custom ones (x-Name) and vendors'' (vendor:Name) beside them';
COMMENT ON COLUMN policy.attribute.name IS 'Its KMIP JSON name';
COMMENT ON COLUMN policy.attribute.kind IS 'What its values are: text, integer, boolean, date, mask, enumeration or structure';
COMMENT ON COLUMN policy.attribute.many IS 'Whether it may have several values';
INSERT INTO policy.attribute (name, kind, many) VALUES
    ('ActivationDate', 'date', false), ('ApplicationSpecificInformation', 'structure', true),
    ('CertificateType', 'enumeration', false), ('ContactInformation', 'text', false),
    ('CryptographicAlgorithm', 'enumeration', false), ('CryptographicDomainParameters', 'structure', false),
    ('CryptographicLength', 'integer', false), ('CryptographicParameters', 'structure', true),
    ('CryptographicUsageMask', 'mask', false), ('DeactivationDate', 'date', false),
    ('KeyFormatType', 'enumeration', false), ('Link', 'structure', true), ('Name', 'structure', true),
    ('ObjectGroup', 'text', true), ('OpaqueDataType', 'enumeration', false), ('OperationPolicyName', 'text', false),
    ('ProcessStartDate', 'date', false), ('ProtectStopDate', 'date', false), ('UsageLimits', 'structure', false),
    ('Fresh', 'boolean', false), ('KeyValueLocation', 'structure', true), ('OriginalCreationDate', 'date', false),
    ('AlternativeName', 'structure', true), ('RandomNumberGenerator', 'structure', false),
    ('PKCS_12FriendlyName', 'text', false), ('Description', 'text', false), ('Comment', 'text', false),
    ('Sensitive', 'boolean', false), ('Extractable', 'boolean', false), ('NISTKeyType', 'enumeration', true),
    ('ProtectionLevel', 'enumeration', false), ('ProtectionPeriod', 'integer', false),
    ('QuantumSafe', 'boolean', false), ('ProtectionStorageMask', 'mask', false), ('RotateInterval', 'integer', false),
    ('RotateAutomatic', 'boolean', false), ('RotateOffset', 'integer', false), ('RotateName', 'structure', false);

CREATE FUNCTION policy.attribute_named(p_name text) RETURNS policy.attribute LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_row policy.attribute;
BEGIN
    IF p_name ~ '^([xy]-|[^:-]+:).' THEN
        RETURN (p_name, 'vendor'::text, true);
    END IF;
    SELECT * INTO found_row FROM policy.attribute a WHERE policy.plain(a.name) = policy.plain(p_name);
    IF NOT FOUND THEN
        PERFORM policy.mistake(format('there is no attribute "%s" that a client could give', p_name),
            'SELECT * FROM policy.attribute shows them; custom ones are named x-NAME, vendors'' VENDOR:NAME.');
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION policy.attribute_named IS 'The attribute by its name in any of its forms; an error if there is none; internal';

-- ---- constraints ----
CREATE FUNCTION policy.check_bound(b policy.bound) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF num_nonnulls(b.algorithms, b.least_length, b.most_length, b.permitted_mask, b.required_mask, b.protections,
                    b.mandatory, b.most_life_days, b.name_pattern, b.destroy_after_days, b.most_objects,
                    b.requests_per_second) = 0 THEN
        PERFORM policy.mistake('this constraint bounds nothing',
            'Give a bound, such as algorithms, least_length, mandatory, most_life_days or most_objects.');
    ELSIF b.least_length > b.most_length THEN
        PERFORM policy.mistake(format('no length is at least %s and at most %s', b.least_length, b.most_length));
    ELSIF b.required_mask & ~b.permitted_mask <> 0 THEN
        PERFORM policy.mistake(format('%s is required and not permitted',
                               array_to_string(policy.usage_text(b.required_mask & ~b.permitted_mask), ', ')));
    ELSIF least(b.least_length, b.most_length, b.most_objects) < 0
       OR least(b.most_life_days, b.destroy_after_days, b.requests_per_second) < 1 THEN
        PERFORM policy.mistake('a number is too small', 'Lengths and objects count from 0, days and requests from 1.');
    END IF;
    IF b.name_pattern IS NOT NULL THEN
        PERFORM policy.check_text('the name pattern', b.name_pattern, 1024);
    END IF;
END
$$;
COMMENT ON FUNCTION policy.check_bound IS 'An error for each mistake in a constraint that its table cannot tell well; internal';

CREATE FUNCTION policy.bound_text(b policy.bound) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', 'for ' || policy.subject_text(b.client, b.client_group, b.role) || ':',
        'type=' || audit.type_name(b.object_type), 'algorithm=' || audit.algorithm_name(b.algorithm),
        'algorithms=' || (SELECT string_agg(audit.algorithm_name(a), ',') FROM unnest(b.algorithms) AS a),
        'least_length=' || b.least_length, 'most_length=' || b.most_length,
        'permitted_usage=' || array_to_string(policy.usage_text(b.permitted_mask), ','),
        'required_usage=' || array_to_string(policy.usage_text(b.required_mask), ','),
        'protections=' || (SELECT string_agg(policy.protection_name(x), ',') FROM unnest(b.protections) AS x),
        'mandatory=' || array_to_string(b.mandatory, ','), 'most_life_days=' || b.most_life_days,
        'name_pattern=' || b.name_pattern, 'destroy_after_days=' || b.destroy_after_days,
        'most_objects=' || b.most_objects, 'requests_per_second=' || b.requests_per_second)
$$;
COMMENT ON FUNCTION policy.bound_text IS 'A constraint in one line, for audit rows; internal';

CREATE FUNCTION policy.bound_add(
    subject text, reason text, domain text DEFAULT NULL, object_type text DEFAULT NULL, algorithm text DEFAULT NULL,
    algorithms text[] DEFAULT NULL, least_length bigint DEFAULT NULL, most_length bigint DEFAULT NULL,
    permitted_usage text[] DEFAULT NULL, required_usage text[] DEFAULT NULL, protections text[] DEFAULT NULL,
    mandatory text[] DEFAULT NULL, most_life_days integer DEFAULT NULL, name_pattern text DEFAULT NULL,
    destroy_after_days integer DEFAULT NULL, most_objects bigint DEFAULT NULL, requests_per_second integer DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s record;
    b policy.bound;
BEGIN
    PERFORM policy.check_text('the reason', reason, 1024);
    IF 0 IN (cardinality(algorithms), cardinality(protections), cardinality(mandatory)) THEN
        PERFORM policy.mistake('a list is empty', 'Leave it away, or name what is meant.');
    END IF;
    SELECT * INTO s FROM policy.subject_named(subject, domain);
    b.object_type := policy.type_number(object_type);
    b.algorithm := policy.algorithm_number(algorithm);
    b.algorithms := (SELECT array_agg(DISTINCT policy.algorithm_number(trim(a))) FROM unnest(algorithms) AS a);
    b.least_length := least_length;
    b.most_length := most_length;
    b.permitted_mask := policy.usage_mask(permitted_usage);
    b.required_mask := policy.usage_mask(required_usage);
    b.protections := (SELECT array_agg(DISTINCT policy.protection_number(trim(p))) FROM unnest(protections) AS p);
    b.mandatory := (SELECT array_agg(DISTINCT (policy.attribute_named(trim(m))).name) FROM unnest(mandatory) AS m);
    b.most_life_days := most_life_days;
    b.name_pattern := name_pattern;
    b.destroy_after_days := destroy_after_days;
    b.most_objects := most_objects;
    b.requests_per_second := requests_per_second;
    PERFORM policy.check_bound(b);
    INSERT INTO policy.bound AS made (
           domain, client, client_group, role, object_type, algorithm, algorithms, least_length, most_length,
           permitted_mask, required_mask, protections, mandatory, most_life_days, name_pattern, destroy_after_days,
           most_objects, requests_per_second, reason, created_by)
    VALUES ((s.domain).id, s.client, s.client_group, s.role, b.object_type, b.algorithm, b.algorithms, b.least_length,
            b.most_length, b.permitted_mask, b.required_mask, b.protections, b.mandatory, b.most_life_days,
            b.name_pattern, b.destroy_after_days, b.most_objects, b.requests_per_second, reason, policy.author())
    RETURNING made.* INTO b;
    PERFORM policy.record('Admin Add Constraint', s.domain, format('constraint=%s %s', b.id, policy.bound_text(b)), reason);
    RETURN b.id;
END
$$;
COMMENT ON FUNCTION policy.bound_add IS 'Adds a constraint; returns its number. object_type and algorithm say for which objects it is, all else what must hold of them. Lengths in bits; usage as names of the Cryptographic Usage Mask; protections TPM-rooted, TPM-resident. SELECT policy.bound_add(''everyone'', ''house rule 7'', object_type => ''Symmetric Key'', algorithms => ''{AES}'', least_length => 256)';

CREATE FUNCTION policy.bound_remove(bound bigint, reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d policy.domain;
    b policy.bound;
BEGIN
    PERFORM policy.check_text('the reason', bound_remove.reason, 1024);
    SELECT * INTO d FROM policy.domain WHERE id = (SELECT domain FROM policy.bound WHERE id = bound_remove.bound)
       FOR NO KEY UPDATE;
    DELETE FROM policy.bound WHERE id = bound_remove.bound RETURNING * INTO b;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no constraint %', bound_remove.bound USING ERRCODE = 'no_data_found',
            HINT = '''holdfast policy bounds'' or policy.bounds shows them.';
    END IF;
    PERFORM policy.record('Admin Remove Constraint', d, format('constraint=%s %s', b.id, policy.bound_text(b)),
                          bound_remove.reason);
END
$$;
COMMENT ON FUNCTION policy.bound_remove IS 'Removes a constraint by its number: SELECT policy.bound_remove(3, ''old keys are gone'')';

CREATE VIEW policy.bounds AS
SELECT b.id AS bound, d.name AS domain, policy.subject_text(b.client, b.client_group, b.role) AS subject,
       audit.type_name(b.object_type) AS object_type, audit.algorithm_name(b.algorithm) AS algorithm,
       (SELECT array_agg(audit.algorithm_name(a)) FROM unnest(b.algorithms) AS a) AS algorithms,
       b.least_length, b.most_length, policy.usage_text(b.permitted_mask) AS permitted_usage,
       policy.usage_text(b.required_mask) AS required_usage,
       (SELECT array_agg(policy.protection_name(p)) FROM unnest(b.protections) AS p) AS protections,
       b.mandatory, b.most_life_days, b.name_pattern, b.destroy_after_days, b.most_objects, b.requests_per_second,
       b.reason, b.created_at, b.created_by
  FROM policy.bound b JOIN policy.domain d ON d.id = b.domain;
COMMENT ON VIEW policy.bounds IS 'The constraints: bounds for what clients make, change, destroy and ask. Every one that matches must hold';
COMMENT ON COLUMN policy.bounds.bound IS 'Number of the constraint';
COMMENT ON COLUMN policy.bounds.domain IS 'The domain in which it holds';
COMMENT ON COLUMN policy.bounds.subject IS 'For whom: everyone, client NAME, group NAME or role NAME';
COMMENT ON COLUMN policy.bounds.object_type IS 'Only for objects of this Object Type';
COMMENT ON COLUMN policy.bounds.algorithm IS 'Only for objects of this Cryptographic Algorithm';
COMMENT ON COLUMN policy.bounds.algorithms IS 'The Cryptographic Algorithm must be one of these';
COMMENT ON COLUMN policy.bounds.least_length IS 'Least Cryptographic Length, bits';
COMMENT ON COLUMN policy.bounds.most_length IS 'Greatest Cryptographic Length, bits';
COMMENT ON COLUMN policy.bounds.permitted_usage IS 'No other bits of the Cryptographic Usage Mask than these';
COMMENT ON COLUMN policy.bounds.required_usage IS 'All these bits of the Cryptographic Usage Mask';
COMMENT ON COLUMN policy.bounds.protections IS 'The protection level must be one of these';
COMMENT ON COLUMN policy.bounds.mandatory IS 'Attributes that the maker must give';
COMMENT ON COLUMN policy.bounds.most_life_days IS 'Most days from activation to deactivation, which must be given';
COMMENT ON COLUMN policy.bounds.name_pattern IS 'Each name must match: * any text, ? any character';
COMMENT ON COLUMN policy.bounds.destroy_after_days IS 'Days that must have passed since deactivation or compromise, or since it was made where it never was active, before an object is destroyed';
COMMENT ON COLUMN policy.bounds.most_objects IS 'Most objects that one client may own, destroyed ones not counted';
COMMENT ON COLUMN policy.bounds.requests_per_second IS 'Most requests of one client a second, for each node';
COMMENT ON COLUMN policy.bounds.reason IS 'Why it stands here';
COMMENT ON COLUMN policy.bounds.created_at IS 'When it was made';
COMMENT ON COLUMN policy.bounds.created_by IS 'By whom: database user and operator';

-- ---- defaults ----
-- Only what can be checked down to its last value: the server must be able to read every default.
CREATE FUNCTION policy.default_value(a policy.attribute, p_value jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type text := jsonb_typeof(p_value);
    said text := p_value #>> '{}';
BEGIN
    IF a.name = 'CryptographicAlgorithm' AND type = 'string' THEN
        -- its JSON name: DES3, HMAC_SHA256, OneTimePad
        RETURN to_jsonb(replace(translate(audit.algorithm_name(policy.algorithm_number(said)), '-. ', '__'), '3DES', 'DES3'));
    ELSIF a.name = 'CryptographicUsageMask' AND type = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(regexp_replace(u, '[^A-Za-z]', '', 'g')), '[]')
                  FROM unnest(policy.usage_text(policy.usage_mask(ARRAY(SELECT jsonb_array_elements_text(p_value))))) AS u);
    ELSIF (CASE a.kind
            WHEN 'text' THEN type = 'string'
            WHEN 'boolean' THEN type = 'boolean'
            WHEN 'integer' THEN type = 'number' AND said ~ '^[0-9]{1,9}$'
            WHEN 'mask' THEN type = 'number' AND said ~ '^[0-9]{1,9}$'
            WHEN 'date' THEN type = 'string' AND said ~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
                                                         || 'T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$')
            WHEN 'vendor' THEN type = 'object' AND p_value ->> 'type' = 'TextString'
                               AND jsonb_typeof(p_value -> 'value') = 'string' AND p_value - '{type,value}'::text[] = '{}'
          END) THEN
        RETURN p_value;
    END IF;
    PERFORM policy.mistake(format('%s cannot be %s by default', a.name, p_value), CASE
        WHEN a.name = 'CryptographicAlgorithm' THEN 'Its value is the name of an algorithm.'
        WHEN a.name = 'CryptographicUsageMask' THEN 'Its value is a list of names.'
        WHEN a.kind = 'text' THEN 'Its value is a text.'
        WHEN a.kind = 'boolean' THEN 'Its value is true or false.'
        WHEN a.kind IN ('integer', 'mask') THEN 'Its value is a whole number.'
        WHEN a.kind = 'date' THEN 'Its value is a time like "2030-01-31T00:00:00Z".'
        WHEN a.kind = 'vendor' THEN 'Its values are like {"type": "TextString", "value": "..."}.'
        ELSE 'There are no defaults for structures, nor for other enumerations than CryptographicAlgorithm.' END);
END
$$;
COMMENT ON FUNCTION policy.default_value IS 'One value of an attribute as kmip.object.attributes has it; an error if it is none; internal';

CREATE FUNCTION policy.default_attributes(p_attributes jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given  record;
    a      policy.attribute;
    result jsonb := '{}';
BEGIN
    IF p_attributes IS NULL OR jsonb_typeof(p_attributes) <> 'object' OR p_attributes = '{}' THEN
        PERFORM policy.mistake('defaults are an object of attributes and their values',
            'For instance {"CryptographicLength": 256, "CryptographicUsageMask": ["Encrypt", "Decrypt"]}.');
    END IF;
    FOR given IN SELECT * FROM jsonb_each(p_attributes) LOOP
        a := policy.attribute_named(given.key);
        IF result ? a.name THEN
            PERFORM policy.mistake(format('%s is given twice', a.name));
        ELSIF NOT a.many THEN
            result := result || jsonb_build_object(a.name, policy.default_value(a, given.value));
        ELSIF jsonb_typeof(given.value) = 'array' AND given.value <> '[]' THEN
            result := result || jsonb_build_object(a.name,
                (SELECT jsonb_agg(policy.default_value(a, v)) FROM jsonb_array_elements(given.value) AS v));
        ELSE
            PERFORM policy.mistake(format('%s can have several values, and this is no list of them', a.name));
        END IF;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION policy.default_attributes IS 'Defaults as they are stored; an error for an attribute or a value that cannot be one; internal';

CREATE FUNCTION policy.default_set(object_type text, attributes jsonb, reason text, domain text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d      policy.domain;
    type   bigint := policy.type_number(default_set.object_type);
    all_of jsonb := policy.default_attributes(default_set.attributes);
BEGIN
    PERFORM policy.check_text('the object type', default_set.object_type, 64);
    PERFORM policy.check_text('the reason', default_set.reason, 1024);
    d := policy.domain_for(default_set.domain, NULL);
    INSERT INTO policy.object_default (domain, object_type, attributes, reason, created_by)
    VALUES (d.id, type, all_of, default_set.reason, policy.author())
    ON CONFLICT (domain, object_type) DO UPDATE
       SET attributes = excluded.attributes, reason = excluded.reason, created_at = now(), created_by = excluded.created_by;
    PERFORM policy.record('Admin Set Default', d, format('type=%s attributes=%s', audit.type_name(type), all_of),
                          default_set.reason);
END
$$;
COMMENT ON FUNCTION policy.default_set IS 'Sets the defaults of an object type, instead of those it had. SELECT policy.default_set(''Symmetric Key'', ''{"CryptographicAlgorithm": "AES", "CryptographicLength": 256}'', ''house rule 8'')';

CREATE FUNCTION policy.default_remove(object_type text, reason text, domain text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d    policy.domain;
    type bigint := policy.type_number(default_remove.object_type);
    had  jsonb;
BEGIN
    PERFORM policy.check_text('the object type', default_remove.object_type, 64);
    PERFORM policy.check_text('the reason', default_remove.reason, 1024);
    d := policy.domain_for(default_remove.domain, NULL);
    DELETE FROM policy.object_default o WHERE o.domain = d.id AND o.object_type = type RETURNING o.attributes INTO had;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'domain % has no defaults for the type %', d.name, audit.type_name(type)
            USING ERRCODE = 'no_data_found', HINT = '''holdfast policy defaults'' or policy.defaults shows them.';
    END IF;
    PERFORM policy.record('Admin Remove Default', d, format('type=%s attributes=%s', audit.type_name(type), had),
                          default_remove.reason);
END
$$;
COMMENT ON FUNCTION policy.default_remove IS 'Removes the defaults of an object type: SELECT policy.default_remove(''Symmetric Key'', ''makers say what they want'')';

CREATE VIEW policy.defaults AS
SELECT d.name AS domain, audit.type_name(o.object_type) AS object_type, o.attributes, o.reason, o.created_at, o.created_by
  FROM policy.object_default o JOIN policy.domain d ON d.id = o.domain;
COMMENT ON VIEW policy.defaults IS 'The defaults: attributes that a new object gets where its maker gives none';
COMMENT ON COLUMN policy.defaults.domain IS 'The domain in which they hold';
COMMENT ON COLUMN policy.defaults.object_type IS 'For objects of this Object Type';
COMMENT ON COLUMN policy.defaults.attributes IS 'The attributes and their values, by their KMIP JSON names';
COMMENT ON COLUMN policy.defaults.reason IS 'Why they stand here';
COMMENT ON COLUMN policy.defaults.created_at IS 'When they were set';
COMMENT ON COLUMN policy.defaults.created_by IS 'By whom: database user and operator';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.glob_matches, policy.object_policy, policy.has_attribute, policy.has_group
    TO holdfast_server, holdfast_policy;
GRANT EXECUTE ON FUNCTION policy.explain, policy.allow, policy.deny, policy.require_approval, policy.rule_add,
    policy.rule_remove, policy.bound_add, policy.bound_remove, policy.default_set, policy.default_remove
    TO holdfast_policy;
GRANT SELECT ON policy.rules, policy.permissions, policy.bounds, policy.defaults, policy.attribute TO holdfast_policy;
-- what the views call
GRANT EXECUTE ON FUNCTION policy.subject_text, policy.permits, policy.usage_text, policy.usage_names,
    policy.protection_name, audit.type_name, audit.algorithm_name TO holdfast_policy;
