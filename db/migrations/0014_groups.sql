-- Groups and roles: what `holdfast group|role` calls, and what an administrator may call in psql as holdfast_policy.

-- ---- what groups and roles have in common ----
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

CREATE FUNCTION policy.named_add(p_kind text, p_domain text, p_name text, p_reason text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint := policy.domain_lock(p_domain);
    made  uuid;
BEGIN
    PERFORM policy.check_reason(p_reason);
    PERFORM policy.check_name(p_kind, p_name);
    IF policy.named_id(p_kind, place, p_name) IS NOT NULL THEN
        PERFORM policy.fail('unique_violation', format('domain %s has a %s %s already', p_domain, p_kind, p_name),
                            NULL);
    ELSIF p_kind = 'group' THEN
        INSERT INTO policy.client_group (domain, name) VALUES (place, p_name) RETURNING id INTO made;
    ELSE
        INSERT INTO policy.role (domain, name) VALUES (place, p_name) RETURNING id INTO made;
    END IF;
    PERFORM audit.note('Admin Add ' || initcap(p_kind),
                       format('domain=%s %s=%s reason=%s', p_domain, p_kind, p_name, p_reason));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.named_add IS 'Adds a group or role; returns its id; internal';

CREATE FUNCTION policy.named_remove(p_kind text, p_domain text, p_name text, p_reason text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target    uuid := policy.named_lock(p_kind, p_domain, p_name);
    concerned uuid[] := CASE p_kind WHEN 'group' THEN policy.members_of(target) ELSE policy.holders_of(target) END;
    naming    text;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT string_agg(what, ', ') INTO naming FROM (
        SELECT 'rule ' || id AS what FROM policy.rule WHERE client_group = target OR role = target
        UNION ALL SELECT 'constraint ' || id FROM policy.bound WHERE client_group = target OR role = target) AS n;
    IF naming IS NOT NULL THEN
        PERFORM policy.fail('object_not_in_prerequisite_state',
                            format('%s %s stays: it is named by %s', p_kind, p_name, naming), 'Take that away first.');
    END IF;
    DELETE FROM policy.client_group WHERE id = target;
    DELETE FROM policy.role WHERE id = target;
    PERFORM policy.raise_standing(concerned);
    PERFORM audit.note('Admin Remove ' || initcap(p_kind),
                       format('domain=%s %s=%s %s=%s reason=%s', p_domain, p_kind, p_name,
                              CASE p_kind WHEN 'group' THEN 'members' ELSE 'holders' END, cardinality(concerned),
                              p_reason));
END
$$;
COMMENT ON FUNCTION policy.named_remove IS 'Removes a group or role that no rule or constraint names; internal';

-- ---- groups ----
CREATE FUNCTION policy.group_add(p_domain text, p_group text, p_reason text) RETURNS uuid LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT policy.named_add('group', p_domain, p_group, p_reason) $$;
COMMENT ON FUNCTION policy.group_add IS 'Adds a group to a domain, whose members share objects until policy.group_share() says otherwise; returns its id';

CREATE FUNCTION policy.group_remove(p_domain text, p_group text, p_reason text) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT policy.named_remove('group', p_domain, p_group, p_reason) $$;
COMMENT ON FUNCTION policy.group_remove IS 'Removes a group; its members share no longer and lose its roles. Refused while rules or constraints name it';

CREATE FUNCTION policy.group_share(p_domain text, p_group text, p_shares boolean, p_reason text)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.named_lock('group', p_domain, p_group);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.client_group SET shares = p_shares WHERE id = target;
    PERFORM policy.raise_standing(policy.members_of(target));
    PERFORM audit.note('Admin Set Group',
                       format('domain=%s group=%s shares=%s reason=%s', p_domain, p_group, p_shares, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_share IS 'Says whether rules for the objects of the group (owner ''group'') hold among its members';

CREATE FUNCTION policy.group_join(p_domain text, p_group text, p_client text, p_reason text)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.named_lock('group', p_domain, p_group);
    member uuid := policy.client_of(p_client, p_domain);
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF EXISTS (SELECT FROM policy.group_member WHERE client_group = target AND client = member) THEN
        RAISE EXCEPTION 'client % is in group % already', p_client, p_group USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.group_member (client_group, client) VALUES (target, member);
    PERFORM policy.raise_standing(policy.members_of(target));
    PERFORM audit.note('Admin Join Group',
                       format('domain=%s group=%s client=%s reason=%s', p_domain, p_group, p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_join IS 'Makes a client a member of a group of its domain';

CREATE FUNCTION policy.group_leave(p_domain text, p_group text, p_client text, p_reason text)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.named_lock('group', p_domain, p_group);
    member uuid := policy.client_of(p_client, p_domain);
    before uuid[] := policy.members_of(target);
BEGIN
    PERFORM policy.check_reason(p_reason);
    DELETE FROM policy.group_member WHERE client_group = target AND client = member;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('client %s is not in group %s', p_client, p_group));
    END IF;
    PERFORM policy.raise_standing(before);
    PERFORM audit.note('Admin Leave Group',
                       format('domain=%s group=%s client=%s reason=%s', p_domain, p_group, p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.group_leave IS 'Ends a client''s membership of a group';

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

-- ---- roles ----
CREATE FUNCTION policy.role_add(p_domain text, p_role text, p_reason text) RETURNS uuid LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT policy.named_add('role', p_domain, p_role, p_reason) $$;
COMMENT ON FUNCTION policy.role_add IS 'Adds a role to a domain; returns its id';

CREATE FUNCTION policy.role_remove(p_domain text, p_role text, p_reason text) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT policy.named_remove('role', p_domain, p_role, p_reason) $$;
COMMENT ON FUNCTION policy.role_remove IS 'Removes a role. Refused while rules or constraints name it';

CREATE FUNCTION policy.role_holder(p_domain text, p_client text, p_group text, OUT client uuid, OUT client_group uuid,
                                   OUT clients uuid[], OUT said text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF num_nonnulls(p_client, p_group) <> 1 THEN
        PERFORM policy.mistake('a role is given to a client or to a group: name one of them');
    ELSIF p_client IS NOT NULL THEN
        client := policy.client_of(p_client, p_domain);
        clients := ARRAY[client];
        said := 'client=' || p_client;
    ELSE
        client_group := policy.named_lock('group', p_domain, p_group);
        clients := policy.members_of(client_group);
        said := 'group=' || p_group;
    END IF;
END
$$;
COMMENT ON FUNCTION policy.role_holder IS 'The client or group of this domain that a role is given to or taken from, all clients that this concerns, and how the audit row names it; internal';

CREATE FUNCTION policy.role_give(p_domain text, p_role text, p_client text, p_group text, p_reason text)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.named_lock('role', p_domain, p_role);
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
    PERFORM audit.note('Admin Give Role',
                       format('domain=%s role=%s %s reason=%s', p_domain, p_role, holder.said, p_reason));
END
$$;
COMMENT ON FUNCTION policy.role_give IS 'Gives a role to a client, or to all members of a group, of the same domain: the other of the two is NULL';

CREATE FUNCTION policy.role_take(p_domain text, p_role text, p_client text, p_group text, p_reason text)
RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.named_lock('role', p_domain, p_role);
    holder record;
BEGIN
    PERFORM policy.check_reason(p_reason);
    SELECT * INTO holder FROM policy.role_holder(p_domain, p_client, p_group);
    DELETE FROM policy.role_member m WHERE m.role = target
       AND (m.client = holder.client OR m.client_group = holder.client_group);
    IF NOT FOUND THEN
        PERFORM policy.missing(format('%s %s was not given the role %s', CASE WHEN p_client IS NULL THEN 'group'
                                      ELSE 'client' END, coalesce(p_client, p_group), p_role));
    END IF;
    PERFORM policy.raise_standing(holder.clients);
    PERFORM audit.note('Admin Take Role',
                       format('domain=%s role=%s %s reason=%s', p_domain, p_role, holder.said, p_reason));
END
$$;
COMMENT ON FUNCTION policy.role_take IS 'Takes a role from a client or a group that it was given to';

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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.group_add, policy.group_remove, policy.group_share, policy.group_join,
    policy.group_leave, policy.role_add, policy.role_remove, policy.role_give, policy.role_take TO holdfast_policy;
GRANT SELECT ON policy.groups, policy.roles TO holdfast_policy;
