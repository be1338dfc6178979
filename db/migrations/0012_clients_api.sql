-- Administration of domains, clients, groups and roles: what `holdfast domain|client|group|role` calls, and what an
-- administrator may call in psql as holdfast_policy. Each function takes a reason and writes its audit row.
--
-- All that changes a domain, its clients, groups or roles locks the domain's row first. So of two changes the later
-- one sees what the earlier one did, and raises the standing of all that it concerns. Locks are taken in one order, so
-- that no administrator's change is given up for another's: the table of domains, the row of the domain, rows of
-- clients, and last the one of audit.note().

ALTER TABLE policy.domain ADD COLUMN keyed_at timestamptz;
COMMENT ON COLUMN policy.domain.keyed_at IS 'Since when its domain key is stored and opened by a vault; NULL: it waits for its key, which a running server makes';
UPDATE policy.domain d SET keyed_at = now() WHERE EXISTS (SELECT FROM kmip.dk k WHERE k.domain = d.id);

-- ---- what the functions share ----
CREATE FUNCTION policy.check_reason(p_reason text) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_reason IS NULL OR btrim(p_reason) = '' OR octet_length(p_reason) > 1024 THEN
        RAISE EXCEPTION 'this needs a reason, of at most 1024 bytes' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Say why it is done: the audit trail keeps it for those who come later.';
    END IF;
    RETURN p_reason;
END
$$;
COMMENT ON FUNCTION policy.check_reason IS 'The reason as it is; an error where there is none; internal';

CREATE FUNCTION policy.check_name(p_what text, p_name text) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_name IS NULL OR octet_length(p_name) NOT BETWEEN 1 AND 255 OR p_name <> btrim(p_name) OR p_name ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'this is no name for a %: 1 to 255 bytes, no blank at either end, no control characters', p_what
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN p_name;
END
$$;
COMMENT ON FUNCTION policy.check_name IS 'The name of something new as it is; an error where it cannot be one; internal';

CREATE FUNCTION policy.domain_lock(p_domain text) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_id bigint;
BEGIN
    LOCK TABLE policy.domain IN ROW EXCLUSIVE MODE; -- as who changes the row, but before it: who adds a domain has it
    SELECT id INTO found_id FROM policy.domain WHERE name = p_domain FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no domain %', p_domain USING ERRCODE = 'no_data_found',
            HINT = '''holdfast domain list'' or policy.domains shows them.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION policy.domain_lock IS 'The id of a domain by name, its row locked until the transaction ends; an error if there is none; internal';

CREATE FUNCTION policy.client_lock(p_client text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
BEGIN
    PERFORM FROM policy.domain d WHERE d.id = (SELECT domain FROM policy.client WHERE id = target) FOR NO KEY UPDATE;
    RETURN target;
END
$$;
COMMENT ON FUNCTION policy.client_lock IS 'The id of a client by name, the row of its domain locked; an error if there is none; internal';

CREATE FUNCTION policy.group_lock(p_domain text, p_group text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place    bigint := policy.domain_lock(p_domain);
    found_id uuid;
BEGIN
    SELECT id INTO found_id FROM policy.client_group WHERE domain = place AND name = p_group;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'domain % has no group %', p_domain, p_group USING ERRCODE = 'no_data_found',
            HINT = '''holdfast group list'' or policy.groups shows them.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION policy.group_lock IS 'The id of a group by name, the row of its domain locked; an error if there is none; internal';

