-- Reading a policy file into a document: types, words and keys, each error with its place in the file.

CREATE FUNCTION policy.file_fail(p_place text, p_what text, p_hint text DEFAULT NULL) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM policy.mistake(format('in the policy file at %s: %s', p_place, p_what),
                           coalesce(p_hint, 'holdfast-policy(5) tells the format.'));
END
$$;
COMMENT ON FUNCTION policy.file_fail IS 'An error that names the place in the file; internal';

-- The checks that the functions for single changes make, too; the value in its one form.
CREATE FUNCTION policy.file_shared(p_check text, p_more text, p_value jsonb, p_place text)
RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text;
    next text;
BEGIN
    CASE p_check
    WHEN 'word' THEN
        RETURN to_jsonb(policy.file_word(p_more, policy.file_number(p_more, p_value #>> '{}')));
    WHEN 'usage' THEN
        RETURN to_jsonb(policy.usage_text(policy.usage_mask(policy.file_list(p_value))));
    WHEN 'attributes' THEN
        RETURN (SELECT coalesce(jsonb_agg(DISTINCT (policy.attribute_named(v)).name), '[]')
                  FROM jsonb_array_elements_text(p_value) AS v);
    WHEN 'defaults' THEN
        RETURN policy.default_attributes(p_value);
    WHEN 'permissions' THEN
        RETURN to_jsonb(policy.check_permissions(policy.file_list(p_value -> 'permissions'), p_value ->> 'effect',
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

-- ---- the JSON ----
CREATE FUNCTION policy.file_unique(p_value json, p_place text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
BEGIN
    IF json_typeof(p_value) = 'object' THEN
        FOR part IN SELECT key, count(*) AS n FROM json_object_keys(p_value) AS key
                     GROUP BY key HAVING count(*) > 1 LOOP
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
        PERFORM policy.mistake('a policy file has at most 64 MiB');
    END IF;
    BEGIN
        value := p_file::json;
        PERFORM p_file::jsonb; -- which takes no NUL in texts
    EXCEPTION WHEN data_exception THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
        PERFORM policy.mistake(format('the policy file is no JSON: %s; %s', detail, split_part(context, E'\n', 1)));
    END;
    PERFORM policy.file_unique(value, '');
    RETURN p_file::jsonb;
END
$$;
COMMENT ON FUNCTION policy.file_parse IS 'The JSON of the file, every key once; internal';

-- ---- values ----
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
    IF jsonb_typeof(p_value) <> (CASE kind WHEN 'flag' THEN 'boolean' WHEN 'list' THEN 'array'
                                           WHEN 'object' THEN 'object' WHEN 'number' THEN 'number'
                                           ELSE 'string' END) THEN
        PERFORM policy.file_fail(p_place, format('%s is wanted, not %s',
            CASE kind WHEN 'flag' THEN 'true or false' WHEN 'list' THEN 'a list, [...],'
                      WHEN 'object' THEN 'an object, {...},' WHEN 'number' THEN 'a number'
                      ELSE 'a text in quotes' END, left(p_value::text, 80)));
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

-- The keys of p_kinds {"key": kind}, those that are there; kinds texts, attributes, words:KIND and words:usage are
-- sorted lists in which each value is once.
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
            part := split_part(want.value, ':', 2);
            values := policy.file_words(part, policy.file_numbers(part, values));
        ELSE
            SELECT coalesce(jsonb_agg(v ORDER BY v COLLATE "C"), '[]') INTO values FROM jsonb_array_elements_text(
                CASE want.value WHEN 'attributes' THEN policy.file_shared('attributes', NULL, values, place)
                                ELSE values END) AS v;
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
    IF word !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$'
       AND word NOT IN ('infinity', '-infinity') THEN
        PERFORM policy.file_fail(p_place || '.' || p_key,
                                 format('"%s" is no time such as 2027-01-31T12:00:00Z', left(word, 40)));
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

-- ---- parts of the document ----
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
    PERFORM policy.file_keys(p_rule, '{client,group,role,approvals,policy,owner,object,object_type,object_group,'
                             'name_pattern,attribute_name,attribute_value,valid_from,valid_until}',
                             '{effect,permissions,reason}', p_place);
    PERFORM policy.file_read_subject(p_rule, p_place);
    r := policy.file_values(p_rule, '{"effect": "text:16", "permissions": "texts", "reason": "text:1024",
        "client": "text:255", "group": "text:255", "role": "text:255", "approvals": "number:1:8", "policy": "text:255",
        "owner": "text:16", "object": "text:36", "object_type": "word:type", "object_group": "text:1024",
        "name_pattern": "text:1024", "attribute_name": "text:1024", "attribute_value": "text:65536",
        "valid_from": "text:40", "valid_until": "text:40"}', p_place);
    IF r ->> 'effect' NOT IN ('allow', 'deny', 'approval') THEN
        PERFORM policy.file_fail(p_place || '.effect', 'it must be "allow", "deny" or "approval"');
    ELSIF r ? 'approvals' AND r ->> 'effect' <> 'approval' THEN
        PERFORM policy.file_fail(p_place || '.approvals', 'only a rule with the effect "approval" has it');
    ELSIF r ->> 'object' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        PERFORM policy.file_fail(p_place || '.object',
                                 format('"%s" is no Unique Identifier of an object', r ->> 'object'));
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
    PERFORM policy.file_keys(p_bound, '{client,group,role,object_type,algorithm,algorithms,least_length,most_length,'
                             'permitted_usage,required_usage,protections,mandatory,most_life_days,name_pattern,'
                             'destroy_after_days,most_objects,requests_per_second}',
                             '{reason}', p_place);
    PERFORM policy.file_read_subject(p_bound, p_place);
    b := policy.file_values(p_bound, '{"reason": "text:1024", "client": "text:255", "group": "text:255",
        "role": "text:255", "object_type": "word:type", "algorithm": "word:algorithm", "algorithms": "words:algorithm",
        "least_length": "number:0:2147483647", "most_length": "number:0:2147483647", "permitted_usage": "words:usage",
        "required_usage": "words:usage", "protections": "words:protection", "mandatory": "attributes",
        "most_life_days": "number:1:2147483647", "name_pattern": "text:1024",
        "destroy_after_days": "number:1:2147483647", "most_objects": "number:0:9223372036854775807",
        "requests_per_second": "number:1:2147483647"}', p_place);
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
            item.value := policy.file_values(
                item.value, '{"second_factor": "flag", "legacy_tls": "flag", "quirks": "texts"}', place);
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
    PERFORM policy.file_value(to_jsonb(key), 'text:255', 'domains.' || key)
       FROM jsonb_object_keys(doc -> 'domains') AS key;
    SELECT coalesce(jsonb_object_agg(key, policy.file_read_domain(value, 'domains.' || key)), '{}') INTO domains
      FROM jsonb_each(doc -> 'domains');
    RETURN jsonb_build_object('format', 1, 'domains', domains);
END
$$;
COMMENT ON FUNCTION policy.file_read IS 'The document of a file in the form of policy.file_now(), lists of rules and constraints in the order of the file; internal';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
