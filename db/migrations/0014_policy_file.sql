-- Policies in one text file: policy.export(), policy.diff(), policy.apply(). The file is JSON, told in
-- holdfast-policy(5). Both sides, the file and the tables, are brought into one form, a document without defaults and
-- without numbers of the database's making; a difference between two documents is a change.

ALTER TABLE policy.domain
    ADD COLUMN approval_hours integer NOT NULL DEFAULT 24 CHECK (approval_hours BETWEEN 1 AND 8760);
COMMENT ON COLUMN policy.domain.approval_hours IS 'Hours from asking until which a request may be approved and used';

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
        SELECT string_agg(gap || to_jsonb(key) || ': ' || policy.file_text(value, p_indent + 2), ',' ORDER BY key COLLATE "C")
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
        'permissions', (SELECT jsonb_agg(DISTINCT p COLLATE "C" ORDER BY p COLLATE "C") FROM unnest(r.permissions) AS p),
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
    r.client_group := (SELECT id FROM policy.client_group WHERE domain = p_domain AND name = p_rule ->> 'group');
    r.role := (SELECT id FROM policy.role WHERE domain = p_domain AND name = p_rule ->> 'role');
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
    b.client_group := (SELECT id FROM policy.client_group WHERE domain = p_domain AND name = p_bound ->> 'group');
    b.role := (SELECT id FROM policy.role WHERE domain = p_domain AND name = p_bound ->> 'role');
    b.object_type := policy.type_number(p_bound ->> 'object_type');
    b.algorithm := policy.algorithm_number(p_bound ->> 'algorithm');
    b.algorithms := policy.file_numbers('algorithm', p_bound -> 'algorithms');
    b.least_length := p_bound ->> 'least_length';
    b.most_length := p_bound ->> 'most_length';
    b.permitted_mask := policy.usage_mask(CASE WHEN p_bound ? 'permitted_usage' THEN ARRAY(SELECT jsonb_array_elements_text(p_bound -> 'permitted_usage')) END);
    b.required_mask := policy.usage_mask(CASE WHEN p_bound ? 'required_usage' THEN ARRAY(SELECT jsonb_array_elements_text(p_bound -> 'required_usage')) END);
    b.protections := policy.file_numbers('protection', p_bound -> 'protections');
    b.mandatory := CASE WHEN p_bound ? 'mandatory' THEN ARRAY(SELECT jsonb_array_elements_text(p_bound -> 'mandatory')) END;
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
                                     FROM policy.role_member m JOIN policy.client c ON c.id = m.client WHERE m.role = r.id),
                       'groups', (SELECT coalesce(jsonb_agg(g.name ORDER BY g.name COLLATE "C"), '[]')
                                    FROM policy.role_member m JOIN policy.client_group g ON g.id = m.client_group
                                   WHERE m.role = r.id))), '{}')
                    FROM policy.role r WHERE r.domain = d.id),
        'rules', (SELECT coalesce(jsonb_agg(x.r ORDER BY x.r ->> 'effect' COLLATE "C", policy.file_text(x.r) COLLATE "C"), '[]')
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
        RAISE EXCEPTION 'there is no domain %', export.domain USING ERRCODE = 'no_data_found';
    END IF;
    RETURN policy.file_text(policy.file_now(export.domain)) || E'\n';
END
$$;
COMMENT ON FUNCTION policy.export IS 'The policy of a domain, or of all, as a file for version control (holdfast-policy(5)): the same state is the same text';

-- ---- reading: types, words and keys, each error with its place ----
CREATE FUNCTION policy.file_fail(p_place text, p_what text, p_hint text DEFAULT NULL) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'in the policy file at %: %', p_place, p_what USING ERRCODE = 'invalid_parameter_value',
        HINT = coalesce(p_hint, 'holdfast-policy(5) tells the format.');
END
$$;
COMMENT ON FUNCTION policy.file_fail IS 'An error that names the place in the file; internal';

-- The checks that the functions for single changes make, too; the value in its one form.
CREATE FUNCTION policy.file_shared(p_check text, p_more text, p_value jsonb, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    next text;
BEGIN
    CASE p_check
    WHEN 'word' THEN
        RETURN to_jsonb(policy.file_word(p_more, policy.file_number(p_more, p_value #>> '{}')));
    WHEN 'usage' THEN
        RETURN to_jsonb(policy.usage_text(policy.usage_mask(ARRAY(SELECT jsonb_array_elements_text(p_value)))));
    WHEN 'attributes' THEN
        RETURN (SELECT coalesce(jsonb_agg(DISTINCT (policy.attribute_named(v)).name), '[]') FROM jsonb_array_elements_text(p_value) AS v);
    WHEN 'defaults' THEN
        RETURN policy.default_attributes(p_value);
    WHEN 'permissions' THEN
        RETURN to_jsonb(policy.check_permissions(ARRAY(SELECT jsonb_array_elements_text(p_value -> 'permissions')), p_value ->> 'effect',
            p_value ?| '{object,object_type,object_group,name_pattern,attribute_name}'));
    WHEN 'rule' THEN
        PERFORM policy.check_rule(policy.file_rule_row((SELECT id FROM policy.domain WHERE name = p_more), p_value));
    WHEN 'constraint' THEN
        PERFORM policy.check_bound(policy.file_bound_row((SELECT id FROM policy.domain WHERE name = p_more), p_value));
    END CASE;
    RETURN p_value;
EXCEPTION WHEN data_exception OR no_data_found THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, next = PG_EXCEPTION_HINT;
    PERFORM policy.file_fail(p_place, said, nullif(next, ''));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION policy.file_shared IS 'Checks a part of the file as the functions for single changes do; internal';

CREATE FUNCTION policy.file_unique(p_value json, p_place text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
BEGIN
    IF json_typeof(p_value) = 'object' THEN
        FOR part IN SELECT key, count(*) AS n FROM json_object_keys(p_value) AS key GROUP BY key HAVING count(*) > 1 LOOP
            PERFORM policy.file_fail(p_place, format('"%s" is there %s times', part.key, part.n));
        END LOOP;
        FOR part IN SELECT key, value FROM json_each(p_value) WHERE json_typeof(value) IN ('object', 'array') LOOP
            PERFORM policy.file_unique(part.value, ltrim(p_place || '.' || part.key, '.'));
        END LOOP;
    ELSIF json_typeof(p_value) = 'array' THEN
        FOR part IN SELECT value, place FROM json_array_elements(p_value) WITH ORDINALITY AS e(value, place)
                     WHERE json_typeof(value) IN ('object', 'array') LOOP
            PERFORM policy.file_unique(part.value, format('%s[%s]', p_place, part.place));
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION policy.file_unique IS 'An error where an object of the file has a key twice; internal';

CREATE FUNCTION policy.file_parse(p_file text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    detail  text;
    context text;
    value   json;
BEGIN
    IF p_file IS NULL OR octet_length(p_file) > 64 * 1024 * 1024 THEN
        RAISE EXCEPTION 'a policy file has at most 64 MiB' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    BEGIN
        value := p_file::json;
        PERFORM p_file::jsonb; -- which takes no NUL in texts
    EXCEPTION WHEN data_exception THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
        RAISE EXCEPTION 'the policy file is no JSON: %; %', detail, split_part(context, E'\n', 1)
            USING ERRCODE = 'invalid_parameter_value';
    END;
    PERFORM policy.file_unique(value, '');
    RETURN p_file::jsonb;
END
$$;
COMMENT ON FUNCTION policy.file_parse IS 'The JSON of the file, every key once; internal';

CREATE FUNCTION policy.file_keys(p_object jsonb, p_known text[], p_needed text[], p_place text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_key text;
BEGIN
    IF jsonb_typeof(p_object) <> 'object' THEN
        PERFORM policy.file_fail(p_place, format('an object, {...}, is wanted, not %s', left(p_object::text, 80)));
    END IF;
    SELECT key INTO found_key FROM jsonb_object_keys(p_object) AS key WHERE key <> ALL (p_known || p_needed)
     ORDER BY key LIMIT 1;
    IF FOUND THEN
        PERFORM policy.file_fail(p_place, format('"%s" is not known here', found_key),
                                 'Known are: ' || array_to_string(p_needed || p_known, ', ') || '.');
    END IF;
    SELECT key INTO found_key FROM unnest(p_needed) AS key WHERE NOT p_object ? key LIMIT 1;
    IF FOUND THEN
        PERFORM policy.file_fail(p_place, format('"%s" is missing', found_key));
    END IF;
END
$$;
COMMENT ON FUNCTION policy.file_keys IS 'An error unless this is an object that has the keys that it needs and no unknown one; internal';

-- p_kind: flag, object, list; text:MOST bytes; number:LEAST:MOST; word:KIND, which is one of policy.file_word().
CREATE FUNCTION policy.file_value(p_value jsonb, p_kind text, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := split_part(p_kind, ':', 1);
    word text := p_value #>> '{}';
BEGIN
    IF jsonb_typeof(p_value) <> (CASE kind WHEN 'flag' THEN 'boolean' WHEN 'list' THEN 'array' WHEN 'object' THEN 'object'
                                           WHEN 'number' THEN 'number' ELSE 'string' END) THEN
        PERFORM policy.file_fail(p_place, format('%s is wanted, not %s',
            CASE kind WHEN 'flag' THEN 'true or false' WHEN 'list' THEN 'a list, [...],' WHEN 'object' THEN 'an object, {...},'
                      WHEN 'number' THEN 'a number' ELSE 'a text in quotes' END, left(p_value::text, 80)));
    ELSIF kind = 'text' AND octet_length(word) NOT BETWEEN 1 AND split_part(p_kind, ':', 2)::integer THEN
        PERFORM policy.file_fail(p_place, format('a text of 1 to %s bytes is wanted', split_part(p_kind, ':', 2)));
    ELSIF kind = 'number' AND (word::numeric <> trunc(word::numeric) OR word::numeric NOT BETWEEN
                               split_part(p_kind, ':', 2)::numeric AND split_part(p_kind, ':', 3)::numeric) THEN
        PERFORM policy.file_fail(p_place, format('a whole number from %s to %s is wanted, not %s',
                                 split_part(p_kind, ':', 2), split_part(p_kind, ':', 3), left(word, 40)));
    ELSIF kind = 'word' THEN
        RETURN policy.file_shared('word', split_part(p_kind, ':', 2), p_value, p_place);
    ELSIF kind = 'number' THEN
        RETURN to_jsonb(word::numeric::bigint);
    END IF;
    RETURN p_value;
END
$$;
COMMENT ON FUNCTION policy.file_value IS 'A value of the file, an error unless it is of this kind; internal';

-- The keys of p_kinds {"key": kind}, those that are there; kinds texts, attributes, words:KIND and words:usage are sorted
-- lists in which each value is once.
CREATE FUNCTION policy.file_values(p_object jsonb, p_kinds jsonb, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    want   record;
    got    jsonb := '{}';
    item   record;
    place  text;
    values jsonb;
    part   text;
BEGIN
    FOR want IN SELECT key, value FROM jsonb_each_text(p_kinds) WHERE p_object ? key LOOP
        place := p_place || '.' || want.key;
        IF want.value NOT IN ('texts', 'attributes') AND want.value NOT LIKE 'words:%' THEN
            got := got || jsonb_build_object(want.key, policy.file_value(p_object -> want.key, want.value, place));
            CONTINUE;
        END IF;
        PERFORM policy.file_value(p_object -> want.key, 'list', place);
        part := CASE WHEN want.value LIKE 'words:%' AND want.value <> 'words:usage'
                     THEN 'word:' || split_part(want.value, ':', 2) ELSE 'text:255' END;
        SELECT coalesce(jsonb_agg(policy.file_value(value, part, format('%s[%s]', place, nth)) ORDER BY nth), '[]')
          INTO values FROM jsonb_array_elements(p_object -> want.key) WITH ORDINALITY AS e(value, nth);
        SELECT value, max(nth) AS nth INTO item FROM jsonb_array_elements_text(values) WITH ORDINALITY AS e(value, nth)
         GROUP BY value HAVING count(*) > 1 LIMIT 1;
        IF FOUND THEN
            PERFORM policy.file_fail(format('%s[%s]', place, item.nth), format('"%s" is there twice', item.value));
        END IF;
        IF want.value = 'words:usage' THEN
            values := policy.file_shared('usage', NULL, values, place);
        ELSIF want.value LIKE 'words:%' THEN
            values := policy.file_words(split_part(want.value, ':', 2), policy.file_numbers(split_part(want.value, ':', 2), values));
        ELSE
            SELECT coalesce(jsonb_agg(v ORDER BY v COLLATE "C"), '[]') INTO values FROM jsonb_array_elements_text(
                CASE want.value WHEN 'attributes' THEN policy.file_shared('attributes', NULL, values, place) ELSE values END) AS v;
        END IF;
        got := got || jsonb_build_object(want.key, values);
    END LOOP;
    RETURN got;
END
$$;
COMMENT ON FUNCTION policy.file_values IS 'Values of an object of the file, each of its kind; internal';

CREATE FUNCTION policy.file_read_time(p_rule jsonb, p_key text, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    word text := p_rule ->> p_key;
BEGIN
    IF word IS NULL THEN
        RETURN '{}';
    END IF;
    IF word !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$' AND word NOT IN ('infinity', '-infinity') THEN
        PERFORM policy.file_fail(p_place || '.' || p_key, format('"%s" is no time such as 2027-01-31T12:00:00Z', left(word, 40)));
    END IF;
    BEGIN
        RETURN jsonb_build_object(p_key, policy.file_time(word::timestamptz));
    EXCEPTION WHEN data_exception THEN
        PERFORM policy.file_fail(p_place || '.' || p_key, format('there is no such time as "%s"', word));
    END;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION policy.file_read_time IS 'A time of a rule in its one form; internal';

CREATE FUNCTION policy.file_read_subject(p_of jsonb, p_place text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (p_of ? 'client')::integer + (p_of ? 'group')::integer + (p_of ? 'role')::integer > 1 THEN
        PERFORM policy.file_fail(p_place, 'only one of client, group and role can be named',
                                 'With none of them it is for everyone in the domain.');
    END IF;
END
$$;
COMMENT ON FUNCTION policy.file_read_subject IS 'An error where a rule or constraint is for more than one; internal';

CREATE FUNCTION policy.file_read_rule(p_rule jsonb, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r jsonb;
BEGIN
    PERFORM policy.file_keys(p_rule, '{client,group,role,approvals,policy,owner,object,object_type,object_group,name_pattern,attribute_name,attribute_value,valid_from,valid_until}',
                             '{effect,permissions,reason}', p_place);
    PERFORM policy.file_read_subject(p_rule, p_place);
    r := policy.file_values(p_rule, '{"effect": "text:16", "permissions": "texts", "reason": "text:1024", "client": "text:255",
        "group": "text:255", "role": "text:255", "approvals": "number:1:8", "policy": "text:255", "owner": "text:16",
        "object": "text:36", "object_type": "word:type", "object_group": "text:1024", "name_pattern": "text:1024",
        "attribute_name": "text:1024", "attribute_value": "text:65536", "valid_from": "text:40", "valid_until": "text:40"}', p_place);
    IF r ->> 'effect' NOT IN ('allow', 'deny', 'approval') THEN
        PERFORM policy.file_fail(p_place || '.effect', 'it must be "allow", "deny" or "approval"');
    ELSIF r ? 'approvals' AND r ->> 'effect' <> 'approval' THEN
        PERFORM policy.file_fail(p_place || '.approvals', 'only a rule with the effect "approval" has it');
    ELSIF r ->> 'object' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        PERFORM policy.file_fail(p_place || '.object', format('"%s" is no Unique Identifier of an object', r ->> 'object'));
    END IF;
    r := jsonb_set(r, '{permissions}', policy.file_shared('permissions', NULL, r, p_place || '.permissions'));
    r := r || policy.file_read_time(r, 'valid_from', p_place) || policy.file_read_time(r, 'valid_until', p_place);
    -- what holds anyway is left out, as in policy.file_rule()
    RETURN r - CASE WHEN r ->> 'policy' = '*' THEN 'policy' ELSE '' END
             - CASE WHEN r ->> 'owner' = 'any' THEN 'owner' ELSE '' END
             - CASE WHEN r ->> 'approvals' = '1' THEN 'approvals' ELSE '' END
             || CASE WHEN r ? 'object' THEN jsonb_build_object('object', lower(r ->> 'object')) ELSE '{}' END;
END
$$;
COMMENT ON FUNCTION policy.file_read_rule IS 'A rule of the file in its one form; internal';

CREATE FUNCTION policy.file_read_bound(p_bound jsonb, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b jsonb;
BEGIN
    PERFORM policy.file_keys(p_bound, '{client,group,role,object_type,algorithm,algorithms,least_length,most_length,permitted_usage,required_usage,protections,mandatory,most_life_days,name_pattern,destroy_after_days,most_objects,requests_per_second}',
                             '{reason}', p_place);
    PERFORM policy.file_read_subject(p_bound, p_place);
    b := policy.file_values(p_bound, '{"reason": "text:1024", "client": "text:255", "group": "text:255", "role": "text:255",
        "object_type": "word:type", "algorithm": "word:algorithm", "algorithms": "words:algorithm",
        "least_length": "number:0:2147483647", "most_length": "number:0:2147483647", "permitted_usage": "words:usage",
        "required_usage": "words:usage", "protections": "words:protection", "mandatory": "attributes",
        "most_life_days": "number:1:2147483647", "name_pattern": "text:1024", "destroy_after_days": "number:1:2147483647",
        "most_objects": "number:0:9223372036854775807", "requests_per_second": "number:1:2147483647"}', p_place);
    RETURN b;
END
$$;
COMMENT ON FUNCTION policy.file_read_bound IS 'A constraint of the file in its one form; internal';

-- An object whose values are read each by one kind of table.
CREATE FUNCTION policy.file_read_table(p_table jsonb, p_what text, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item  record;
    got   jsonb := '{}';
    place text;
    name  text;
BEGIN
    PERFORM policy.file_value(p_table, 'object', p_place);
    FOR item IN SELECT key, value FROM jsonb_each(p_table) LOOP
        place := p_place || '.' || item.key;
        PERFORM policy.file_value(to_jsonb(item.key), 'text:255', place);
        name := item.key;
        IF p_what = 'client' THEN
            PERFORM policy.file_keys(item.value, '{}', '{second_factor,legacy_tls,quirks}', place);
            item.value := policy.file_values(item.value, '{"second_factor": "flag", "legacy_tls": "flag", "quirks": "texts"}', place);
        ELSIF p_what = 'group' THEN
            PERFORM policy.file_keys(item.value, '{}', '{shares,members}', place);
            item.value := policy.file_values(item.value, '{"shares": "flag", "members": "texts"}', place);
        ELSIF p_what = 'role' THEN
            PERFORM policy.file_keys(item.value, '{}', '{clients,groups}', place);
            item.value := policy.file_values(item.value, '{"clients": "texts", "groups": "texts"}', place);
        ELSE
            name := policy.file_value(to_jsonb(item.key), 'word:type', place) #>> '{}';
            PERFORM policy.file_keys(item.value, '{}', '{attributes,reason}', place);
            item.value := policy.file_values(item.value, '{"attributes": "object", "reason": "text:1024"}', place);
            item.value := jsonb_set(item.value, '{attributes}',
                policy.file_shared('defaults', NULL, item.value -> 'attributes', place || '.attributes'));
        END IF;
        IF got ? name THEN
            PERFORM policy.file_fail(place, format('"%s" is there twice', name));
        END IF;
        got := got || jsonb_build_object(name, item.value);
    END LOOP;
    RETURN got;
END
$$;
COMMENT ON FUNCTION policy.file_read_table IS 'Clients, groups, roles or defaults of the file in their one form; internal';

CREATE FUNCTION policy.file_read_domain(p_domain jsonb, p_place text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    d     jsonb;
    rules jsonb;
    bounds jsonb;
BEGIN
    PERFORM policy.file_keys(p_domain, '{max_clients,max_objects}',
                             '{enabled,approval_hours,clients,groups,roles,rules,bounds,defaults}', p_place);
    d := policy.file_values(p_domain, '{"enabled": "flag", "approval_hours": "number:1:8760",
        "max_clients": "number:0:9223372036854775807", "max_objects": "number:0:9223372036854775807"}', p_place);
    PERFORM policy.file_values(p_domain, '{"rules": "list", "bounds": "list"}', p_place);
    SELECT coalesce(jsonb_agg(policy.file_read_rule(r, format('%s.rules[%s]', p_place, nth)) ORDER BY nth), '[]')
      INTO rules FROM jsonb_array_elements(p_domain -> 'rules') WITH ORDINALITY AS e(r, nth);
    SELECT coalesce(jsonb_agg(policy.file_read_bound(b, format('%s.bounds[%s]', p_place, nth)) ORDER BY nth), '[]')
      INTO bounds FROM jsonb_array_elements(p_domain -> 'bounds') WITH ORDINALITY AS e(b, nth);
    RETURN d || jsonb_build_object(
        'clients', policy.file_read_table(p_domain -> 'clients', 'client', p_place || '.clients'),
        'groups', policy.file_read_table(p_domain -> 'groups', 'group', p_place || '.groups'),
        'roles', policy.file_read_table(p_domain -> 'roles', 'role', p_place || '.roles'),
        'rules', rules, 'bounds', bounds,
        'defaults', policy.file_read_table(p_domain -> 'defaults', 'default', p_place || '.defaults'));
END
$$;
COMMENT ON FUNCTION policy.file_read_domain IS 'A domain of the file in its one form; internal';

CREATE FUNCTION policy.file_read(p_file text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    doc     jsonb := policy.file_parse(p_file);
    domains jsonb;
BEGIN
    PERFORM policy.file_keys(doc, '{}', '{format,domains}', 'the top');
    IF doc -> 'format' <> '1' THEN
        PERFORM policy.file_fail('format', format('this version reads format 1, not %s', left(doc ->> 'format', 40)));
    END IF;
    PERFORM policy.file_value(doc -> 'domains', 'object', 'domains');
    PERFORM policy.file_value(to_jsonb(key), 'text:255', 'domains.' || key) FROM jsonb_object_keys(doc -> 'domains') AS key;
    SELECT coalesce(jsonb_object_agg(key, policy.file_read_domain(value, 'domains.' || key)), '{}') INTO domains
      FROM jsonb_each(doc -> 'domains');
    RETURN jsonb_build_object('format', 1, 'domains', domains);
END
$$;
COMMENT ON FUNCTION policy.file_read IS 'The document of a file in the form of policy.file_now(), lists of rules and constraints in the order of the file; internal';

-- ---- facts and changes ----
-- One row for each thing that a document says. name and value make it out; where `single`, name alone does.
CREATE FUNCTION policy.file_facts(p_doc jsonb)
RETURNS TABLE (domain text, kind text, name text, value jsonb, single boolean, nth bigint, place text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH d AS (SELECT key, value, 'domains.' || key AS place FROM jsonb_each(p_doc -> 'domains')),
    g AS (SELECT d.key AS domain, e.key, e.value, d.place || '.groups.' || e.key AS place
            FROM d, jsonb_each(d.value -> 'groups') AS e),
    r AS (SELECT d.key AS domain, e.key, e.value, d.place || '.roles.' || e.key AS place
            FROM d, jsonb_each(d.value -> 'roles') AS e)
    SELECT key, 'domain', key, value - '{clients,groups,roles,rules,bounds,defaults}'::text[], true, 1, place FROM d
    UNION ALL
    SELECT d.key, 'client', e.key, e.value || jsonb_build_object('domain', d.key), true, 1, d.place || '.clients.' || e.key
      FROM d, jsonb_each(d.value -> 'clients') AS e
    UNION ALL
    SELECT domain, 'group', key, value - 'members', true, 1, place FROM g
    UNION ALL
    SELECT domain, 'group member', key, m.value, false, 1, format('%s.members[%s]', place, m.nth)
      FROM g, jsonb_array_elements(g.value -> 'members') WITH ORDINALITY AS m(value, nth)
    UNION ALL
    SELECT domain, 'role', key, '{}', true, 1, place FROM r
    UNION ALL
    SELECT domain, 'role client', key, m.value, false, 1, format('%s.clients[%s]', place, m.nth)
      FROM r, jsonb_array_elements(r.value -> 'clients') WITH ORDINALITY AS m(value, nth)
    UNION ALL
    SELECT domain, 'role group', key, m.value, false, 1, format('%s.groups[%s]', place, m.nth)
      FROM r, jsonb_array_elements(r.value -> 'groups') WITH ORDINALITY AS m(value, nth)
    UNION ALL
    SELECT d.key, 'rule', '', e.value, false, row_number() OVER (PARTITION BY d.key, e.value ORDER BY e.nth),
           format('%s.rules[%s]', d.place, e.nth)
      FROM d, jsonb_array_elements(d.value -> 'rules') WITH ORDINALITY AS e(value, nth)
    UNION ALL
    SELECT d.key, 'constraint', '', e.value, false, row_number() OVER (PARTITION BY d.key, e.value ORDER BY e.nth),
           format('%s.bounds[%s]', d.place, e.nth)
      FROM d, jsonb_array_elements(d.value -> 'bounds') WITH ORDINALITY AS e(value, nth)
    UNION ALL
    SELECT d.key, 'default', e.key, e.value, true, 1, d.place || '.defaults.' || e.key
      FROM d, jsonb_each(d.value -> 'defaults') AS e
$$;
COMMENT ON FUNCTION policy.file_facts IS 'What a document says, one row for each thing, with its place in the file; internal';

-- The names that a file uses: clients that are enrolled and of the domain, groups and roles of the file.
CREATE FUNCTION policy.file_check(p_doc jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f record;
BEGIN
    FOR f IN
        WITH facts AS MATERIALIZED (SELECT * FROM policy.file_facts(p_doc)),
        -- each client's domain as it is to be
        home AS (SELECT c.id, c.name, coalesce(n.domain, d.name) AS domain, d.name AS before
                   FROM policy.client c JOIN policy.domain d ON d.id = c.domain
                   LEFT JOIN facts n ON n.kind = 'client' AND n.name = c.name),
        used AS (SELECT domain, place, value #>> '{}' AS client FROM facts WHERE kind IN ('group member', 'role client')
                 UNION ALL
                 SELECT domain, place || '.client', value ->> 'client' FROM facts
                  WHERE kind IN ('rule', 'constraint') AND value ? 'client'
                 UNION ALL
                 SELECT domain, place, name FROM facts WHERE kind = 'client'),
        named AS (SELECT domain, place, 'group' AS what, value #>> '{}' AS name FROM facts WHERE kind = 'role group'
                  UNION ALL
                  SELECT domain, place || '.' || k.what, k.what, value ->> k.what FROM facts, (VALUES ('group'), ('role')) AS k(what)
                   WHERE kind IN ('rule', 'constraint') AND value ? k.what)
        SELECT u.place, format('there is no client "%s"', u.client) AS what,
               format('Enrol it first: holdfast client add %s', u.client) AS hint
          FROM used u WHERE NOT EXISTS (SELECT FROM home h WHERE h.name = u.client)
        UNION ALL
        SELECT u.place, format('client "%s" is of domain "%s"', u.client, h.domain), 'Nothing crosses domains.'
          FROM used u JOIN home h ON h.name = u.client WHERE h.domain <> u.domain
        UNION ALL
        SELECT n.place, format('there is no %s "%s" in domain "%s"', n.what, n.name, n.domain),
               format('The file must have it under "%ss" of the domain.', n.what)
          FROM named n WHERE NOT EXISTS (SELECT FROM facts k WHERE (k.domain, k.kind, k.name) = (n.domain, n.what, n.name))
        UNION ALL
        SELECT c.place || '.quirks', format('there is no quirk "%s"', q.name),
               'Known are: ' || coalesce((SELECT string_agg(k.name, ', ' ORDER BY k.name) FROM policy.quirk k), 'none') || '.'
          FROM facts c, jsonb_array_elements_text(c.value -> 'quirks') AS q(name)
         WHERE c.kind = 'client' AND NOT EXISTS (SELECT FROM policy.quirk k WHERE k.name = q.name)
        UNION ALL
        SELECT n.place, format('client "%s" is of domain "%s" now, and the file does not have this domain', h.name, h.before),
               'A file that moves a client has both domains, so that its groups, roles and rules there are told, too.'
          FROM home h JOIN facts n ON n.kind = 'client' AND n.name = h.name
         WHERE h.before <> h.domain AND NOT p_doc -> 'domains' ? h.before
        UNION ALL
        SELECT n.place, format('client "%s" owns objects in domain "%s" and cannot leave it', h.name, h.before),
               'Objects never change their domain: destroy them first, or enrol another client.'
          FROM home h JOIN facts n ON n.kind = 'client' AND n.name = h.name
         WHERE h.before <> h.domain AND EXISTS (SELECT FROM kmip.object o WHERE o.owner = h.id AND o.state < 5)
        UNION ALL
        SELECT d.place || '.max_clients', format('the domain would have %s clients', count(*)), 'Raise it, or move fewer.'
          FROM facts d JOIN home h ON h.domain = d.name
         WHERE d.kind = 'domain' GROUP BY d.place, d.value
        HAVING count(*) > (d.value ->> 'max_clients')::bigint AND bool_or(h.before <> h.domain)
        UNION ALL
        SELECT n.place, format('this is no name for a %s', n.kind), 'No blank at either end, no control characters.'
          FROM facts n WHERE n.kind IN ('domain', 'group', 'role') AND (n.name <> btrim(n.name) OR n.name ~ '[[:cntrl:]]')
        UNION ALL
        SELECT min(n.place), format('client "%s" is in more than one domain', n.name), 'Its objects have one domain, so it has.'
          FROM facts n WHERE n.kind = 'client' GROUP BY n.name HAVING count(*) > 1
        ORDER BY 1 LIMIT 1
    LOOP
        PERFORM policy.file_fail(f.place, f.what, f.hint);
    END LOOP;
    FOR f IN SELECT k.kind, k.domain, k.value, k.place FROM policy.file_facts(p_doc) k WHERE k.kind IN ('rule', 'constraint') LOOP
        PERFORM policy.file_shared(f.kind, f.domain, f.value, f.place);
    END LOOP;
END
$$;
COMMENT ON FUNCTION policy.file_check IS 'An error where a file uses a name that there is not, or moves a client that cannot be moved; internal';

CREATE FUNCTION policy.file_pairs(p_value jsonb, p_before jsonb DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(key || ' ' || CASE WHEN p_before IS NULL THEN '' ELSE coalesce(p_before ->> key, 'none') || ' -> ' END
                      || coalesce(p_value ->> key, 'none'), ', ' ORDER BY key COLLATE "C")
      FROM (SELECT jsonb_object_keys(p_value) UNION SELECT jsonb_object_keys(p_before)) AS k(key)
     WHERE p_before IS NULL OR p_before -> key IS DISTINCT FROM p_value -> key
$$;
COMMENT ON FUNCTION policy.file_pairs IS 'What an object has, or how it differs from the one before, in words; internal';

CREATE FUNCTION policy.file_subject_words(p_of jsonb) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce('client "' || (p_of ->> 'client') || '"', 'group "' || (p_of ->> 'group') || '"',
                'role "' || (p_of ->> 'role') || '"', 'everyone');
COMMENT ON FUNCTION policy.file_subject_words IS 'For whom a rule or constraint is, in words; internal';

CREATE FUNCTION policy.file_rule_words(p_rule jsonb) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE p_rule ->> 'effect' WHEN 'approval' THEN format('%s approval%s for', coalesce(p_rule ->> 'approvals', '1'),
                CASE WHEN p_rule ? 'approvals' THEN 's' ELSE '' END) ELSE p_rule ->> 'effect' END
        || ' ' || (SELECT string_agg(p, ', ') FROM jsonb_array_elements_text(p_rule -> 'permissions') AS p)
        || ' ' || CASE p_rule ->> 'effect' WHEN 'approval' THEN 'by ' ELSE 'to ' END || policy.file_subject_words(p_rule)
        || concat_ws(', ', '', 'owner ' || (p_rule ->> 'owner'), 'policy "' || (p_rule ->> 'policy') || '"',
                     'object ' || (p_rule ->> 'object'), 'type ' || (p_rule ->> 'object_type'),
                     'object group "' || (p_rule ->> 'object_group') || '"', 'name "' || (p_rule ->> 'name_pattern') || '"',
                     'attribute "' || (p_rule ->> 'attribute_name') || '" = "' || (p_rule ->> 'attribute_value') || '"',
                     'from ' || (p_rule ->> 'valid_from'), 'until ' || (p_rule ->> 'valid_until'))
        || ' (' || (p_rule ->> 'reason') || ')'
$$;
COMMENT ON FUNCTION policy.file_rule_words IS 'A rule in words; internal';

CREATE FUNCTION policy.file_line(p_kind text, p_domain text, p_name text, p_old jsonb, p_new jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_old IS NULL THEN '+ ' WHEN p_new IS NULL THEN '- ' ELSE '~ ' END
        || CASE p_kind WHEN 'group member' THEN 'member' WHEN 'role client' THEN 'role' WHEN 'role group' THEN 'role' ELSE p_kind END
        || CASE WHEN p_kind = 'domain' THEN format(' "%s"', p_name) ELSE format(' in domain "%s": ', p_domain) END
        || CASE WHEN p_kind IN ('group member', 'role client') THEN format('client "%s" of %s "%s"', coalesce(p_new, p_old) #>> '{}', split_part(p_kind, ' ', 1), p_name)
                WHEN p_kind = 'role group' THEN format('group "%s" of role "%s"', coalesce(p_new, p_old) #>> '{}', p_name)
                WHEN p_kind = 'rule' THEN policy.file_rule_words(coalesce(p_new, p_old))
                WHEN p_kind = 'constraint' THEN format('for %s: %s (%s)', policy.file_subject_words(coalesce(p_new, p_old)),
                    policy.file_pairs(coalesce(p_new, p_old) - '{client,group,role,reason}'::text[]), coalesce(p_new, p_old) ->> 'reason')
                WHEN p_kind = 'domain' THEN ''
                ELSE format('"%s"', p_name) END
        || CASE WHEN p_old IS NOT NULL AND p_new IS NOT NULL THEN ': ' || policy.file_pairs(p_new, p_old)
                WHEN p_kind IN ('domain', 'group', 'default') AND p_new IS NOT NULL THEN ': ' || policy.file_pairs(p_new) ELSE '' END
$$;
COMMENT ON FUNCTION policy.file_line IS 'A change as one line for people; internal';

-- In the order in which they can be done: what hangs on something goes first and comes last.
CREATE FUNCTION policy.file_changes(p_doc jsonb)
RETURNS TABLE (step bigint, kind text, domain text, name text, old jsonb, new jsonb, line text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH was AS MATERIALIZED (
        SELECT f.*, CASE WHEN single THEN 'null' ELSE value END AS key, CASE WHEN f.kind = 'client' THEN '' ELSE f.domain END AS at
          FROM policy.file_facts(policy.file_now(NULL)) AS f),
    shall AS MATERIALIZED (
        SELECT f.*, CASE WHEN single THEN 'null' ELSE value END AS key, CASE WHEN f.kind = 'client' THEN '' ELSE f.domain END AS at
          FROM policy.file_facts(p_doc) AS f),
    differ AS (
        SELECT coalesce(n.kind, o.kind) AS kind, coalesce(n.domain, o.domain) AS domain, coalesce(n.name, o.name) AS name,
               o.value AS old, n.value AS new
          FROM was o FULL JOIN shall n ON (o.kind, o.at, o.name, o.key, o.nth) = (n.kind, n.at, n.name, n.key, n.nth)
         WHERE o.value IS DISTINCT FROM n.value
           -- other domains, and clients that the file does not name, stay as they are
           AND (n.kind IS NOT NULL OR o.kind <> 'client' AND p_doc -> 'domains' ? o.domain)),
    told AS (SELECT d.*, regexp_replace(policy.file_line(d.kind, d.domain, d.name, d.old, d.new), '[[:cntrl:]]+', ' ', 'g') AS line
               FROM differ d)
    SELECT row_number() OVER (ORDER BY
               CASE WHEN t.kind = 'domain' THEN 0
                    WHEN t.new IS NULL THEN array_position('{rule,constraint,default,group member,role client,role group,role,group}', t.kind)
                    ELSE 10 + array_position('{client,group,role,group member,role client,role group,constraint,default,rule}', t.kind) END,
               t.domain COLLATE "C", t.line COLLATE "C"),
           t.kind, t.domain, t.name, t.old, t.new, t.line
      FROM told t
$$;
COMMENT ON FUNCTION policy.file_changes IS 'What would have to be done for the tables to say what a document says; internal';

CREATE FUNCTION policy.diff(file text) RETURNS TABLE (change text) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    doc jsonb := policy.file_read(diff.file);
BEGIN
    PERFORM policy.file_check(doc);
    RETURN QUERY SELECT c.line FROM policy.file_changes(doc) c ORDER BY c.step;
END
$$;
COMMENT ON FUNCTION policy.diff IS 'What policy.apply() of this file would do, a line for each change (+ new, - gone, ~ different); no line: nothing. An error says what is wrong with the file.';

-- ---- doing it ----
CREATE FUNCTION policy.file_do_member(p_kind text, p_domain bigint, p_name text, p_value jsonb, p_add boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p_group  uuid := (SELECT id FROM policy.client_group g WHERE g.domain = p_domain
                         AND g.name = CASE p_kind WHEN 'role group' THEN p_value #>> '{}' ELSE p_name END);
    p_role   uuid := (SELECT id FROM policy.role r WHERE r.domain = p_domain AND r.name = p_name);
    p_client uuid := (SELECT id FROM policy.client c WHERE p_kind <> 'role group' AND c.name = p_value #>> '{}');
BEGIN
    IF p_kind = 'group member' AND p_add THEN
        INSERT INTO policy.group_member (client_group, client) VALUES (p_group, p_client);
    ELSIF p_kind = 'group member' THEN
        DELETE FROM policy.group_member m WHERE m.client_group = p_group AND m.client = p_client;
    ELSIF p_add THEN
        INSERT INTO policy.role_member (role, client, client_group)
        VALUES (p_role, p_client, CASE p_kind WHEN 'role group' THEN p_group END);
    ELSE
        DELETE FROM policy.role_member m WHERE m.role = p_role
           AND (m.client = p_client OR p_kind = 'role group' AND m.client_group = p_group);
    END IF;
END
$$;
COMMENT ON FUNCTION policy.file_do_member IS 'Adds or removes a member of a group or who has a role; internal';

CREATE FUNCTION policy.file_do_rule(p_domain bigint, p_old jsonb, p_new jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_new IS NULL THEN
        DELETE FROM policy.rule WHERE id = (SELECT max(r.id) FROM policy.rule r
                                             WHERE r.domain = p_domain AND policy.file_rule(r) = p_old);
        RETURN;
    END IF;
    INSERT INTO policy.rule (domain, policy, effect, client, client_group, role, permissions, owner, object, object_type,
                             object_group, name_pattern, attribute_name, attribute_value, valid_from, valid_until,
                             approvals, reason, created_by)
    SELECT r.domain, r.policy, r.effect, r.client, r.client_group, r.role, r.permissions, r.owner, r.object, r.object_type,
           r.object_group, r.name_pattern, r.attribute_name, r.attribute_value, r.valid_from, r.valid_until,
           r.approvals, r.reason, policy.author()
      FROM policy.file_rule_row(p_domain, p_new) AS r;
END
$$;
COMMENT ON FUNCTION policy.file_do_rule IS 'Adds a rule, or removes the latest one that is like this; internal';

CREATE FUNCTION policy.file_do_bound(p_domain bigint, p_old jsonb, p_new jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_new IS NULL THEN
        DELETE FROM policy.bound WHERE id = (SELECT max(b.id) FROM policy.bound b
                                              WHERE b.domain = p_domain AND policy.file_bound(b) = p_old);
        RETURN;
    END IF;
    INSERT INTO policy.bound (domain, client, client_group, role, object_type, algorithm, algorithms, least_length,
                              most_length, permitted_mask, required_mask, protections, mandatory, most_life_days,
                              name_pattern, destroy_after_days, most_objects, requests_per_second, reason, created_by)
    SELECT b.domain, b.client, b.client_group, b.role, b.object_type, b.algorithm, b.algorithms, b.least_length,
           b.most_length, b.permitted_mask, b.required_mask, b.protections, b.mandatory, b.most_life_days,
           b.name_pattern, b.destroy_after_days, b.most_objects, b.requests_per_second, b.reason, policy.author()
      FROM policy.file_bound_row(p_domain, p_new) AS b;
END
$$;
COMMENT ON FUNCTION policy.file_do_bound IS 'Adds a constraint, or removes the latest one that is like this; internal';

CREATE FUNCTION policy.file_do_default(p_domain bigint, p_name text, p_new jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM policy.object_default d WHERE d.domain = p_domain AND d.object_type = policy.file_number('type', p_name);
    IF p_new IS NOT NULL THEN
        INSERT INTO policy.object_default (domain, object_type, attributes, reason, created_by)
        VALUES (p_domain, policy.file_number('type', p_name), p_new -> 'attributes', p_new ->> 'reason', policy.author());
    END IF;
END
$$;
COMMENT ON FUNCTION policy.file_do_default IS 'Sets or removes the defaults of a type of objects; internal';

CREATE FUNCTION policy.file_do(p_kind text, p_domain text, p_name text, p_old jsonb, p_new jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := (SELECT id FROM policy.domain WHERE name = p_domain);
BEGIN
    CASE p_kind
    WHEN 'domain' THEN
        INSERT INTO policy.domain (id, name) SELECT max(id) + 1, p_name FROM policy.domain HAVING p_old IS NULL;
        UPDATE policy.domain SET enabled = (p_new ->> 'enabled')::boolean, approval_hours = (p_new ->> 'approval_hours')::integer,
               max_clients = (p_new ->> 'max_clients')::bigint, max_objects = (p_new ->> 'max_objects')::bigint
         WHERE name = p_name;
    WHEN 'client' THEN
        UPDATE policy.client SET domain = (SELECT id FROM policy.domain WHERE name = p_new ->> 'domain'),
               second_factor = (p_new ->> 'second_factor')::boolean, legacy_tls = (p_new ->> 'legacy_tls')::boolean,
               quirks = ARRAY(SELECT jsonb_array_elements_text(p_new -> 'quirks'))
         WHERE name = p_name;
    WHEN 'group' THEN
        IF p_new IS NULL THEN
            DELETE FROM policy.client_group g WHERE g.domain = place AND g.name = p_name;
        ELSE
            INSERT INTO policy.client_group AS g (domain, name, shares) VALUES (place, p_name, (p_new ->> 'shares')::boolean)
            ON CONFLICT (domain, name) DO UPDATE SET shares = excluded.shares;
        END IF;
    WHEN 'role' THEN
        IF p_new IS NULL THEN
            DELETE FROM policy.role r WHERE r.domain = place AND r.name = p_name;
        ELSE
            INSERT INTO policy.role (domain, name) VALUES (place, p_name);
        END IF;
    WHEN 'rule' THEN PERFORM policy.file_do_rule(place, p_old, p_new);
    WHEN 'constraint' THEN PERFORM policy.file_do_bound(place, p_old, p_new);
    WHEN 'default' THEN PERFORM policy.file_do_default(place, p_name, p_new);
    ELSE PERFORM policy.file_do_member(p_kind, place, p_name, coalesce(p_new, p_old), p_new IS NOT NULL);
    END CASE;
END
$$;
COMMENT ON FUNCTION policy.file_do IS 'Does one change; internal';

CREATE FUNCTION policy.sha256_of(p_text text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN encode(sha256(convert_to(p_text, 'UTF8')), 'hex');
COMMENT ON FUNCTION policy.sha256_of IS 'SHA-256 of a text in UTF-8, lower-case hexadecimal; internal';

-- Others that change the policy wait meanwhile: they lock the row of their domain first.
CREATE FUNCTION policy.file_lock(p_doc jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM jsonb_object_keys(p_doc -> 'domains') AS k
                WHERE NOT EXISTS (SELECT FROM policy.domain d WHERE d.name = k)) THEN
        LOCK TABLE policy.domain IN SHARE ROW EXCLUSIVE MODE; -- the number of a new one is the next one
    END IF;
    PERFORM FROM policy.domain ORDER BY id FOR NO KEY UPDATE;
    LOCK TABLE policy.client_group, policy.group_member, policy.role, policy.role_member, policy.rule, policy.bound,
        policy.object_default IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION policy.file_lock IS 'Keeps others from changing the policy until the transaction ends; internal';

CREATE FUNCTION policy.apply(file text, reason text, expected text DEFAULT NULL) RETURNS TABLE (change text) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    doc       jsonb := policy.file_read(apply.file);
    digest    text := policy.sha256_of(apply.file);
    concerned text[] := '{}';
    done      bigint := 0;
    c         record;
BEGIN
    PERFORM policy.check_reason(apply.reason);
    PERFORM policy.file_lock(doc);
    IF apply.expected <> policy.sha256_of(policy.export()) THEN
        RAISE EXCEPTION 'the policy was changed meanwhile' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Look at the differences again: policy.diff(), holdfast policy diff.';
    END IF;
    PERFORM policy.file_check(doc);
    FOR c IN SELECT * FROM policy.file_changes(doc) ORDER BY step LOOP
        PERFORM policy.file_do(c.kind, c.domain, c.name, c.old, c.new);
        PERFORM audit.note(format('Admin %s %s', CASE WHEN c.old IS NULL THEN 'Add' WHEN c.new IS NULL THEN 'Remove' ELSE 'Change' END,
                                  CASE c.kind WHEN 'role client' THEN 'Role Member' WHEN 'role group' THEN 'Role Member'
                                              ELSE initcap(c.kind) END),
                           format('%s reason=%s file=%s', left(c.line, 600), left(apply.reason, 300), digest));
        concerned := concerned || c.domain || (c.old ->> 'domain');
        done := done + 1;
        change := c.line;
        RETURN NEXT;
    END LOOP;
    PERFORM policy.raise_standings(d.id) FROM policy.domain d WHERE d.name = ANY (concerned) ORDER BY d.id;
    PERFORM audit.note('Admin Apply Policy', format('sha256=%s changes=%s reason=%s', digest, done, left(apply.reason, 800)));
END
$$;
COMMENT ON FUNCTION policy.apply IS 'Makes the policy what this file says (holdfast-policy(5)), in one transaction, and returns what was changed, as policy.diff() does: SELECT * FROM policy.apply(:''file'', ''ticket 4711''). expected: SHA-256 of policy.export() as it was when somebody looked at the differences; an error if the policy is another one by now.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.export, policy.diff, policy.apply TO holdfast_policy;
