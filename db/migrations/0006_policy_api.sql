-- The SQL API of policy: what `holdfast client ...` calls, and what an administrator may call in psql
-- as holdfast_policy. Each function writes its audit row in the same transaction.
CREATE FUNCTION policy.add_identity(p_client uuid, p_issuer text, p_kind text, p_value text, p_serial text,
                                    p_fingerprint text, p_not_before timestamptz, p_not_after timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO policy.credential (issuer, kind, value, client) VALUES (p_issuer, p_kind, p_value, p_client)
    ON CONFLICT (issuer, kind, value) DO NOTHING;
    IF NOT EXISTS (SELECT FROM policy.credential WHERE issuer = p_issuer AND kind = p_kind
                      AND value = p_value AND client = p_client) THEN
        RAISE EXCEPTION 'this identity belongs to another client' USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO policy.certificate (fingerprint, issuer, serial, client, not_before, not_after)
    VALUES (p_fingerprint, p_issuer, p_serial, p_client, p_not_before, p_not_after);
END
$$;
COMMENT ON FUNCTION policy.add_identity IS 'Adds the credential, if new, and the certificate; internal';

CREATE FUNCTION policy.client_add(p_name text, p_issuer text, p_kind text, p_value text, p_serial text,
                                  p_fingerprint text, p_not_before timestamptz, p_not_after timestamptz)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made uuid;
BEGIN
    INSERT INTO policy.client (name) VALUES (p_name) RETURNING id INTO made;
    PERFORM policy.add_identity(made, p_issuer, p_kind, p_value, p_serial, p_fingerprint, p_not_before, p_not_after);
    PERFORM audit.note('Admin Add Client', format('client=%s id=%s %s=%s fingerprint=%s', p_name, made, p_kind, p_value, p_fingerprint));
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.client_add IS 'Adds a client with its first credential and certificate; returns its id';

CREATE FUNCTION policy.client_id(p_name text) RETURNS uuid LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_id uuid;
BEGIN
    SELECT id INTO found_id FROM policy.client WHERE name = p_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no client %', p_name USING ERRCODE = 'no_data_found';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION policy.client_id IS 'The id of a client by name; an error if there is none';

CREATE FUNCTION policy.certificate_add(p_client text, p_issuer text, p_kind text, p_value text, p_serial text,
                                       p_fingerprint text, p_not_before timestamptz, p_not_after timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
BEGIN
    IF NOT (SELECT enabled FROM policy.client WHERE id = target) THEN
        RAISE EXCEPTION 'client % is disabled, and a certificate would not let it in', p_client
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'policy.client_enable() lets it in again.';
    END IF;
    PERFORM policy.add_identity(target, p_issuer, p_kind, p_value, p_serial, p_fingerprint, p_not_before, p_not_after);
    PERFORM audit.note('Admin Add Certificate', format('client=%s fingerprint=%s', p_client, p_fingerprint));
END
$$;
COMMENT ON FUNCTION policy.certificate_add IS 'Adds a further certificate of a client, such as a renewed one; refused while the client is disabled';

CREATE FUNCTION policy.client_enable(p_client text, p_enabled boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
BEGIN
    UPDATE policy.client SET enabled = p_enabled, standing = standing + 1 WHERE id = target;
    PERFORM audit.note(CASE WHEN p_enabled THEN 'Admin Enable Client' ELSE 'Admin Disable Client' END, 'client=' || p_client);
END
$$;
COMMENT ON FUNCTION policy.client_enable IS 'Lets a client work, or not; holds from its next request on';

CREATE FUNCTION policy.client_revoke(p_client text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
BEGIN
    UPDATE policy.certificate SET revoked_at = now() WHERE client = target AND revoked_at IS NULL;
    UPDATE policy.client SET enabled = false, standing = standing + 1 WHERE id = target;
    PERFORM audit.note('Admin Revoke Client', 'client=' || p_client);
END
$$;
COMMENT ON FUNCTION policy.client_revoke IS 'Disables a client and revokes all its certificates; holds from its next request on';

CREATE FUNCTION policy.certificate_revoke(p_client text, p_certificate text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_id(p_client);
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
COMMENT ON FUNCTION policy.certificate_revoke IS 'Revokes one certificate of a client, by fingerprint or serial number';

CREATE VIEW policy.clients AS
SELECT c.id, c.name, d.name AS domain, c.enabled, c.standing, c.created_at,
       (SELECT string_agg(k.kind || ' ' || k.value, ', ' ORDER BY k.created_at, k.value)
          FROM policy.credential k WHERE k.client = c.id) AS identities,
       (SELECT count(*) FROM policy.certificate x
         WHERE x.client = c.id AND x.revoked_at IS NULL AND x.not_after > now()) AS certificates,
       (SELECT max(x.not_after) FROM policy.certificate x
         WHERE x.client = c.id AND x.revoked_at IS NULL) AS not_after
  FROM policy.client c JOIN policy.domain d ON d.id = c.domain;
COMMENT ON VIEW policy.clients IS 'Clients with their identities and how many certificates of theirs are good';
COMMENT ON COLUMN policy.clients.id IS 'Identifier of the client; owner of its objects';
COMMENT ON COLUMN policy.clients.name IS 'Its name';
COMMENT ON COLUMN policy.clients.domain IS 'Its domain';
COMMENT ON COLUMN policy.clients.enabled IS 'False: nothing is answered to it';
COMMENT ON COLUMN policy.clients.standing IS 'Grows with each change of the client, its credentials or certificates';
COMMENT ON COLUMN policy.clients.created_at IS 'When it was added';
COMMENT ON COLUMN policy.clients.identities IS 'How certificates name it';
COMMENT ON COLUMN policy.clients.certificates IS 'How many certificates of it are neither revoked nor expired';
COMMENT ON COLUMN policy.clients.not_after IS 'When the last of its certificates that are not revoked expires';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.client_add, policy.certificate_add, policy.client_enable,
    policy.client_revoke, policy.certificate_revoke TO holdfast_policy;
GRANT SELECT ON policy.clients TO holdfast_policy;
