-- How many objects a client and a domain may have, made certain by the commit. Groups of units in which nobody has a
-- limit do not pass here.

-- An expression, which only the counts below ask for: searches in a domain, which want objects in their order, are not
-- led astray by it.
CREATE INDEX object_live ON kmip.object ((domain + 0), owner) INCLUDE (domain) WHERE state < 5;
COMMENT ON INDEX kmip.object_live IS 'How many objects an owner, or a domain, has that are not destroyed';

CREATE FUNCTION policy.count_to(p_domain bigint, p_owner uuid, p_most bigint) RETURNS bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    IF p_owner IS NULL THEN
        SELECT count(*) INTO n FROM (SELECT FROM kmip.object o WHERE o.domain + 0 = p_domain AND o.state < 5
                                      LIMIT p_most) AS o;
    ELSE
        SELECT count(*) INTO n FROM (SELECT FROM kmip.object o WHERE o.domain + 0 = p_domain AND o.owner = p_owner
                                        AND o.state < 5 LIMIT p_most) AS o;
    END IF;
    RETURN n;
END
$$;
COMMENT ON FUNCTION policy.count_to IS 'How many objects an owner (NULL: all of the domain) has that are not destroyed, counted no further than p_most; internal';

CREATE FUNCTION policy.count_objects(p_client uuid, p_own_most bigint, p_domain_most bigint)
RETURNS TABLE (own bigint, domain bigint) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.count_to(c.domain, c.id, p_own_most), policy.count_to(c.domain, NULL, p_domain_most)
      FROM policy.client c WHERE c.id = p_client
$$;
COMMENT ON FUNCTION policy.count_objects IS 'How many objects a client and its domain have, destroyed ones not counted; each counted no further than asked. For the server, before it makes one.';

-- Claims of kind 3 (of the client) and 4 (of its domain). One lock for each client and domain, always taken in the same
-- order and held to the end of the transaction, and only then the count: so of two nodes the second sees what the first
-- has made. Deltas are summed up in the order of their places, as if one unit after the other was committed.
CREATE FUNCTION policy.quota_lost(p_kinds integer[], p_clients uuid[], p_most bigint[], p_deltas integer[])
RETURNS TABLE (place integer) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT p_kinds && '{3,4}' THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(k.space, k.key)
       FROM (SELECT DISTINCT 7235 + (q.kind = 4)::integer AS space,
                    hashtext(CASE q.kind WHEN 3 THEN c.id::text ELSE c.domain::text END) AS key
               FROM unnest(p_kinds, p_clients) AS q(kind, client) JOIN policy.client c ON c.id = q.client
              WHERE q.kind IN (3, 4) ORDER BY 1, 2) AS k;
    RETURN QUERY
    WITH claim AS (
        SELECT q.place, q.delta, q.most, c.domain, CASE q.kind WHEN 3 THEN c.id END AS owner,
               sum(q.delta) OVER (PARTITION BY c.domain, CASE q.kind WHEN 3 THEN c.id END ORDER BY q.place) AS more
          FROM unnest(p_kinds, p_clients, p_most, p_deltas) WITH ORDINALITY AS q(kind, client, most, delta, place)
          JOIN policy.client c ON c.id = q.client WHERE q.kind IN (3, 4)),
    there AS (
        -- as far as it matters: what the group destroys makes room
        SELECT w.domain, w.owner, policy.count_to(w.domain, w.owner, w.enough) AS n
          FROM (SELECT c.domain, c.owner, max(c.most) + 1 - least(min(c.more), 0) AS enough
                  FROM claim c GROUP BY c.domain, c.owner) AS w)
    SELECT c.place::integer FROM claim c JOIN there t ON t.domain = c.domain AND t.owner IS NOT DISTINCT FROM c.owner
     WHERE c.delta > 0 AND t.n + c.more > c.most;
END
$$;
COMMENT ON FUNCTION policy.quota_lost IS 'Which claims make more objects than a client, or its domain, may have: their requests are run again, and refused';

-- kmip.commit() of a group of units that has claims, of approvals or of these; others do not pass here. Losers of
-- kind 5 are claims.
CREATE FUNCTION kmip.commit_claims(p_skip_locked boolean, p_changes kmip.change[], p_names kmip.new_name[],
                                   p_stream uuid, p_seq bigint, p_hash bytea, p_entries audit.entry[],
                                   p_uids uuid[], p_versions bigint[], p_clients uuid[], p_standings bigint[],
                                   p_kinds integer[], p_numbers bigint[], p_askers uuid[], p_permissions text[],
                                   p_objects uuid[], p_rules bigint[], p_needed integer[])
RETURNS TABLE (kind integer, place integer) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT 5, l.place
                   FROM policy.claims_lost(p_kinds, p_numbers, p_askers, p_permissions, p_objects, p_needed) l;
    IF FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 5, l.place FROM policy.quota_lost(p_kinds, p_askers, p_rules, p_needed) l;
    IF FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM kmip.commit(p_skip_locked, p_changes, p_names, p_stream, p_seq, p_hash, p_entries,
                                           p_uids, p_versions, p_clients, p_standings);
    IF NOT FOUND THEN
        PERFORM policy.claims_write(p_kinds, p_numbers, p_askers, p_permissions, p_objects, p_rules, p_needed);
    END IF;
END
$$;
COMMENT ON FUNCTION kmip.commit_claims IS 'As kmip.commit(), with requests for approval that are opened or used up, and objects that take their places in quotas, in the same transaction';

REVOKE ALL ON FUNCTION policy.count_to, policy.count_objects, policy.quota_lost, kmip.commit_claims FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.count_objects, policy.quota_lost, kmip.commit_claims TO holdfast_server;