CREATE FUNCTION policy.role_lock(p_domain text, p_role text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place    bigint := policy.domain_lock(p_domain);
    found_id uuid;
BEGIN
    SELECT id INTO found_id FROM policy.role WHERE domain = place AND name = p_role;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'domain % has no role %', p_domain, p_role USING ERRCODE = 'no_data_found',
            HINT = '''holdfast role list'' or policy.roles shows them.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION policy.role_lock IS 'The id of a role by name, the row of its domain locked; an error if there is none; internal';

CREATE FUNCTION policy.client_of(p_client text, p_domain text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
    home   text := (SELECT d.name FROM policy.domain d JOIN policy.client c ON c.domain = d.id WHERE c.id = target);
BEGIN
    IF home <> p_domain THEN
        RAISE EXCEPTION 'client % is of domain %, not of %', p_client, home, p_domain
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing crosses domains.';
    END IF;
    RETURN target;
END
$$;
COMMENT ON FUNCTION policy.client_of IS 'The id of a client of this domain by name; an error where there is none, or it is of another one; internal';

-- Rows are locked in one order, so that two administrators cannot wait for each other.
CREATE FUNCTION policy.raise_standing(p_clients uuid[]) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    WITH concerned AS (SELECT id FROM policy.client WHERE id = ANY (p_clients) ORDER BY id FOR NO KEY UPDATE)
    UPDATE policy.client c SET standing = c.standing + 1 FROM concerned WHERE c.id = concerned.id;
$$;
COMMENT ON FUNCTION policy.raise_standing IS 'Makes requests that are under way for these clients be decided anew; internal';

CREATE FUNCTION policy.members_of(p_group uuid) RETURNS uuid[] LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(array_agg(client), '{}') FROM policy.group_member WHERE client_group = p_group $$;
COMMENT ON FUNCTION policy.members_of IS 'The clients in a group; internal';

CREATE FUNCTION policy.holders_of(p_role uuid) RETURNS uuid[] LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT coalesce(m.client, g.client)), '{}')
      FROM policy.role_member m LEFT JOIN policy.group_member g ON g.client_group = m.client_group
     WHERE m.role = p_role AND coalesce(m.client, g.client) IS NOT NULL
$$;
COMMENT ON FUNCTION policy.holders_of IS 'The clients that have a role, by themselves or by a group; internal';

-- ---- domains ----
CREATE FUNCTION policy.domain_add(p_domain text, p_reason text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM policy.check_reason(p_reason);
    PERFORM policy.check_name('domain', p_domain);
    LOCK TABLE policy.domain IN SHARE ROW EXCLUSIVE MODE; -- the number is the next one
    IF EXISTS (SELECT FROM policy.domain WHERE name = p_domain) THEN
        RAISE EXCEPTION 'there is a domain % already', p_domain USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.domain (id, name) SELECT max(id) + 1, p_domain FROM policy.domain RETURNING id INTO made;
    PERFORM policy.first_rules(made);
    PERFORM audit.note('Admin Add Domain', format('domain=%s id=%s reason=%s', p_domain, made, p_reason));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.domain_add IS 'Adds a domain with its first rules; returns its number. A running server makes its key; until then (policy.domains.has_key) its clients can make no objects';

CREATE FUNCTION policy.domain_limits(p_domain text, p_max_clients bigint, p_max_objects bigint, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF p_max_clients < -1 OR p_max_objects < -1 THEN
        RAISE EXCEPTION 'a limit is a number from 0, or -1 for none' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE policy.domain SET max_clients = nullif(coalesce(p_max_clients, max_clients), -1),
                             max_objects = nullif(coalesce(p_max_objects, max_objects), -1) WHERE id = place;
    PERFORM policy.raise_standing(ARRAY(SELECT id FROM policy.client WHERE domain = place));
    PERFORM audit.note('Admin Set Domain Limits',
        (SELECT format('domain=%s max_clients=%s max_objects=%s reason=%s', name, coalesce(max_clients::text, 'none'),
                       coalesce(max_objects::text, 'none'), p_reason) FROM policy.domain WHERE id = place));
END
$$;
COMMENT ON FUNCTION policy.domain_limits IS 'Sets how many clients and objects a domain may have: NULL leaves a limit as it is, -1 takes it away. What is there stays, also beyond the limit';

CREATE FUNCTION policy.domain_enable(p_domain text, p_enabled boolean, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.domain SET enabled = p_enabled WHERE id = place;
    PERFORM policy.raise_standing(ARRAY(SELECT id FROM policy.client WHERE domain = place));
    PERFORM audit.note(CASE WHEN p_enabled THEN 'Admin Enable Domain' ELSE 'Admin Disable Domain' END,
                       format('domain=%s reason=%s', p_domain, p_reason));
END
$$;
COMMENT ON FUNCTION policy.domain_enable IS 'Lets the clients of a domain work, or not; holds from their next request on';

-- ---- clients ----
DROP FUNCTION policy.client_add(text, text, text, text, text, text, timestamptz, timestamptz);
CREATE FUNCTION policy.client_add(p_name text, p_issuer text, p_kind text, p_value text, p_serial text,
                                  p_fingerprint text, p_not_before timestamptz, p_not_after timestamptz,
                                  p_domain text DEFAULT 'default', p_reason text DEFAULT 'enrolment')
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
    most  bigint := (SELECT max_clients FROM policy.domain WHERE id = place);
    made  uuid;
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF EXISTS (SELECT FROM policy.client WHERE name = p_name) THEN
        RAISE EXCEPTION 'there is a client % already', p_name USING ERRCODE = 'unique_violation';
    END IF;
    IF (SELECT count(*) FROM policy.client WHERE domain = place) >= most THEN
        RAISE EXCEPTION 'domain % has as many clients as it may: %', p_domain, most
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = '''holdfast domain limits'' or policy.domain_limits() sets how many it may have.';
    END IF;
    INSERT INTO policy.client (name, domain) VALUES (p_name, place) RETURNING id INTO made;
    PERFORM policy.add_identity(made, p_issuer, p_kind, p_value, p_serial, p_fingerprint, p_not_before, p_not_after);
    PERFORM audit.note('Admin Add Client', format('client=%s id=%s domain=%s %s=%s fingerprint=%s reason=%s', p_name, made,
                                                  p_domain, p_kind, p_value, p_fingerprint, p_reason));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.client_add IS 'Adds a client to a domain, with its first credential and certificate; returns its id';

DROP FUNCTION policy.client_enable(text, boolean);
CREATE FUNCTION policy.client_enable(p_client text, p_enabled boolean, p_reason text DEFAULT 'none given')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.client SET enabled = p_enabled, standing = standing + 1 WHERE id = target;
    PERFORM audit.note(CASE WHEN p_enabled THEN 'Admin Enable Client' ELSE 'Admin Disable Client' END,
                       format('client=%s reason=%s', p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.client_enable IS 'Lets a client work, or not; holds from its next request on';

DROP FUNCTION policy.client_revoke(text);
CREATE FUNCTION policy.client_revoke(p_client text, p_reason text DEFAULT 'none given')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.certificate SET revoked_at = now() WHERE client = target AND revoked_at IS NULL;
    UPDATE policy.client SET enabled = false, standing = standing + 1 WHERE id = target;
    PERFORM audit.note('Admin Revoke Client', format('client=%s reason=%s', p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.client_revoke IS 'Disables a client and revokes all its certificates; holds from its next request on';

CREATE OR REPLACE FUNCTION policy.certificate_revoke(p_client text, p_certificate text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
BEGIN
    UPDATE policy.certificate SET revoked_at = coalesce(revoked_at, now())
     WHERE client = target AND (fingerprint = lower(p_certificate) OR serial = lower(p_certificate));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'client % has no such certificate', p_client USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE policy.client SET standing = standing + 1 WHERE id = target;
    PERFORM audit.note('Admin Revoke Certificate', format('client=%s certificate=%s', p_client, lower(p_certificate)));
END
$$;

CREATE FUNCTION policy.client_set(p_client text, p_second_factor boolean, p_legacy_tls boolean, p_quirks text[], p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target  uuid := policy.client_lock(p_client);
    unknown text := (SELECT string_agg(coalesce(q, 'NULL'), ', ') FROM unnest(p_quirks) q
                      WHERE NOT EXISTS (SELECT FROM policy.quirk k WHERE k.name = q));
    now_set policy.client;
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'there is no quirk %', unknown USING ERRCODE = 'no_data_found',
            HINT = 'policy.quirk says which there are, and what each does.';
    END IF;
    UPDATE policy.client SET second_factor = coalesce(p_second_factor, second_factor),
                             legacy_tls = coalesce(p_legacy_tls, legacy_tls),
                             quirks = CASE WHEN p_quirks IS NULL THEN quirks
                                           ELSE ARRAY(SELECT DISTINCT q FROM unnest(p_quirks) q ORDER BY q) END,
                             standing = standing + 1
     WHERE id = target RETURNING * INTO now_set;
    PERFORM audit.note('Admin Set Client', format('client=%s second_factor=%s legacy_tls=%s quirks=%s reason=%s', p_client,
                                                  now_set.second_factor, now_set.legacy_tls,
                                                  array_to_string(now_set.quirks, ','), p_reason));
END
$$;
COMMENT ON FUNCTION policy.client_set IS 'Sets what holds for one client: whether it needs a second factor, may use the listener with old TLS suites, and which quirks of policy.quirk it has. NULL leaves a setting as it is, an empty array takes all quirks away';

-- ---- groups ----
CREATE FUNCTION policy.group_add(p_domain text, p_group text, p_reason text) RETURNS uuid LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
    made  uuid;
BEGIN
    PERFORM policy.check_reason(p_reason);
    PERFORM policy.check_name('group', p_group);
    IF EXISTS (SELECT FROM policy.client_group WHERE domain = place AND name = p_group) THEN
        RAISE EXCEPTION 'domain % has a group % already', p_domain, p_group USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.client_group (domain, name) VALUES (place, p_group) RETURNING id INTO made;
    PERFORM audit.note('Admin Add Group', format('domain=%s group=%s reason=%s', p_domain, p_group, p_reason));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.group_add IS 'Adds a group to a domain, whose members share objects until policy.group_share() says otherwise; returns its id';

CREATE FUNCTION policy.group_remove(p_domain text, p_group text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target  uuid := policy.group_lock(p_domain, p_group);
    members uuid[] := policy.members_of(target);
    naming  text;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT string_agg(what, ', ') INTO naming FROM (
        SELECT 'rule ' || id AS what FROM policy.rule WHERE client_group = target
        UNION ALL SELECT 'constraint ' || id FROM policy.bound WHERE client_group = target) AS n;
    IF naming IS NOT NULL THEN
        RAISE EXCEPTION 'group % stays: it is named by %', p_group, naming
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take that away first.';
    END IF;
    DELETE FROM policy.client_group WHERE id = target;
    PERFORM policy.raise_standing(members);
    PERFORM audit.note('Admin Remove Group', format('domain=%s group=%s members=%s reason=%s', p_domain, p_group,
                                                    cardinality(members), p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_remove IS 'Removes a group; its members share no longer and lose its roles. Refused while rules or constraints name it';

CREATE FUNCTION policy.group_share(p_domain text, p_group text, p_shares boolean, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.group_lock(p_domain, p_group);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.client_group SET shares = p_shares WHERE id = target;
    PERFORM policy.raise_standing(policy.members_of(target));
    PERFORM audit.note('Admin Set Group', format('domain=%s group=%s shares=%s reason=%s', p_domain, p_group, p_shares, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_share IS 'Says whether rules for the objects of the group (owner ''group'') hold among its members';

CREATE FUNCTION policy.group_join(p_domain text, p_group text, p_client text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.group_lock(p_domain, p_group);
    member uuid := policy.client_of(p_client, p_domain);
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF EXISTS (SELECT FROM policy.group_member WHERE client_group = target AND client = member) THEN
        RAISE EXCEPTION 'client % is in group % already', p_client, p_group USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.group_member (client_group, client) VALUES (target, member);
    PERFORM policy.raise_standing(policy.members_of(target));
    PERFORM audit.note('Admin Join Group', format('domain=%s group=%s client=%s reason=%s', p_domain, p_group, p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_join IS 'Makes a client a member of a group of its domain';

CREATE FUNCTION policy.group_leave(p_domain text, p_group text, p_client text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.group_lock(p_domain, p_group);
    member uuid := policy.client_of(p_client, p_domain);
    before uuid[] := policy.members_of(target);
BEGIN
    PERFORM policy.check_reason(p_reason);
    DELETE FROM policy.group_member WHERE client_group = target AND client = member;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'client % is not in group %', p_client, p_group USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM policy.raise_standing(before);
    PERFORM audit.note('Admin Leave Group', format('domain=%s group=%s client=%s reason=%s', p_domain, p_group, p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_leave IS 'Ends a client''s membership of a group';

-- ---- roles ----
CREATE FUNCTION policy.role_add(p_domain text, p_role text, p_reason text) RETURNS uuid LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
    made  uuid;
BEGIN
    PERFORM policy.check_reason(p_reason);
    PERFORM policy.check_name('role', p_role);
    IF EXISTS (SELECT FROM policy.role WHERE domain = place AND name = p_role) THEN
        RAISE EXCEPTION 'domain % has a role % already', p_domain, p_role USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.role (domain, name) VALUES (place, p_role) RETURNING id INTO made;
    PERFORM audit.note('Admin Add Role', format('domain=%s role=%s reason=%s', p_domain, p_role, p_reason));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.role_add IS 'Adds a role to a domain; returns its id';

CREATE FUNCTION policy.role_remove(p_domain text, p_role text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target  uuid := policy.role_lock(p_domain, p_role);
    holders uuid[] := policy.holders_of(target);
    naming  text;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT string_agg(what, ', ') INTO naming FROM (
        SELECT 'rule ' || id AS what FROM policy.rule WHERE role = target
        UNION ALL SELECT 'constraint ' || id FROM policy.bound WHERE role = target) AS n;
    IF naming IS NOT NULL THEN
        RAISE EXCEPTION 'role % stays: it is named by %', p_role, naming
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take that away first.';
    END IF;
    DELETE FROM policy.role WHERE id = target;
    PERFORM policy.raise_standing(holders);
    PERFORM audit.note('Admin Remove Role', format('domain=%s role=%s holders=%s reason=%s', p_domain, p_role,
                                                   cardinality(holders), p_reason));
END
$$;
COMMENT ON FUNCTION policy.role_remove IS 'Removes a role. Refused while rules or constraints name it';

CREATE FUNCTION policy.role_holder(p_domain text, p_client text, p_group text, OUT client uuid, OUT client_group uuid,
                                   OUT clients uuid[], OUT said text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF num_nonnulls(p_client, p_group) <> 1 THEN
        RAISE EXCEPTION 'a role is given to a client or to a group: name one of them' USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_client IS NOT NULL THEN
        client := policy.client_of(p_client, p_domain);
        clients := ARRAY[client];
        said := 'client=' || p_client;
    ELSE
        client_group := policy.group_lock(p_domain, p_group);
        clients := policy.members_of(client_group);
        said := 'group=' || p_group;
    END IF;
END
$$;
COMMENT ON FUNCTION policy.role_holder IS 'The client or group of this domain that a role is given to or taken from, all clients that this concerns, and how the audit row names it; internal';

CREATE FUNCTION policy.role_give(p_domain text, p_role text, p_client text, p_group text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.role_lock(p_domain, p_role);
    holder record;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT * INTO holder FROM policy.role_holder(p_domain, p_client, p_group);
    IF EXISTS (SELECT FROM policy.role_member m WHERE m.role = target
                  AND (m.client = holder.client OR m.client_group = holder.client_group)) THEN
        RAISE EXCEPTION '% % has the role % already', CASE WHEN p_client IS NULL THEN 'group' ELSE 'client' END,
            coalesce(p_client, p_group), p_role USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.role_member (role, client, client_group) VALUES (target, holder.client, holder.client_group);
    PERFORM policy.raise_standing(holder.clients);
    PERFORM audit.note('Admin Give Role', format('domain=%s role=%s %s reason=%s', p_domain, p_role, holder.said, p_reason));
END
$$;
COMMENT ON FUNCTION policy.role_give IS 'Gives a role to a client, or to all members of a group, of the same domain: the other of the two is NULL';

CREATE FUNCTION policy.role_take(p_domain text, p_role text, p_client text, p_group text, p_reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.role_lock(p_domain, p_role);
    holder record;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT * INTO holder FROM policy.role_holder(p_domain, p_client, p_group);
    DELETE FROM policy.role_member m WHERE m.role = target
       AND (m.client = holder.client OR m.client_group = holder.client_group);
    IF NOT FOUND THEN
        RAISE EXCEPTION '% % was not given the role %', CASE WHEN p_client IS NULL THEN 'group' ELSE 'client' END,
            coalesce(p_client, p_group), p_role USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM policy.raise_standing(holder.clients);
    PERFORM audit.note('Admin Take Role', format('domain=%s role=%s %s reason=%s', p_domain, p_role, holder.said, p_reason));
END
$$;
COMMENT ON FUNCTION policy.role_take IS 'Takes a role from a client or a group that it was given to';

-- ---- views ----
CREATE VIEW policy.domains AS
SELECT d.id, d.name, d.enabled, d.keyed_at IS NOT NULL AS has_key, d.max_clients, d.max_objects,
       (SELECT count(*) FROM policy.client c WHERE c.domain = d.id) AS clients, d.created_at
  FROM policy.domain d;
COMMENT ON VIEW policy.domains IS 'Domains, their limits and how many clients they have';
COMMENT ON COLUMN policy.domains.id IS 'Number of the domain';
COMMENT ON COLUMN policy.domains.name IS 'Its name';
COMMENT ON COLUMN policy.domains.enabled IS 'False: nothing is answered to its clients';
COMMENT ON COLUMN policy.domains.has_key IS 'False: it waits for its domain key; a running server with an open vault makes it';
COMMENT ON COLUMN policy.domains.max_clients IS 'Most clients it may have; NULL: any number';
COMMENT ON COLUMN policy.domains.max_objects IS 'Most objects, destroyed ones not counted; NULL: any number';
COMMENT ON COLUMN policy.domains.clients IS 'How many clients it has, disabled ones included';
COMMENT ON COLUMN policy.domains.created_at IS 'When it was made';

CREATE VIEW policy.groups AS
SELECT g.id, d.name AS domain, g.name, g.shares,
       (SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM policy.group_member m
          JOIN policy.client c ON c.id = m.client WHERE m.client_group = g.id) AS members,
       (SELECT string_agg(r.name, ', ' ORDER BY r.name) FROM policy.role_member m
          JOIN policy.role r ON r.id = m.role WHERE m.client_group = g.id) AS roles, g.created_at
  FROM policy.client_group g JOIN policy.domain d ON d.id = g.domain;
COMMENT ON VIEW policy.groups IS 'Groups of clients, their members and roles';
COMMENT ON COLUMN policy.groups.id IS 'Identifier of the group';
COMMENT ON COLUMN policy.groups.domain IS 'Its domain, which is also that of all its members';
COMMENT ON COLUMN policy.groups.name IS 'Its name';
COMMENT ON COLUMN policy.groups.shares IS 'True: rules for the objects of the group (owner ''group'') hold among its members';
COMMENT ON COLUMN policy.groups.members IS 'Names of its members; NULL: none';
COMMENT ON COLUMN policy.groups.roles IS 'Names of the roles that all its members have by it; NULL: none';
COMMENT ON COLUMN policy.groups.created_at IS 'When it was made';

CREATE VIEW policy.roles AS
SELECT r.id, d.name AS domain, r.name,
       (SELECT string_agg(coalesce('client ' || c.name, 'group ' || g.name), ', ' ORDER BY c.name, g.name)
          FROM policy.role_member m LEFT JOIN policy.client c ON c.id = m.client
          LEFT JOIN policy.client_group g ON g.id = m.client_group WHERE m.role = r.id) AS members, r.created_at
  FROM policy.role r JOIN policy.domain d ON d.id = r.domain;
COMMENT ON VIEW policy.roles IS 'Roles and who has them';
COMMENT ON COLUMN policy.roles.id IS 'Identifier of the role';
COMMENT ON COLUMN policy.roles.domain IS 'Its domain';
COMMENT ON COLUMN policy.roles.name IS 'Its name';
COMMENT ON COLUMN policy.roles.members IS 'Clients and groups that it was given to: "client a, group b"; NULL: none';
COMMENT ON COLUMN policy.roles.created_at IS 'When it was made';

CREATE OR REPLACE VIEW policy.clients AS
SELECT c.id, c.name, d.name AS domain, c.enabled, c.standing, c.created_at,
       (SELECT string_agg(k.kind || ' ' || k.value, ', ' ORDER BY k.created_at, k.value)
          FROM policy.credential k WHERE k.client = c.id) AS identities,
       (SELECT count(*) FROM policy.certificate x
         WHERE x.client = c.id AND x.revoked_at IS NULL AND x.not_after > now()) AS certificates,
       (SELECT max(x.not_after) FROM policy.certificate x
         WHERE x.client = c.id AND x.revoked_at IS NULL) AS not_after,
       (SELECT string_agg(g.name, ', ' ORDER BY g.name) FROM policy.group_member m
          JOIN policy.client_group g ON g.id = m.client_group WHERE m.client = c.id) AS groups,
       (SELECT string_agg(r.name, ', ' ORDER BY r.name) FROM policy.role r
         WHERE r.id IN (SELECT m.role FROM policy.role_member m WHERE m.client = c.id
                        UNION SELECT m.role FROM policy.group_member g
                                JOIN policy.role_member m ON m.client_group = g.client_group
                               WHERE g.client = c.id)) AS roles,
       c.second_factor, c.legacy_tls, c.quirks
  FROM policy.client c JOIN policy.domain d ON d.id = c.domain;
COMMENT ON VIEW policy.clients IS 'Clients with their identities, how many certificates of theirs are good, groups, roles and settings';
COMMENT ON COLUMN policy.clients.groups IS 'Names of the groups it is in; NULL: none';
COMMENT ON COLUMN policy.clients.roles IS 'Names of the roles it has, by itself or by a group; NULL: none';
COMMENT ON COLUMN policy.clients.second_factor IS 'True: each request must carry a KMIP Credential that is registered for the client';
COMMENT ON COLUMN policy.clients.legacy_tls IS 'True: it may also come in by the listener with old cipher suites';
COMMENT ON COLUMN policy.clients.quirks IS 'Names of policy.quirk: where this client needs more lenient answers than the specification gives';

-- ---- keys of new domains ----
-- The first key of a domain is stored once, whoever comes first: a second one would make what the first one sealed
-- unreadable. Nor is it made again when its row is lost.
CREATE FUNCTION kmip.add_domain_key(p_domain bigint, p_epoch bigint, p_ep_epoch bigint, p_pub bytea, p_priv bytea, p_mac bytea)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM policy.domain WHERE id = p_domain AND keyed_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM kmip.dk WHERE domain = p_domain) THEN
        RETURN false;
    END IF;
    INSERT INTO kmip.dk (domain, epoch, ep_epoch, state, pub, priv, mac)
    VALUES (p_domain, p_epoch, p_ep_epoch, 1, p_pub, p_priv, p_mac);
    PERFORM audit.note('Admin Make Domain Key', format('domain=%s epoch=%s',
                       (SELECT name FROM policy.domain WHERE id = p_domain), p_epoch));
    RETURN true;
END
$$;
COMMENT ON FUNCTION kmip.add_domain_key IS 'Stores the first key of a domain, as a vault made it; false: another server was first, nothing was stored';

CREATE FUNCTION kmip.domain_keyed(p_domain bigint) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE policy.domain SET keyed_at = now()
     WHERE id = p_domain AND keyed_at IS NULL AND EXISTS (SELECT FROM kmip.dk WHERE domain = p_domain)
$$;
COMMENT ON FUNCTION kmip.domain_keyed IS 'Notes that a vault has opened the stored key of a domain: it waits no longer';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
REVOKE ALL ON FUNCTION kmip.add_domain_key, kmip.domain_keyed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.domain_add, policy.domain_limits, policy.domain_enable,
    policy.client_add, policy.client_enable, policy.client_revoke, policy.client_set,
    policy.group_add, policy.group_remove, policy.group_share, policy.group_join, policy.group_leave,
    policy.role_add, policy.role_remove, policy.role_give, policy.role_take TO holdfast_policy;
GRANT SELECT ON policy.domains, policy.groups, policy.roles TO holdfast_policy;
GRANT EXECUTE ON FUNCTION kmip.add_domain_key, kmip.domain_keyed TO holdfast_server;
