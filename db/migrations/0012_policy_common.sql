-- What the functions of administrators share: errors, checks of what is given, names, locks, audit rows. Each function
-- of theirs takes a reason, and writes its audit row and raises the standing of the clients that it concerns in the
-- same transaction, so that it holds from their next request on.
--
-- All that changes a domain, its clients, groups, roles or rules locks the domain's row first. So of two changes the
-- later one sees what the earlier one did, and raises the standing of all that it concerns. Locks are taken in one
-- order, so that no administrator's change is given up for another's: the table of domains, the row of the domain, rows
-- of clients, and last the one of audit.note().

-- ---- what is given ----
CREATE FUNCTION policy.fail(p_code text, p_what text, p_next text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(p_next, '') = '' THEN
        RAISE EXCEPTION '%', p_what USING ERRCODE = p_code;
    END IF;
    RAISE EXCEPTION '%', p_what USING ERRCODE = p_code, HINT = p_next;
END
$$;
COMMENT ON FUNCTION policy.fail IS 'Raises an error with this code: what is wrong, and what to do; internal';

CREATE FUNCTION policy.mistake(p_what text, p_next text DEFAULT NULL) RETURNS void LANGUAGE sql
AS $$ SELECT policy.fail('invalid_parameter_value', p_what, p_next) $$;
COMMENT ON FUNCTION policy.mistake IS 'Raises an error: what is wrong with what was given, and what to do; internal';

CREATE FUNCTION policy.missing(p_what text, p_next text DEFAULT NULL) RETURNS void LANGUAGE sql
AS $$ SELECT policy.fail('no_data_found', p_what, p_next) $$;
COMMENT ON FUNCTION policy.missing IS 'Raises an error: what there is not, and where to look; internal';

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

CREATE FUNCTION policy.check_reason(p_reason text) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$ SELECT policy.check_text('the reason', p_reason, 1024) $$;
COMMENT ON FUNCTION policy.check_reason IS 'An error where no reason is given, which the audit trail keeps for those who come later; internal';

CREATE FUNCTION policy.check_name(p_what text, p_name text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_name IS NULL OR octet_length(p_name) NOT BETWEEN 1 AND 255 OR p_name <> btrim(p_name)
       OR p_name ~ '[[:cntrl:]]' THEN
        PERFORM policy.mistake(format('this is no name for a %s: 1 to 255 bytes, no blank at either end, no control '
                                      'characters', p_what));
    END IF;
END
$$;
COMMENT ON FUNCTION policy.check_name IS 'An error unless something new can have this name; internal';

CREATE FUNCTION policy.author() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT session_user
        || coalesce(' (' || left(nullif(current_setting('holdfast.operator', true), ''), 128) || ')', '')
$$;
COMMENT ON FUNCTION policy.author IS 'Who acts, as audit.note() writes it: the database user and the operator; internal';

-- ---- names and locks ----
CREATE FUNCTION policy.domain_lock(p_domain text) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_id bigint;
BEGIN
    LOCK TABLE policy.domain IN ROW EXCLUSIVE MODE; -- as who changes the row, but before it: who adds a domain has it
    SELECT id INTO found_id FROM policy.domain WHERE name = p_domain FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('there is no domain %s', p_domain),
                               '''holdfast domain list'' or policy.domains shows them.');
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

CREATE FUNCTION policy.client_named(p_name text) RETURNS policy.client LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM policy.client WHERE id = policy.client_id(p_name)
$$;
COMMENT ON FUNCTION policy.client_named IS 'The client by its name; an error if there is none; internal';

-- Groups and roles are named alike; p_kind is group or role.
CREATE FUNCTION policy.named_id(p_kind text, p_domain bigint, p_name text) RETURNS uuid LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT id FROM policy.client_group WHERE p_kind = 'group' AND domain = p_domain AND name = p_name
    UNION ALL
    SELECT id FROM policy.role WHERE p_kind = 'role' AND domain = p_domain AND name = p_name
$$;
COMMENT ON FUNCTION policy.named_id IS 'The id of a group or role by name; NULL if there is none; internal';

CREATE FUNCTION policy.named_lock(p_kind text, p_domain text, p_name text) RETURNS uuid LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place    bigint := policy.domain_lock(p_domain);
    found_id uuid := policy.named_id(p_kind, place, p_name); -- looked for when the lock is there
BEGIN
    IF found_id IS NULL THEN
        PERFORM policy.missing(format('domain %s has no %s %s', p_domain, p_kind, p_name),
                               format('''holdfast %1$s list'' or policy.%1$ss shows them.', p_kind));
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION policy.named_lock IS 'The id of a group or role by name, the row of its domain locked; an error if there is none; internal';

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
        PERFORM policy.missing(format('there is no domain %s', p_domain));
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
    subject_named.client_group := policy.named_id(nullif(kind, 'role'), (subject_named.domain).id, wanted);
    subject_named.role := policy.named_id(nullif(kind, 'group'), (subject_named.domain).id, wanted);
    IF kind <> 'everyone'
       AND num_nonnulls(subject_named.client, subject_named.client_group, subject_named.role) = 0 THEN
        PERFORM policy.missing(format('domain %s has no %s %s', (subject_named.domain).name, kind, wanted));
    END IF;
END
$$;
COMMENT ON FUNCTION policy.subject_named IS 'Who is meant by everyone, "client NAME", "group NAME" or "role NAME", and in which domain; internal';

CREATE FUNCTION policy.subject_text(p_client uuid, p_group uuid, p_role uuid) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT 'client ' || name FROM policy.client WHERE id = p_client),
                    (SELECT 'group ' || name FROM policy.client_group WHERE id = p_group),
                    (SELECT 'role ' || name FROM policy.role WHERE id = p_role), 'everyone')
