-- policy.diff() and policy.apply(): what a policy file would change, and changing it.

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
    SELECT d.key, 'client', e.key, e.value || jsonb_build_object('domain', d.key), true, 1,
           d.place || '.clients.' || e.key
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
                  SELECT domain, place || '.' || k.what, k.what, value ->> k.what
                    FROM facts, (VALUES ('group'), ('role')) AS k(what)
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
          FROM named n
         WHERE NOT EXISTS (SELECT FROM facts k WHERE (k.domain, k.kind, k.name) = (n.domain, n.what, n.name))
        UNION ALL
        SELECT c.place || '.quirks', format('there is no quirk "%s"', q.name),
               format('Known are: %s.',
                      coalesce((SELECT string_agg(k.name, ', ' ORDER BY k.name) FROM policy.quirk k), 'none'))
          FROM facts c, jsonb_array_elements_text(c.value -> 'quirks') AS q(name)
         WHERE c.kind = 'client' AND NOT EXISTS (SELECT FROM policy.quirk k WHERE k.name = q.name)
        UNION ALL
        SELECT n.place,
               format('client "%s" is of domain "%s" now, and the file does not have this domain', h.name, h.before),
               'A file that moves a client has both domains, so that its groups, roles and rules there are told, too.'
          FROM home h JOIN facts n ON n.kind = 'client' AND n.name = h.name
         WHERE h.before <> h.domain AND NOT p_doc -> 'domains' ? h.before
        UNION ALL
        SELECT n.place, format('client "%s" owns objects in domain "%s" and cannot leave it', h.name, h.before),
               'Objects never change their domain: destroy them first, or enrol another client.'
          FROM home h JOIN facts n ON n.kind = 'client' AND n.name = h.name
         WHERE h.before <> h.domain AND EXISTS (SELECT FROM kmip.object o WHERE o.owner = h.id AND o.state < 5)
        UNION ALL
        SELECT d.place || '.max_clients', format('the domain would have %s clients', count(*)),
               'Raise it, or move fewer.'
          FROM facts d JOIN home h ON h.domain = d.name
         WHERE d.kind = 'domain' GROUP BY d.place, d.value
        HAVING count(*) > (d.value ->> 'max_clients')::bigint AND bool_or(h.before <> h.domain)
        UNION ALL
        SELECT n.place, format('this is no name for a %s', n.kind), 'No blank at either end, no control characters.'
          FROM facts n
         WHERE n.kind IN ('domain', 'group', 'role') AND (n.name <> btrim(n.name) OR n.name ~ '[[:cntrl:]]')
        UNION ALL
        SELECT min(n.place), format('client "%s" is in more than one domain', n.name),
               'Its objects have one domain, so it has.'
          FROM facts n WHERE n.kind = 'client' GROUP BY n.name HAVING count(*) > 1
        ORDER BY 1 LIMIT 1
    LOOP
        PERFORM policy.file_fail(f.place, f.what, f.hint);
    END LOOP;
    FOR f IN SELECT k.kind, k.domain, k.value, k.place FROM policy.file_facts(p_doc) k
              WHERE k.kind IN ('rule', 'constraint') LOOP
        PERFORM policy.file_shared(f.kind, f.domain, f.value, f.place);
    END LOOP;
END
$$;
COMMENT ON FUNCTION policy.file_check IS 'An error where a file uses a name that there is not, or moves a client that cannot be moved; internal';

