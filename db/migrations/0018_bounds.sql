-- Constraints and defaults: what `holdfast policy bound-add|bound-remove|bounds|default-set|default-remove|defaults`
-- calls, and what an administrator may call in psql as holdfast_policy.

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

CREATE FUNCTION policy.bound_insert(b policy.bound) RETURNS policy.bound LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    b.id := nextval('policy.bound_id_seq');
    b.created_at := now();
    b.created_by := policy.author();
    INSERT INTO policy.bound OVERRIDING SYSTEM VALUE VALUES (b.*);
    RETURN b;
END
$$;
COMMENT ON FUNCTION policy.bound_insert IS 'Stores a constraint that was checked, and returns it with its number; internal';

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
    PERFORM policy.check_reason(reason);
    IF 0 IN (cardinality(algorithms), cardinality(protections), cardinality(mandatory)) THEN
        PERFORM policy.mistake('a list is empty', 'Leave it away, or name what is meant.');
    END IF;
    SELECT * INTO s FROM policy.subject_named(subject, domain);
    b.domain := (s.domain).id;
    b.client := s.client;
    b.client_group := s.client_group;
    b.role := s.role;
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
    b.reason := reason;
    PERFORM policy.check_bound(b);
    b := policy.bound_insert(b);
    PERFORM policy.record('Admin Add Constraint', s.domain, format('constraint=%s %s', b.id, policy.bound_text(b)),
                          reason);
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
    PERFORM policy.check_reason(bound_remove.reason);
    SELECT * INTO d FROM policy.domain WHERE id = (SELECT domain FROM policy.bound WHERE id = bound_remove.bound)
       FOR NO KEY UPDATE;
    DELETE FROM policy.bound WHERE id = bound_remove.bound RETURNING * INTO b;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('there is no constraint %s', bound_remove.bound),
                               '''holdfast policy bounds'' or policy.bounds shows them.');
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
        RETURN to_jsonb(replace(translate(audit.algorithm_name(policy.algorithm_number(said)), '-. ', '__'),
                                '3DES', 'DES3'));
    ELSIF a.name = 'CryptographicUsageMask' AND type = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(regexp_replace(u, '[^A-Za-z]', '', 'g')), '[]')
                  FROM unnest(policy.usage_text(policy.usage_mask(
                           ARRAY(SELECT jsonb_array_elements_text(p_value))))) AS u);
    ELSIF (CASE a.kind
            WHEN 'text' THEN type = 'string'
            WHEN 'boolean' THEN type = 'boolean'
            WHEN 'integer' THEN type = 'number' AND said ~ '^[0-9]{1,9}$'
            WHEN 'mask' THEN type = 'number' AND said ~ '^[0-9]{1,9}$'
            WHEN 'date' THEN type = 'string' AND said ~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
                                                         || 'T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$')
            WHEN 'vendor' THEN type = 'object' AND p_value ->> 'type' = 'TextString'
                               AND jsonb_typeof(p_value -> 'value') = 'string'
                               AND p_value - '{type,value}'::text[] = '{}'
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
    PERFORM policy.check_reason(default_set.reason);
    d := policy.domain_for(default_set.domain, NULL);
    INSERT INTO policy.object_default (domain, object_type, attributes, reason, created_by)
    VALUES (d.id, type, all_of, default_set.reason, policy.author())
    ON CONFLICT (domain, object_type) DO UPDATE
       SET attributes = excluded.attributes, reason = excluded.reason, created_at = now(),
           created_by = excluded.created_by;
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
    PERFORM policy.check_reason(default_remove.reason);
    d := policy.domain_for(default_remove.domain, NULL);
    DELETE FROM policy.object_default o WHERE o.domain = d.id AND o.object_type = type RETURNING o.attributes INTO had;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('domain %s has no defaults for the type %s', d.name, audit.type_name(type)),
                               '''holdfast policy defaults'' or policy.defaults shows them.');
    END IF;
    PERFORM policy.record('Admin Remove Default', d, format('type=%s attributes=%s', audit.type_name(type), had),
                          default_remove.reason);
END
$$;
COMMENT ON FUNCTION policy.default_remove IS 'Removes the defaults of an object type: SELECT policy.default_remove(''Symmetric Key'', ''makers say what they want'')';

CREATE VIEW policy.defaults AS
SELECT d.name AS domain, audit.type_name(o.object_type) AS object_type, o.attributes, o.reason, o.created_at,
       o.created_by
  FROM policy.object_default o JOIN policy.domain d ON d.id = o.domain;
COMMENT ON VIEW policy.defaults IS 'The defaults: attributes that a new object gets where its maker gives none';
COMMENT ON COLUMN policy.defaults.domain IS 'The domain in which they hold';
COMMENT ON COLUMN policy.defaults.object_type IS 'For objects of this Object Type';
COMMENT ON COLUMN policy.defaults.attributes IS 'The attributes and their values, by their KMIP JSON names';
COMMENT ON COLUMN policy.defaults.reason IS 'Why they stand here';
COMMENT ON COLUMN policy.defaults.created_at IS 'When they were set';
COMMENT ON COLUMN policy.defaults.created_by IS 'By whom: database user and operator';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.bound_add, policy.bound_remove, policy.default_set, policy.default_remove
    TO holdfast_policy;
GRANT SELECT ON policy.bounds, policy.defaults TO holdfast_policy;
