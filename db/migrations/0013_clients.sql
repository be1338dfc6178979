-- Domains and clients: what `holdfast domain|client` calls, and what an administrator may call in psql as
-- holdfast_policy.

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
        PERFORM policy.mistake('a limit is a number from 0, or -1 for none');
    END IF;
    UPDATE policy.domain SET max_clients = nullif(coalesce(p_max_clients, max_clients), -1),
                             max_objects = nullif(coalesce(p_max_objects, max_objects), -1) WHERE id = place;
    PERFORM policy.raise_standings(place);
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
    PERFORM policy.raise_standings(place);
    PERFORM audit.note(CASE WHEN p_enabled THEN 'Admin Enable Domain' ELSE 'Admin Disable Domain' END,
                       format('domain=%s reason=%s', p_domain, p_reason));
END
$$;
COMMENT ON FUNCTION policy.domain_enable IS 'Lets the clients of a domain work, or not; holds from their next request on';

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
    PERFORM audit.note('Admin Add Client',
                       format('client=%s id=%s domain=%s %s=%s fingerprint=%s reason=%s', p_name, made,
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
    UPDATE policy.client SET enabled = p_enabled, standing = policy.next_standing(standing) WHERE id = target;
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
    UPDATE policy.client SET enabled = false, standing = policy.next_standing(standing) WHERE id = target;
    PERFORM audit.note('Admin Revoke Client', format('client=%s reason=%s', p_client, p_reason));
END
$$;
COMMENT ON FUNCTION policy.client_revoke IS 'Disables a client and revokes all its certificates; holds from its next request on';

DROP FUNCTION policy.certificate_add(text, text, text, text, text, text, timestamptz, timestamptz);
CREATE FUNCTION policy.certificate_add(p_client text, p_issuer text, p_kind text, p_value text, p_serial text,
                                       p_fingerprint text, p_not_before timestamptz, p_not_after timestamptz,
                                       p_reason text DEFAULT 'none given')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF NOT (SELECT enabled FROM policy.client WHERE id = target) THEN
        RAISE EXCEPTION 'client % is disabled, and a certificate would not let it in', p_client
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'policy.client_enable() lets it in again.';
    END IF;
    PERFORM policy.add_identity(target, p_issuer, p_kind, p_value, p_serial, p_fingerprint, p_not_before, p_not_after);
    PERFORM audit.note('Admin Add Certificate',
                       format('client=%s fingerprint=%s reason=%s', p_client, p_fingerprint, p_reason));
END
$$;
COMMENT ON FUNCTION policy.certificate_add IS 'Adds a further certificate of a client, such as a renewed one; refused while the client is disabled';

DROP FUNCTION policy.certificate_revoke(text, text);
CREATE FUNCTION policy.certificate_revoke(p_client text, p_certificate text, p_reason text DEFAULT 'none given')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.certificate SET revoked_at = coalesce(revoked_at, now())
     WHERE client = target AND (fingerprint = lower(p_certificate) OR serial = lower(p_certificate));
    IF NOT FOUND THEN
        PERFORM policy.missing(format('client %s has no such certificate', p_client));
    END IF;
    UPDATE policy.client SET standing = policy.next_standing(standing) WHERE id = target;
    PERFORM audit.note('Admin Revoke Certificate',
                       format('client=%s certificate=%s reason=%s', p_client, lower(p_certificate), p_reason));
END
$$;
COMMENT ON FUNCTION policy.certificate_revoke IS 'Revokes one certificate of a client, by fingerprint or serial number';

CREATE FUNCTION policy.client_set(p_client text, p_second_factor boolean, p_legacy_tls boolean, p_quirks text[],
                                  p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target  uuid := policy.client_lock(p_client);
    unknown text := (SELECT string_agg(coalesce(q, 'NULL'), ', ') FROM unnest(p_quirks) q
                      WHERE NOT EXISTS (SELECT FROM policy.quirk k WHERE k.name = q));
    now_set policy.client;
BEGIN
    PERFORM policy.check_reason(p_reason);
    IF unknown IS NOT NULL THEN
        PERFORM policy.missing(format('there is no quirk %s', unknown),
                               'policy.quirk says which there are, and what each does.');
    END IF;
    UPDATE policy.client SET second_factor = coalesce(p_second_factor, second_factor),
                             legacy_tls = coalesce(p_legacy_tls, legacy_tls),
                             quirks = CASE WHEN p_quirks IS NULL THEN quirks
                                           ELSE ARRAY(SELECT DISTINCT q FROM unnest(p_quirks) q ORDER BY q) END,
                             standing = policy.next_standing(standing)
     WHERE id = target RETURNING * INTO now_set;
    PERFORM audit.note('Admin Set Client',
                       format('client=%s second_factor=%s legacy_tls=%s quirks=%s reason=%s', p_client,
                                                  now_set.second_factor, now_set.legacy_tls,
                                                  array_to_string(now_set.quirks, ','), p_reason));
END
$$;
COMMENT ON FUNCTION policy.client_set IS 'Sets what holds for one client: whether it needs a second factor, may use the listener with old TLS suites, and which quirks of policy.quirk it has. NULL leaves a setting as it is, an empty array takes all quirks away';

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
CREATE FUNCTION kmip.add_domain_key(p_domain bigint, p_epoch bigint, p_ep_epoch bigint, p_pub bytea, p_priv bytea,
                                    p_mac bytea)
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
GRANT EXECUTE ON FUNCTION policy.domain_add, policy.domain_limits, policy.domain_enable, policy.client_add,
    policy.client_enable, policy.client_revoke, policy.certificate_add, policy.certificate_revoke, policy.client_set
    TO holdfast_policy;
GRANT SELECT ON policy.domains TO holdfast_policy;
GRANT EXECUTE ON FUNCTION kmip.add_domain_key, kmip.domain_keyed TO holdfast_server;