-- ---- changes in words ----
CREATE FUNCTION policy.file_pairs(p_value jsonb, p_before jsonb DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(key || ' '
                      || CASE WHEN p_before IS NULL THEN '' ELSE coalesce(p_before ->> key, 'none') || ' -> ' END
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
    SELECT CASE p_rule ->> 'effect' WHEN 'approval' THEN
                format('%s approval%s for', coalesce(p_rule ->> 'approvals', '1'),
                CASE WHEN p_rule ? 'approvals' THEN 's' ELSE '' END) ELSE p_rule ->> 'effect' END
        || ' ' || (SELECT string_agg(p, ', ') FROM jsonb_array_elements_text(p_rule -> 'permissions') AS p)
        || ' ' || CASE p_rule ->> 'effect' WHEN 'approval' THEN 'by ' ELSE 'to ' END
        || policy.file_subject_words(p_rule)
        || concat_ws(', ', '', 'owner ' || (p_rule ->> 'owner'), 'policy "' || (p_rule ->> 'policy') || '"',
                     'object ' || (p_rule ->> 'object'), 'type ' || (p_rule ->> 'object_type'),
                     'object group "' || (p_rule ->> 'object_group') || '"',
                     'name "' || (p_rule ->> 'name_pattern') || '"',
                     'attribute "' || (p_rule ->> 'attribute_name') || '" = "' || (p_rule ->> 'attribute_value') || '"',
                     'from ' || (p_rule ->> 'valid_from'), 'until ' || (p_rule ->> 'valid_until'))
        || ' (' || (p_rule ->> 'reason') || ')'
$$;
COMMENT ON FUNCTION policy.file_rule_words IS 'A rule in words; internal';

CREATE FUNCTION policy.file_line(p_kind text, p_domain text, p_name text, p_old jsonb, p_new jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_old IS NULL THEN '+ ' WHEN p_new IS NULL THEN '- ' ELSE '~ ' END
        || CASE p_kind WHEN 'group member' THEN 'member' WHEN 'role client' THEN 'role' WHEN 'role group' THEN 'role'
                       ELSE p_kind END
        || CASE WHEN p_kind = 'domain' THEN format(' "%s"', p_name) ELSE format(' in domain "%s": ', p_domain) END
        || CASE WHEN p_kind IN ('group member', 'role client')
                THEN format('client "%s" of %s "%s"', coalesce(p_new, p_old) #>> '{}', split_part(p_kind, ' ', 1),
                            p_name)
                WHEN p_kind = 'role group'
                THEN format('group "%s" of role "%s"', coalesce(p_new, p_old) #>> '{}', p_name)
                WHEN p_kind = 'rule' THEN policy.file_rule_words(coalesce(p_new, p_old))
                WHEN p_kind = 'constraint'
                THEN format('for %s: %s (%s)', policy.file_subject_words(coalesce(p_new, p_old)),
                            policy.file_pairs(coalesce(p_new, p_old) - '{client,group,role,reason}'::text[]),
                            coalesce(p_new, p_old) ->> 'reason')
                WHEN p_kind = 'domain' THEN ''
                ELSE format('"%s"', p_name) END
        || CASE WHEN p_old IS NOT NULL AND p_new IS NOT NULL THEN ': ' || policy.file_pairs(p_new, p_old)
                WHEN p_kind IN ('domain', 'group', 'default') AND p_new IS NOT NULL
                THEN ': ' || policy.file_pairs(p_new) ELSE '' END
$$;
COMMENT ON FUNCTION policy.file_line IS 'A change as one line for people; internal';

-- In the order in which they can be done: what hangs on something goes first and comes last.
CREATE FUNCTION policy.file_changes(p_doc jsonb)
RETURNS TABLE (step bigint, kind text, domain text, name text, old jsonb, new jsonb, line text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH was AS MATERIALIZED (
        SELECT f.*, CASE WHEN single THEN 'null' ELSE value END AS key,
               CASE WHEN f.kind = 'client' THEN '' ELSE f.domain END AS at
          FROM policy.file_facts(policy.file_now(NULL)) AS f),
    shall AS MATERIALIZED (
        SELECT f.*, CASE WHEN single THEN 'null' ELSE value END AS key,
               CASE WHEN f.kind = 'client' THEN '' ELSE f.domain END AS at
          FROM policy.file_facts(p_doc) AS f),
    differ AS (
        SELECT coalesce(n.kind, o.kind) AS kind, coalesce(n.domain, o.domain) AS domain,
               coalesce(n.name, o.name) AS name, o.value AS old, n.value AS new
          FROM was o FULL JOIN shall n ON (o.kind, o.at, o.name, o.key, o.nth) = (n.kind, n.at, n.name, n.key, n.nth)
         WHERE o.value IS DISTINCT FROM n.value
           -- other domains, and clients that the file does not name, stay as they are
           AND (n.kind IS NOT NULL OR o.kind <> 'client' AND p_doc -> 'domains' ? o.domain)),
    told AS (SELECT d.*, regexp_replace(policy.file_line(d.kind, d.domain, d.name, d.old, d.new),
                                        '[[:cntrl:]]+', ' ', 'g') AS line
               FROM differ d)
    SELECT row_number() OVER (ORDER BY
               CASE WHEN t.kind = 'domain' THEN 0
                    WHEN t.new IS NULL THEN array_position(
                         '{rule,constraint,default,group member,role client,role group,role,group}', t.kind)
                    ELSE 10 + array_position(
                         '{client,group,role,group member,role client,role group,constraint,default,rule}', t.kind) END,
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
CREATE FUNCTION policy.file_do_member(p_kind text, p_domain bigint, p_name text, p_value jsonb, p_add boolean)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p_group  uuid := policy.named_id('group', p_domain,
                                     CASE p_kind WHEN 'role group' THEN p_value #>> '{}' ELSE p_name END);
    p_role   uuid := policy.named_id('role', p_domain, p_name);
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
    PERFORM policy.rule_insert(policy.file_rule_row(p_domain, p_new));
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
    PERFORM policy.bound_insert(policy.file_bound_row(p_domain, p_new));
END
$$;
COMMENT ON FUNCTION policy.file_do_bound IS 'Adds a constraint, or removes the latest one that is like this; internal';

CREATE FUNCTION policy.file_do_default(p_domain bigint, p_name text, p_new jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM policy.object_default d
     WHERE d.domain = p_domain AND d.object_type = policy.file_number('type', p_name);
    IF p_new IS NOT NULL THEN
        INSERT INTO policy.object_default (domain, object_type, attributes, reason, created_by)
        VALUES (p_domain, policy.file_number('type', p_name), p_new -> 'attributes', p_new ->> 'reason',
                policy.author());
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
        UPDATE policy.domain
           SET enabled = (p_new ->> 'enabled')::boolean, approval_hours = (p_new ->> 'approval_hours')::integer,
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
            INSERT INTO policy.client_group AS g (domain, name, shares)
            VALUES (place, p_name, (p_new ->> 'shares')::boolean)
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

-- An object is of the domain of its owner, and who owns objects does not move. Who makes an object shares a lock with
-- others that make some; who moves its owner has it alone, and looks for objects only then. So of the two the later one
-- sees what the earlier one did. A worker that waits in vain tries again, as with any lock.
CREATE FUNCTION kmip.stays_with_owner() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7237, k.key)
       FROM (SELECT DISTINCT hashtext(m.owner::text) AS key FROM made m ORDER BY 1) AS k;
    IF EXISTS (SELECT FROM made m JOIN policy.client c ON c.id = m.owner WHERE c.domain <> m.domain) THEN
        RAISE EXCEPTION 'the owner of a new object has moved to another domain' USING ERRCODE = 'HF002';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kmip.stays_with_owner IS 'Trigger: refuses objects of another domain than that of their owner; keeps the owner from moving until they are committed';
CREATE TRIGGER object_stays_with_owner AFTER INSERT ON kmip.object REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION kmip.stays_with_owner();
COMMENT ON TRIGGER object_stays_with_owner ON kmip.object IS 'New objects are of the domain of their owner';

-- Others that change the policy wait meanwhile: they lock the row of their domain first.
CREATE FUNCTION policy.file_lock(p_doc jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What it waits for must be seen when it has come.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM policy.mistake('a policy is applied in a transaction that is read committed',
                               'To apply what was looked at and nothing else, give expected.');
    END IF;
    IF EXISTS (SELECT FROM jsonb_object_keys(p_doc -> 'domains') AS k
                WHERE NOT EXISTS (SELECT FROM policy.domain d WHERE d.name = k)) THEN
        LOCK TABLE policy.domain IN SHARE ROW EXCLUSIVE MODE; -- the number of a new one is the next one
    END IF;
    PERFORM FROM policy.domain ORDER BY id FOR NO KEY UPDATE;
    LOCK TABLE policy.client_group, policy.group_member, policy.role, policy.role_member, policy.rule, policy.bound,
        policy.object_default IN SHARE ROW EXCLUSIVE MODE;
    PERFORM pg_advisory_xact_lock(7237, k.key)
       FROM (SELECT DISTINCT hashtext(c.id::text) AS key
               FROM policy.file_facts(p_doc) f JOIN policy.client c ON c.name = f.name
               JOIN policy.domain d ON d.id = c.domain
              WHERE f.kind = 'client' AND f.domain <> d.name ORDER BY 1) AS k;
END
$$;
COMMENT ON FUNCTION policy.file_lock IS 'Keeps others from changing the policy, and clients that move from making objects, until the transaction ends; internal';

CREATE FUNCTION policy.apply(file text, reason text, expected text DEFAULT NULL)
RETURNS TABLE (change text) LANGUAGE plpgsql
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
        PERFORM audit.note(format('Admin %s %s',
                                  CASE WHEN c.old IS NULL THEN 'Add' WHEN c.new IS NULL THEN 'Remove' ELSE 'Change' END,
                                  CASE c.kind WHEN 'role client' THEN 'Role Member' WHEN 'role group' THEN 'Role Member'
                                              ELSE initcap(c.kind) END),
                           format('%s reason=%s file=%s', left(c.line, 600), left(apply.reason, 300), digest));
        concerned := concerned || c.domain || (c.old ->> 'domain');
        done := done + 1;
        change := c.line;
        RETURN NEXT;
    END LOOP;
    PERFORM policy.raise_standings(d.id) FROM policy.domain d WHERE d.name = ANY (concerned) ORDER BY d.id;
    PERFORM audit.note('Admin Apply Policy',
                       format('sha256=%s changes=%s reason=%s', digest, done, left(apply.reason, 800)));
END
$$;
COMMENT ON FUNCTION policy.apply IS 'Makes the policy what this file says (holdfast-policy(5)), in one transaction, and returns what was changed, as policy.diff() does: SELECT * FROM policy.apply(:''file'', ''ticket 4711''). expected: SHA-256 of policy.export() as it was when somebody looked at the differences; an error if the policy is another one by now.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
REVOKE ALL ON FUNCTION kmip.stays_with_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.diff, policy.apply TO holdfast_policy;
