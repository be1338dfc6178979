-- The policy of a domain as a document, and policy.export(). A policy file is JSON, told in holdfast-policy(5). Both
-- sides, the file and the tables, are brought into one form, a document without defaults and without numbers of the
-- database's making; a difference between two documents is a change.

-- ---- KMIP numbers in words ----
CREATE FUNCTION policy.file_word(p_kind text, p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE p_kind WHEN 'type' THEN audit.type_name(p_number) WHEN 'algorithm' THEN audit.algorithm_name(p_number)
                   ELSE policy.protection_name(p_number) END;
COMMENT ON FUNCTION policy.file_word IS 'A KMIP number as the file has it: of an object type, an algorithm or a protection; internal';

CREATE FUNCTION policy.file_words(p_kind text, p_numbers bigint[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_numbers IS NOT NULL THEN coalesce(jsonb_agg(policy.file_word(p_kind, n) ORDER BY n), '[]') END
      FROM (SELECT DISTINCT n FROM unnest(p_numbers) AS n) AS numbers
$$;
COMMENT ON FUNCTION policy.file_words IS 'KMIP numbers as the file has them, each once, in their order; internal';

CREATE FUNCTION policy.file_number(p_kind text, p_word text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE p_kind WHEN 'type' THEN policy.type_number(p_word) WHEN 'algorithm' THEN policy.algorithm_number(p_word)
                   ELSE policy.protection_number(p_word) END;
COMMENT ON FUNCTION policy.file_number IS 'The KMIP number of a word of the file; an error if there is none; internal';

CREATE FUNCTION policy.file_numbers(p_kind text, p_words jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_words IS NOT NULL THEN
        ARRAY(SELECT policy.file_number(p_kind, w) FROM jsonb_array_elements_text(p_words) AS w) END
$$;
COMMENT ON FUNCTION policy.file_numbers IS 'The KMIP numbers of words of the file; internal';

CREATE FUNCTION policy.file_list(p_words jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_words IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(p_words)) END
$$;
COMMENT ON FUNCTION policy.file_list IS 'Words of the file as an array; NULL where there are none; internal';

CREATE FUNCTION policy.file_time(p_time timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN CASE WHEN isfinite(p_time)
            THEN replace(to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
            ELSE p_time::text END;
COMMENT ON FUNCTION policy.file_time IS 'A time as the file has it: 2027-01-31T12:00:00Z; internal';

-- ---- the text ----
CREATE FUNCTION policy.file_text(p_value jsonb, p_indent integer DEFAULT 0) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gap  text := E'\n' || repeat(' ', p_indent + 2);
    body text;
BEGIN
    IF jsonb_typeof(p_value) = 'object' AND p_value <> '{}' THEN
        SELECT string_agg(gap || to_jsonb(key) || ': ' || policy.file_text(value, p_indent + 2), ','
                          ORDER BY key COLLATE "C")
          INTO body FROM jsonb_each(p_value);
        RETURN '{' || body || E'\n' || repeat(' ', p_indent) || '}';
    ELSIF jsonb_typeof(p_value) = 'array' AND p_value <> '[]'
          AND (octet_length(p_value::text) > 100 OR jsonb_typeof(p_value -> 0) IN ('object', 'array')) THEN
        SELECT string_agg(gap || policy.file_text(value, p_indent + 2), ',' ORDER BY place)
          INTO body FROM jsonb_array_elements(p_value) WITH ORDINALITY AS e(value, place);
        RETURN '[' || body || E'\n' || repeat(' ', p_indent) || ']';
    END IF;
    RETURN p_value::text;
END
$$;
COMMENT ON FUNCTION policy.file_text IS 'A JSON value in lines, keys sorted, short lists in one line: the same value is the same text; internal';

-- ---- rows as parts of the document ----
CREATE FUNCTION policy.file_subject(p_client uuid, p_group uuid, p_role uuid) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'client', (SELECT name FROM policy.client WHERE id = p_client),
        'group', (SELECT name FROM policy.client_group WHERE id = p_group),
        'role', (SELECT name FROM policy.role WHERE id = p_role)))
$$;
COMMENT ON FUNCTION policy.file_subject IS 'For whom a rule or constraint is; {}: everyone; internal';

CREATE FUNCTION policy.file_rule(r policy.rule) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.file_subject(r.client, r.client_group, r.role) || jsonb_strip_nulls(jsonb_build_object(
        'effect', r.effect,
        'approvals', CASE WHEN r.effect = 'approval' AND r.approvals > 1 THEN r.approvals END,
        'permissions', (SELECT jsonb_agg(DISTINCT p COLLATE "C" ORDER BY p COLLATE "C")
                          FROM unnest(r.permissions) AS p),
        'policy', nullif(r.policy, '*'), 'owner', nullif(r.owner, 'any'), 'object', r.object,
        'object_type', policy.file_word('type', r.object_type), 'object_group', r.object_group,
        'name_pattern', r.name_pattern, 'attribute_name', r.attribute_name, 'attribute_value', r.attribute_value,
        'valid_from', policy.file_time(r.valid_from), 'valid_until', policy.file_time(r.valid_until),
        'reason', r.reason))
$$;
COMMENT ON FUNCTION policy.file_rule IS 'A rule as the file has it; what holds anyway is left out; internal';

CREATE FUNCTION policy.file_bound(b policy.bound) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.file_subject(b.client, b.client_group, b.role) || jsonb_strip_nulls(jsonb_build_object(
        'object_type', policy.file_word('type', b.object_type), 'algorithm', policy.file_word('algorithm', b.algorithm),
        'algorithms', policy.file_words('algorithm', b.algorithms), 'least_length', b.least_length,
        'most_length', b.most_length, 'permitted_usage', to_jsonb(policy.usage_text(b.permitted_mask)),
        'required_usage', to_jsonb(policy.usage_text(b.required_mask)),
        'protections', policy.file_words('protection', b.protections),
        'mandatory', (SELECT jsonb_agg(DISTINCT m COLLATE "C" ORDER BY m COLLATE "C") FROM unnest(b.mandatory) AS m),
        'most_life_days', b.most_life_days, 'name_pattern', b.name_pattern, 'destroy_after_days', b.destroy_after_days,
        'most_objects', b.most_objects, 'requests_per_second', b.requests_per_second, 'reason', b.reason))
$$;
COMMENT ON FUNCTION policy.file_bound IS 'A constraint as the file has it; internal';

-- And back. Names that are not there yet are NULL.
CREATE FUNCTION policy.file_rule_row(p_domain bigint, p_rule jsonb) RETURNS policy.rule LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r policy.rule;
BEGIN
    r.domain := p_domain;
    r.policy := coalesce(p_rule ->> 'policy', '*');
    r.effect := p_rule ->> 'effect';
    r.client := (SELECT id FROM policy.client WHERE name = p_rule ->> 'client');
    r.client_group := policy.named_id('group', p_domain, p_rule ->> 'group');
    r.role := policy.named_id('role', p_domain, p_rule ->> 'role');
    r.permissions := ARRAY(SELECT jsonb_array_elements_text(p_rule -> 'permissions'));
    r.owner := coalesce(p_rule ->> 'owner', 'any');
    r.object := (p_rule ->> 'object')::uuid;
    r.object_type := policy.type_number(p_rule ->> 'object_type');
    r.object_group := p_rule ->> 'object_group';
    r.name_pattern := p_rule ->> 'name_pattern';
    r.attribute_name := p_rule ->> 'attribute_name';
    r.attribute_value := p_rule ->> 'attribute_value';
    r.valid_from := (p_rule ->> 'valid_from')::timestamptz;
    r.valid_until := (p_rule ->> 'valid_until')::timestamptz;
    r.approvals := coalesce((p_rule ->> 'approvals')::integer, 1);
    r.reason := p_rule ->> 'reason';
    RETURN r;
END
$$;
COMMENT ON FUNCTION policy.file_rule_row IS 'A rule of the file as a row; internal';

CREATE FUNCTION policy.file_bound_row(p_domain bigint, p_bound jsonb) RETURNS policy.bound LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b policy.bound;
BEGIN
    b.domain := p_domain;
    b.client := (SELECT id FROM policy.client WHERE name = p_bound ->> 'client');
    b.client_group := policy.named_id('group', p_domain, p_bound ->> 'group');
    b.role := policy.named_id('role', p_domain, p_bound ->> 'role');
    b.object_type := policy.type_number(p_bound ->> 'object_type');
    b.algorithm := policy.algorithm_number(p_bound ->> 'algorithm');
    b.algorithms := policy.file_numbers('algorithm', p_bound -> 'algorithms');
    b.least_length := p_bound ->> 'least_length';
    b.most_length := p_bound ->> 'most_length';
    b.permitted_mask := policy.usage_mask(policy.file_list(p_bound -> 'permitted_usage'));
    b.required_mask := policy.usage_mask(policy.file_list(p_bound -> 'required_usage'));
    b.protections := policy.file_numbers('protection', p_bound -> 'protections');
    b.mandatory := policy.file_list(p_bound -> 'mandatory');
    b.most_life_days := p_bound ->> 'most_life_days';
    b.name_pattern := p_bound ->> 'name_pattern';
    b.destroy_after_days := p_bound ->> 'destroy_after_days';
    b.most_objects := p_bound ->> 'most_objects';
    b.requests_per_second := p_bound ->> 'requests_per_second';
    b.reason := p_bound ->> 'reason';
    RETURN b;
END
$$;
COMMENT ON FUNCTION policy.file_bound_row IS 'A constraint of the file as a row; internal';

CREATE FUNCTION policy.file_client(c policy.client) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('second_factor', c.second_factor, 'legacy_tls', c.legacy_tls, 'quirks',
        (SELECT coalesce(jsonb_agg(DISTINCT q COLLATE "C" ORDER BY q COLLATE "C"), '[]') FROM unnest(c.quirks) AS q))
$$;
COMMENT ON FUNCTION policy.file_client IS 'The settings of a client as the file has them; internal';

-- Rules and constraints have no order of their own, so theirs is that of their text.
CREATE FUNCTION policy.file_domain(d policy.domain) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('max_clients', d.max_clients, 'max_objects', d.max_objects))
        || jsonb_build_object('enabled', d.enabled, 'approval_hours', d.approval_hours,
        'clients', (SELECT coalesce(jsonb_object_agg(c.name, policy.file_client(c)), '{}') FROM policy.client c
                     WHERE c.domain = d.id),
        'groups', (SELECT coalesce(jsonb_object_agg(g.name, jsonb_build_object('shares', g.shares, 'members',
                       (SELECT coalesce(jsonb_agg(c.name ORDER BY c.name COLLATE "C"), '[]') FROM policy.group_member m
                          JOIN policy.client c ON c.id = m.client WHERE m.client_group = g.id))), '{}')
                     FROM policy.client_group g WHERE g.domain = d.id),
        'roles', (SELECT coalesce(jsonb_object_agg(r.name, jsonb_build_object(
                       'clients', (SELECT coalesce(jsonb_agg(c.name ORDER BY c.name COLLATE "C"), '[]')
                                     FROM policy.role_member m JOIN policy.client c ON c.id = m.client
                                    WHERE m.role = r.id),
                       'groups', (SELECT coalesce(jsonb_agg(g.name ORDER BY g.name COLLATE "C"), '[]')
                                    FROM policy.role_member m JOIN policy.client_group g ON g.id = m.client_group
                                   WHERE m.role = r.id))), '{}')
                    FROM policy.role r WHERE r.domain = d.id),
        'rules', (SELECT coalesce(jsonb_agg(x.r ORDER BY x.r ->> 'effect' COLLATE "C",
                                            policy.file_text(x.r) COLLATE "C"), '[]')
                    FROM (SELECT policy.file_rule(r) AS r FROM policy.rule r WHERE r.domain = d.id) AS x),
        'bounds', (SELECT coalesce(jsonb_agg(x.b ORDER BY policy.file_text(x.b) COLLATE "C"), '[]')
                     FROM (SELECT policy.file_bound(b) AS b FROM policy.bound b WHERE b.domain = d.id) AS x),
        'defaults', (SELECT coalesce(jsonb_object_agg(policy.file_word('type', o.object_type),
                         jsonb_build_object('attributes', o.attributes, 'reason', o.reason)), '{}')
                       FROM policy.object_default o WHERE o.domain = d.id))
$$;
COMMENT ON FUNCTION policy.file_domain IS 'A domain as the file has it; internal';

CREATE FUNCTION policy.file_now(p_domain text) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('format', 1, 'domains', coalesce(jsonb_object_agg(d.name, policy.file_domain(d)), '{}'))
      FROM policy.domain d WHERE p_domain IS NULL OR d.name = p_domain
$$;
COMMENT ON FUNCTION policy.file_now IS 'What the tables have, of one domain or of all (NULL); internal';

CREATE FUNCTION policy.export(domain text DEFAULT NULL) RETURNS text LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF export.domain IS NOT NULL AND NOT EXISTS (SELECT FROM policy.domain d WHERE d.name = export.domain) THEN
        PERFORM policy.missing(format('there is no domain %s', export.domain));
    END IF;
    RETURN policy.file_text(policy.file_now(export.domain)) || E'\n';
END
$$;
COMMENT ON FUNCTION policy.export IS 'The policy of a domain, or of all, as a file for version control (holdfast-policy(5)): the same state is the same text';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.export TO holdfast_policy;