$$;
COMMENT ON FUNCTION policy.subject_text IS 'For whom a rule or constraint is, as the functions take it';

-- ---- what a change ends with ----
-- A worker may remember what it read at a standing. After a failover or a restore that lost the last changes a mere
-- count would give the same number again, for another policy: so the clock is in it.
CREATE FUNCTION policy.next_standing(p_standing bigint) RETURNS bigint LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT greatest(p_standing + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) $$;
COMMENT ON FUNCTION policy.next_standing IS 'The standing of a client after a change: larger than before, and none that was given before; internal';

-- Rows are locked in one order, so that two administrators cannot wait for each other.
CREATE FUNCTION policy.raise_standing(p_clients uuid[]) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    WITH concerned AS (SELECT id FROM policy.client WHERE id = ANY (p_clients) ORDER BY id FOR NO KEY UPDATE)
    UPDATE policy.client c SET standing = policy.next_standing(c.standing) FROM concerned WHERE c.id = concerned.id;
$$;
COMMENT ON FUNCTION policy.raise_standing IS 'Makes requests that are under way for these clients be decided anew; internal';

CREATE FUNCTION policy.raise_standings(p_domain bigint) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$ SELECT policy.raise_standing(ARRAY(SELECT id FROM policy.client WHERE domain = p_domain)) $$;
COMMENT ON FUNCTION policy.raise_standings IS 'Makes a change hold for all clients of a domain from their next request on; internal';

-- Each act on rules, constraints and defaults ends here.
CREATE FUNCTION policy.record(p_act text, p_domain policy.domain, p_what text, p_reason text,
                              p_object uuid DEFAULT NULL)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.raise_standings(p_domain.id);
    SELECT audit.note(p_act, format('domain=%s %s reason=%s', p_domain.name, left(p_what, 500), left(p_reason, 400)),
                      p_object);
$$;
COMMENT ON FUNCTION policy.record IS 'Raises the standings of the domain and writes the audit row of a change; internal';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
-- what views call
GRANT EXECUTE ON FUNCTION policy.subject_text TO holdfast_policy;
