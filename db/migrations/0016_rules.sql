-- Rules: what `holdfast policy allow|deny|require-approval|remove|list|permissions` calls, and what an administrator
-- may call in psql as holdfast_policy.

-- ---- permissions ----
CREATE FUNCTION policy.permits(permissions text[], p policy.permission) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN permissions && ARRAY['*', '@' || p.class, p.name];
COMMENT ON FUNCTION policy.permits IS 'Whether the list of a rule names this permission, its class or all; internal';

CREATE FUNCTION policy.permission_named(p_name text) RETURNS policy.permission LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- "Get Attribute List" and "GetAttributeList" are get-attribute-list, too
    wanted text := lower(replace(regexp_replace(trim(p_name), '([a-z])([A-Z])', '\1-\2', 'g'), ' ', '-'));
    found_row policy.permission;
BEGIN
    SELECT * INTO found_row FROM policy.permission WHERE name = wanted;
    IF NOT FOUND THEN
        PERFORM policy.mistake(format('there is no permission for "%s"', p_name),
            (SELECT format('The permissions are: %s.', string_agg(name, ', ' ORDER BY name)) FROM policy.permission));
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION policy.permission_named IS 'The permission by its name or by the name of its KMIP operation; an error if there is none; internal';

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
        PERFORM policy.mistake(
            format('only what is done to an object that exists, asked for by itself, can wait for approval: not %s',
                   cannot),
            (SELECT format('Name what is meant of: %s; or all of a class: %s.',
                           string_agg(c.names, ', ' ORDER BY c.class),
                           string_agg('@' || c.class, ', ' ORDER BY c.class) FILTER (WHERE c.whole))
               FROM (SELECT p.class, bool_and(policy.can_wait(p)) AS whole,
                            string_agg(p.name, ', ' ORDER BY p.name) FILTER (WHERE policy.can_wait(p)) AS names
                       FROM policy.permission p GROUP BY p.class) AS c));
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
                    format('The classes are: %s.', (SELECT string_agg(DISTINCT '@' || class, ', ')
                                                      FROM policy.permission)));
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

CREATE VIEW policy.permissions AS
SELECT p.name AS permission, '@' || p.class AS class, p.needs_object,
       ARRAY(SELECT r.id FROM policy.rule r WHERE policy.permits(r.permissions, p) ORDER BY r.id) AS rules
  FROM policy.permission p;
COMMENT ON VIEW policy.permissions IS 'What can be permitted, one permission for each operation, and the rules that name it';
COMMENT ON COLUMN policy.permissions.permission IS 'As rules name it';
COMMENT ON COLUMN policy.permissions.class IS 'Its class: in a rule it stands for all permissions of the class';
COMMENT ON COLUMN policy.permissions.needs_object IS 'Whether it is about an object that exists';
COMMENT ON COLUMN policy.permissions.rules IS 'Numbers of the rules that name it, its class or *';

-- ---- a rule ----
CREATE FUNCTION policy.selectors_text(r policy.rule) RETURNS text LANGUAGE sql IMMUTABLE
RETURN concat_ws(', ', 'owner ' || r.owner, CASE WHEN r.policy <> '*' THEN format('policy "%s"', r.policy) END,
    'object ' || r.object::text, 'type ' || audit.type_name(r.object_type), 'object group "' || r.object_group || '"',
    'name ' || r.name_pattern, r.attribute_name || ' = ' || r.attribute_value);
COMMENT ON FUNCTION policy.selectors_text IS 'To which objects a rule applies, in words';

CREATE FUNCTION policy.rule_text(r policy.rule) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', CASE r.effect WHEN 'approval' THEN format('%s approvals for', r.approvals) ELSE r.effect END,
                     policy.subject_text(r.client, r.client_group, r.role) || ':', array_to_string(r.permissions, ','),
                     'with ' || policy.selectors_text(r), 'from ' || r.valid_from, 'until ' || r.valid_until)
$$;
COMMENT ON FUNCTION policy.rule_text IS 'A rule in one line, for audit rows; internal';

CREATE FUNCTION policy.check_rule(r policy.rule) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM policy.check_text('the policy', r.policy, 255);
    IF coalesce(r.owner, '') NOT IN ('self', 'group', 'any') THEN
        PERFORM policy.mistake(format('there is no owner "%s"', r.owner),
            'self: objects of the client itself; group: of those it shares with, too; any: of all clients of the domain.');
    ELSIF r.object IS NOT NULL
      AND NOT EXISTS (SELECT FROM kmip.object o WHERE o.uid = r.object AND o.domain = r.domain) THEN
        PERFORM policy.missing(format('the domain has no object %s', r.object));
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

CREATE FUNCTION policy.rule_insert(r policy.rule) RETURNS policy.rule LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    r.id := nextval('policy.rule_id_seq');
    r.created_at := now();
    r.created_by := policy.author();
    INSERT INTO policy.rule OVERRIDING SYSTEM VALUE VALUES (r.*);
    RETURN r;
END
$$;
COMMENT ON FUNCTION policy.rule_insert IS 'Stores a rule that was checked, and returns it with its number; internal';

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
    PERFORM policy.check_reason(p_reason);
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
    r := policy.rule_insert(r);
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
    SELECT policy.rule_add('approval', subject, permissions, reason, domain, require_approval.policy, owner, object,
                           object_type, object_group, name_pattern, attribute_name, attribute_value, valid_from,
                           valid_until, approvals)
$$;
COMMENT ON FUNCTION policy.require_approval IS 'Lets an operation that a rule permits wait until so many administrators have approved it; permits nothing itself; otherwise as policy.allow(). SELECT policy.require_approval(''everyone'', ''{destroy,revoke}'', ''four eyes'', approvals => 2)';

CREATE FUNCTION policy.rule_remove(rule bigint, reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d policy.domain;
    r policy.rule;
BEGIN
    PERFORM policy.check_reason(rule_remove.reason);
    SELECT * INTO d FROM policy.domain WHERE id = (SELECT domain FROM policy.rule WHERE id = rule_remove.rule)
       FOR NO KEY UPDATE;
    DELETE FROM policy.rule WHERE id = rule_remove.rule RETURNING * INTO r;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('there is no rule %s', rule_remove.rule),
                               '''holdfast policy list'' or policy.rules shows them.');
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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.allow, policy.deny, policy.require_approval, policy.rule_add, policy.rule_remove
    TO holdfast_policy;
GRANT SELECT ON policy.rules, policy.permissions TO holdfast_policy;
-- what views call
GRANT EXECUTE ON FUNCTION policy.permits TO holdfast_policy;
