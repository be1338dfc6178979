-- All that decides about one client as one text, for the server: read with the client's standing in one statement,
-- so that the two are of one moment; kept by the server's sessions until a commit finds that the standing has moved.

CREATE FUNCTION policy.instant(p_at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN isfinite(p_at) THEN least(extract(epoch FROM p_at) * 1000000, 9000000000000000000)::bigint END;
COMMENT ON FUNCTION policy.instant IS 'Microseconds since 1970 UTC; NULL for infinity; internal';

CREATE FUNCTION policy.for_client(p_client uuid) RETURNS text LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c      policy.client;
    groups uuid[];
    roles  uuid[];
BEGIN
    SELECT * INTO c FROM policy.client WHERE id = p_client;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    groups := ARRAY(SELECT m.client_group FROM policy.group_member m JOIN policy.client_group g ON g.id = m.client_group
                     WHERE m.client = p_client AND g.domain = c.domain);
    roles := ARRAY(SELECT m.role FROM policy.role_member m JOIN policy.role r ON r.id = m.role
                    WHERE (m.client = p_client OR m.client_group = ANY (groups)) AND r.domain = c.domain);
    RETURN json_strip_nulls(json_build_object(
        'mates', (SELECT json_agg(DISTINCT m.client)
                    FROM policy.client_group g JOIN policy.group_member m ON m.client_group = g.id
                    JOIN policy.client o ON o.id = m.client
                   WHERE g.id = ANY (groups) AND g.shares AND m.client <> p_client AND o.domain = c.domain),
        'rules', (SELECT json_agg(r ORDER BY r.id)
                    FROM (SELECT x.id, x.policy, x.effect, x.permissions, x.owner, x.object, x.object_type,
                                 x.object_group, x.name_pattern, x.attribute_name, x.attribute_value,
                                 policy.instant(x.valid_from) AS valid_from,
                                 policy.instant(x.valid_until) AS valid_until,
                                 CASE x.effect WHEN 'approval' THEN x.approvals END AS approvals
                            FROM policy.rule x
                           WHERE x.domain = c.domain
                             AND (num_nonnulls(x.client, x.client_group, x.role) = 0 OR x.client = p_client
                                  OR x.client_group = ANY (groups) OR x.role = ANY (roles))
                             AND (x.valid_until IS NULL OR x.valid_until > now())
                             AND x.valid_from IS DISTINCT FROM 'infinity') AS r),
        'bounds', (SELECT json_agg(b ORDER BY b.id)
                     FROM (SELECT x.id, x.object_type, x.algorithm, x.algorithms, x.least_length, x.most_length,
                                  x.permitted_mask, x.required_mask, x.protections, x.mandatory, x.most_life_days,
                                  x.name_pattern, x.destroy_after_days, x.most_objects, x.requests_per_second
                             FROM policy.bound x
                            WHERE x.domain = c.domain
                              AND (num_nonnulls(x.client, x.client_group, x.role) = 0 OR x.client = p_client
                                   OR x.client_group = ANY (groups) OR x.role = ANY (roles))) AS b),
        'defaults', (SELECT json_agg(json_build_object('object_type', d.object_type, 'attributes', d.attributes)
                                     ORDER BY d.object_type)
                       FROM policy.object_default d WHERE d.domain = c.domain),
        'max_objects', (SELECT d.max_objects FROM policy.domain d WHERE d.id = c.domain),
        'second_factor', c.second_factor,
        'quirks', c.quirks));
END
$$;
COMMENT ON FUNCTION policy.for_client IS 'All that decides about a client, as JSON: mates (clients that share a group with it), rules (subjects resolved, none that is past, in order of number; dates in microseconds since 1970), bounds, defaults, max_objects of its domain, second_factor, quirks. For the server.';

REVOKE ALL ON FUNCTION policy.instant, policy.for_client FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.for_client TO holdfast_server;
