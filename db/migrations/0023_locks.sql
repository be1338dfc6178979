-- Whoever changes policy takes locks in one order, so that no administrator's change is given up for another's: the
-- table of domains, the row of the domain, rows of clients, and last the one of audit.note().

CREATE OR REPLACE FUNCTION policy.domain_lock(p_domain text) RETURNS bigint LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION policy.domain_approval_hours(p_domain text, p_hours integer, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place  bigint;
    before integer;
BEGIN
    IF coalesce(p_hours NOT BETWEEN 1 AND 8760, true) THEN
        RAISE EXCEPTION 'requests can wait for 1 to 8760 hours, not for %', coalesce(p_hours::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM policy.check_reason(p_reason);
    place := policy.domain_lock(p_domain);
    SELECT approval_hours INTO before FROM policy.domain WHERE id = place;
    UPDATE policy.domain SET approval_hours = p_hours WHERE id = place;
    PERFORM audit.note('Admin Change Domain', format('domain=%s approval_hours=%s was=%s reason=%s', p_domain, p_hours,
                                                     before, p_reason));
END
$$;
