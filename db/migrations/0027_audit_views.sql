-- The questions of auditors. Functions take a period, p_from included and p_until not; their bodies are inlined into
-- the query that calls them, so that PostgreSQL leaves out the months outside the period and uses the indexes of
-- 0003_audit.sql: by object, by client, by time (BRIN), and by stream. No further index: each would cost every append
-- about a microsecond a row. What has no index of its own (refusals, exports of all clients, days) reads the blocks of
-- the period and no others.

-- ---- names of numbers ----
-- As in 0007_views.sql and 0009_algorithms.sql, but that a number beyond an array's index (KMIP's go to 2^32 - 1, and
-- extensions begin at 0x80000000) is told in hexadecimal as all unknown ones are, where it was an error.
CREATE FUNCTION audit.name_of(names text[], number bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(names[CASE WHEN number BETWEEN 1 AND cardinality(names) THEN number END], '0x' || to_hex(number));
COMMENT ON FUNCTION audit.name_of IS 'The name of a KMIP enumeration value, from its names in order; 0x... where there is none; internal';

CREATE OR REPLACE FUNCTION audit.type_name(object_type bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN audit.name_of(string_to_array(
        'Certificate,Symmetric Key,Public Key,Private Key,Split Key,Template,Secret Data,Opaque Object,PGP Key,'
     || 'Certificate Request,User,Group,Password Credential,Device Credential,One Time Password Credential,'
     || 'Hashed Password Credential', ','), object_type);

CREATE OR REPLACE FUNCTION audit.algorithm_name(algorithm bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN algorithm <> 0 THEN audit.name_of(string_to_array(
        'DES,3DES,AES,RSA,DSA,ECDSA,HMAC-SHA1,HMAC-SHA224,HMAC-SHA256,HMAC-SHA384,HMAC-SHA512,HMAC-MD5,'
     || 'DH,ECDH,ECMQV,Blowfish,Camellia,CAST5,IDEA,MARS,RC2,RC4,RC5,SKIPJACK,Twofish,EC,One Time Pad,'
     || 'ChaCha20,Poly1305,ChaCha20Poly1305,SHA3-224,SHA3-256,SHA3-384,SHA3-512,HMAC-SHA3-224,'
     || 'HMAC-SHA3-256,HMAC-SHA3-384,HMAC-SHA3-512,SHAKE-128,SHAKE-256,ARIA,SEED,SM2,SM3,SM4,'
     || 'GOST R 34.10-2012,GOST R 34.11-2012,GOST R 34.13-2015,GOST 28147-89,XMSS,SPHINCS-256,McEliece,'
     || 'McEliece-6960119,McEliece-8192128,Ed25519,Ed448', ','), algorithm) END;

-- There is no order by time in any index: ever longer periods up to now, until one has rows enough. What they have lies
-- at the end, however little of the month there is yet.
CREATE FUNCTION audit.tail(p_rows bigint DEFAULT 20, p_after timestamptz DEFAULT '-infinity')
RETURNS SETOF audit.events LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    oldest timestamptz := greatest(p_after, (SELECT coalesce(min(s.opened_at), now()) - interval '1 day' FROM audit.stream s));
    span   interval := '1 second';
    start  timestamptz;
    n      bigint;
BEGIN
    LOOP
        start := greatest(now() - span, oldest);
        SELECT count(*) INTO n FROM (SELECT FROM audit.event e WHERE e.at > start LIMIT p_rows) AS few;
        EXIT WHEN n >= p_rows;
        IF start <= oldest THEN
            start := p_after; -- there are fewer in all
            EXIT;
        END IF;
        span := span * 4;
    END LOOP;
    RETURN QUERY SELECT * FROM (SELECT * FROM audit.events e WHERE e.at > start ORDER BY e.at DESC, e.stream, e.seq DESC LIMIT p_rows) AS last
                  ORDER BY last.at, last.stream, last.seq;
END
$$;
COMMENT ON FUNCTION audit.tail IS 'The latest events (20), in order, those after a time alone if one is given: SELECT * FROM audit.tail(100)';

DROP FUNCTION audit.key_events(uuid);
CREATE FUNCTION audit.key_events(p_key uuid, p_from timestamptz DEFAULT '-infinity', p_until timestamptz DEFAULT 'infinity')
RETURNS SETOF audit.events LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.events e WHERE e.object = p_key AND e.at >= p_from AND e.at < p_until ORDER BY e.at, e.stream, e.seq;
END;
COMMENT ON FUNCTION audit.key_events IS 'All that happened to one key, in order, since ever or in a period: SELECT * FROM audit.key_events(''018f...'')';

CREATE FUNCTION audit.key_users(p_key uuid, p_from timestamptz DEFAULT '-infinity', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (client text, operation text, times bigint, refused bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.client, e.operation, count(*), count(*) FILTER (WHERE e.result <> 'Success'), min(e.at), max(e.at)
      FROM audit.events e WHERE e.object = p_key AND e.at >= p_from AND e.at < p_until
     GROUP BY e.client, e.operation ORDER BY min(e.at), e.client, e.operation;
END;
COMMENT ON FUNCTION audit.key_users IS 'Who touched a key, how often, how often in vain, first and last: SELECT * FROM audit.key_users(''018f...'')';

CREATE VIEW audit.clients AS
SELECT c.id, c.name, d.name AS domain, c.enabled, c.created_at,
       (SELECT max(x.not_after) FROM policy.certificate x WHERE x.client = c.id AND x.revoked_at IS NULL) AS not_after
  FROM policy.client c JOIN policy.domain d ON d.id = c.domain;
COMMENT ON VIEW audit.clients IS 'Clients as the auditor sees them; audit.client_activity() adds when they last asked for something';
COMMENT ON COLUMN audit.clients.id IS 'Identifier of the client, as client_id in audit.events';
COMMENT ON COLUMN audit.clients.name IS 'Its name now';
COMMENT ON COLUMN audit.clients.domain IS 'Its domain';
COMMENT ON COLUMN audit.clients.enabled IS 'False: nothing is answered to it';
COMMENT ON COLUMN audit.clients.created_at IS 'When it was added';
COMMENT ON COLUMN audit.clients.not_after IS 'When the last of its certificates that are not revoked expires; NULL where it has none';

DROP FUNCTION audit.client_events(text);
CREATE FUNCTION audit.client_events(p_client text, p_from timestamptz DEFAULT now() - interval '30 days',
                                    p_until timestamptz DEFAULT 'infinity')
RETURNS SETOF audit.events LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.events e WHERE e.client_id = (SELECT c.id FROM audit.clients c WHERE c.name = p_client)
       AND e.at >= p_from AND e.at < p_until ORDER BY e.at, e.stream, e.seq;
END;
COMMENT ON FUNCTION audit.client_events IS 'All that one client did, by its name, in order, in a period (the last 30 days): SELECT * FROM audit.client_events(''web-7'', ''2026-01-01'', ''2026-02-01'')';

CREATE FUNCTION audit.refusals(p_from timestamptz DEFAULT now() - interval '7 days', p_until timestamptz DEFAULT 'infinity')
RETURNS SETOF audit.events LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.events e WHERE e.result <> 'Success' AND e.at >= p_from AND e.at < p_until
     ORDER BY e.at, e.stream, e.seq;
END;
COMMENT ON FUNCTION audit.refusals IS 'All that was refused or failed in a period (the last 7 days), in order; reason is what the client was told, detail the true reason where it was not told';

CREATE FUNCTION audit.refusals_by_reason(p_from timestamptz DEFAULT now() - interval '7 days', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (reason text, operation text, times bigint, clients bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.reason, e.operation, count(*), count(DISTINCT e.client_id), min(e.at), max(e.at) FROM audit.events e
     WHERE e.result <> 'Success' AND e.at >= p_from AND e.at < p_until
     GROUP BY e.reason, e.operation ORDER BY count(*) DESC, e.reason, e.operation;
END;
COMMENT ON FUNCTION audit.refusals_by_reason IS 'Refusals of a period (the last 7 days), counted by reason and operation';

CREATE FUNCTION audit.refusals_by_client(p_from timestamptz DEFAULT now() - interval '7 days', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (client text, reason text, times bigint, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.client, e.reason, count(*), min(e.at), max(e.at) FROM audit.events e
     WHERE e.result <> 'Success' AND e.at >= p_from AND e.at < p_until
     GROUP BY e.client, e.reason ORDER BY count(*) DESC, e.client, e.reason;
END;
COMMENT ON FUNCTION audit.refusals_by_client IS 'Refusals of a period (the last 7 days), counted by client and reason';

-- ---- keys ----
CREATE VIEW audit.exports AS
SELECT e.at, e.client, e.object, k.names, k.type, k.algorithm, k.length, k.state,
       coalesce(e.detail ~ '^wrapped', false) AS wrapped, e.detail, e.address, e.client_id, e.stream, e.seq
  FROM audit.events e LEFT JOIN audit.keys k ON k.uid = e.object
 WHERE e.operation IN ('Get', 'Export') AND e.result = 'Success' AND e.client_id IS NOT NULL AND k.type IS DISTINCT FROM 'Template';
COMMENT ON VIEW audit.exports IS 'Every answer that carried key material out of the server (Get answered with an object that has some), and what it was. Give a period: WHERE at >= ''2026-01-01'', or an object or client_id';
COMMENT ON COLUMN audit.exports.at IS 'When';
COMMENT ON COLUMN audit.exports.client IS 'Who got it: name of the client at that time';
COMMENT ON COLUMN audit.exports.object IS 'Unique Identifier';
COMMENT ON COLUMN audit.exports.names IS 'The object''s names';
COMMENT ON COLUMN audit.exports.type IS 'Object Type';
COMMENT ON COLUMN audit.exports.algorithm IS 'Cryptographic Algorithm';
COMMENT ON COLUMN audit.exports.length IS 'Cryptographic Length in bits';
COMMENT ON COLUMN audit.exports.state IS 'The object''s state now';
COMMENT ON COLUMN audit.exports.wrapped IS 'True: it left under a wrapping key, which detail names. False: in clear';
COMMENT ON COLUMN audit.exports.detail IS 'The wrapping key, or the object''s templates';
COMMENT ON COLUMN audit.exports.address IS 'Network address and port of the client';
COMMENT ON COLUMN audit.exports.client_id IS 'Identifier of the client';
COMMENT ON COLUMN audit.exports.stream IS 'With seq: the row in audit.events';
COMMENT ON COLUMN audit.exports.seq IS 'Number in the stream';

CREATE FUNCTION audit.exports_of(p_from timestamptz DEFAULT now() - interval '7 days', p_until timestamptz DEFAULT 'infinity',
                                 p_client text DEFAULT NULL, p_key uuid DEFAULT NULL)
RETURNS SETOF audit.exports LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.exports e WHERE e.at >= p_from AND e.at < p_until
       AND (p_client IS NULL OR e.client_id = (SELECT c.id FROM audit.clients c WHERE c.name = p_client))
       AND (p_key IS NULL OR e.object = p_key) ORDER BY e.at, e.stream, e.seq;
END;
COMMENT ON FUNCTION audit.exports_of IS 'Exports of key material in a period (the last 7 days), of all clients or one, of all keys or one: SELECT * FROM audit.exports_of(p_client => ''web-7'')';

CREATE VIEW audit.key_inventory AS
SELECT k.owner, k.type, k.algorithm, k.length, k.state, k.protection, count(*) AS keys, min(k.created) AS oldest,
       max(k.created) AS newest, count(*) FILTER (WHERE k.extractable AND NOT k.sensitive) AS extractable_in_clear
  FROM audit.keys k GROUP BY k.owner, k.type, k.algorithm, k.length, k.state, k.protection;
COMMENT ON VIEW audit.key_inventory IS 'How many keys there are, by owner, type, algorithm, length, state and protection';
COMMENT ON COLUMN audit.key_inventory.owner IS 'Name of the client that owns them; NULL where it is unknown';
COMMENT ON COLUMN audit.key_inventory.type IS 'Object Type';
COMMENT ON COLUMN audit.key_inventory.algorithm IS 'Cryptographic Algorithm';
COMMENT ON COLUMN audit.key_inventory.length IS 'Cryptographic Length in bits';
COMMENT ON COLUMN audit.key_inventory.state IS 'State now';
COMMENT ON COLUMN audit.key_inventory.protection IS 'TPM-rooted or TPM-resident';
COMMENT ON COLUMN audit.key_inventory.keys IS 'How many';
COMMENT ON COLUMN audit.key_inventory.oldest IS 'Initial Date of the oldest';
COMMENT ON COLUMN audit.key_inventory.newest IS 'Initial Date of the newest';
COMMENT ON COLUMN audit.key_inventory.extractable_in_clear IS 'How many of them may leave the server unwrapped';

CREATE FUNCTION audit.keys_older_than(p_days integer DEFAULT 365) RETURNS SETOF audit.keys LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.keys k WHERE k.state IN ('Pre-Active', 'Active') AND k.created < now() - make_interval(days => p_days)
     ORDER BY k.created, k.uid;
END;
COMMENT ON FUNCTION audit.keys_older_than IS 'Keys that were made more than so many days ago (365) and are Pre-Active or Active still, oldest first';

CREATE FUNCTION audit.keys_due(p_days integer DEFAULT 30) RETURNS SETOF audit.keys LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.keys k WHERE k.state IN ('Pre-Active', 'Active')
       AND k.deactivated <= now() + make_interval(days => p_days) ORDER BY k.deactivated, k.uid;
END;
COMMENT ON FUNCTION audit.keys_due IS 'Keys whose Deactivation Date comes within so many days (30), the next first';

CREATE FUNCTION audit.keys_past(p_days integer DEFAULT 0) RETURNS SETOF audit.keys LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.keys k WHERE k.state IN ('Deactivated', 'Compromised')
       AND coalesce(k.compromised, k.deactivated, k.changed) <= now() - make_interval(days => p_days)
     ORDER BY coalesce(k.compromised, k.deactivated, k.changed), k.uid;
END;
COMMENT ON FUNCTION audit.keys_past IS 'Keys that were deactivated or compromised at least so many days ago (0) and are not destroyed, the longest first';

-- One look into the index for each key: the first use ends it, and a key has no event before it was made. A bitmap of
-- all events of the key would be made in every month before the first of them is seen: thirty times the work.
CREATE FUNCTION audit.keys_unused(p_days integer DEFAULT 90) RETURNS SETOF audit.keys LANGUAGE sql STABLE
SET enable_bitmapscan = off SET jit = off
BEGIN ATOMIC
    SELECT * FROM audit.keys k
     WHERE k.state NOT IN ('Destroyed', 'Destroyed Compromised') AND k.created < now() - make_interval(days => p_days)
       AND (SELECT e.at FROM audit.event e WHERE e.object = k.uid AND e.at >= k.created - interval '1 day'
               AND e.result = 'Success'
               AND e.operation IN ('Get', 'Export', 'Encrypt', 'Decrypt', 'Sign', 'Signature Verify', 'MAC',
                                   'MAC Verify', 'Derive Key', 'Certify', 'Hash') LIMIT 1) IS NULL
     ORDER BY k.created, k.uid;
END;
COMMENT ON FUNCTION audit.keys_unused IS 'Keys that were made more than so many days ago (90), are not destroyed, and were never fetched or used as far as the audit trail goes back';

CREATE VIEW audit.keys_without_owner AS
SELECT k.* FROM audit.keys k LEFT JOIN audit.clients c ON c.name = k.owner
 WHERE k.state NOT IN ('Destroyed', 'Destroyed Compromised') AND (c.id IS NULL OR NOT c.enabled);
COMMENT ON VIEW audit.keys_without_owner IS 'Keys that nobody answers for: the owner is unknown or disabled, the key is not destroyed';
DO $$
DECLARE
    col record;
BEGIN
    FOR col IN SELECT attname, col_description(attrelid, attnum) AS what FROM pg_attribute
                WHERE attrelid = 'audit.keys'::regclass AND attnum > 0 AND NOT attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN audit.keys_without_owner.%I IS %L', col.attname, col.what);
    END LOOP;
END
$$;

-- ---- administrators ----
CREATE FUNCTION audit.is_admin_act(operation text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN operation LIKE 'Admin %';
COMMENT ON FUNCTION audit.is_admin_act IS 'Whether a row is an act of an administrator, in whatever stream it stands: workers write down traces and signatures that were asked of them, audit.note() all else';

-- An administrator is no client, so the index by client finds these rows among those of nobody.
CREATE FUNCTION audit.admin_acts(p_from timestamptz DEFAULT now() - interval '90 days', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (at timestamptz, who text, act text, object uuid, result text, detail text, stream uuid, seq bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.at, e.client, e.operation, e.object, e.result, e.detail, e.stream, e.seq
      FROM audit.events e WHERE e.client_id IS NULL AND audit.is_admin_act(e.operation)
       AND e.at >= p_from AND e.at < p_until ORDER BY e.at, e.stream, e.seq;
END;
COMMENT ON FUNCTION audit.admin_acts IS 'What administrators did in a period (the last 90 days), traces of clients too: database user and operator, or user of the node; act; what it was about';

CREATE FUNCTION audit.policy_changes(p_from timestamptz DEFAULT now() - interval '90 days', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (at timestamptz, who text, act text, object uuid, result text, detail text, stream uuid, seq bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM audit.admin_acts(p_from, p_until) AS a
     WHERE a.act !~ '^Admin (Migrate|Initialise|Make Certificate Authority|Renew Server Certificate|Approve Boot State|Confirm Escrow|Recovery|Store Hierarchy|(Begin|End) Trace|(Begin|Forget) Forwarding|Explain|.* Audit( .*)?)$';
END;
COMMENT ON FUNCTION audit.policy_changes IS 'Changes of policy in a period (the last 90 days): all acts on domains, clients, groups, rules, constraints and approvals, that is all of audit.admin_acts() but those on the node, its keys, the schema and the audit trail, and traces, which change nothing';

-- The index by client has no time in it: short periods first, then month by month backwards, so that little is read
-- for a client that was there lately, and one look into each month's index for one that was not.
CREATE FUNCTION audit.last_activity(p_client uuid) RETURNS timestamptz LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until  timestamptz := 'infinity';
    start  timestamptz;
    oldest timestamptz;
    found_at timestamptz;
    span   interval;
BEGIN
    FOREACH span IN ARRAY '{1 hour,1 day,7 days,31 days}'::interval[] LOOP
        start := now() - span;
        SELECT max(e.at) INTO found_at FROM audit.event e WHERE e.client = p_client AND e.at >= start AND e.at < until;
        IF found_at IS NOT NULL THEN
            RETURN found_at;
        END IF;
        until := start;
    END LOOP;
    SELECT min(s.opened_at) INTO oldest FROM audit.stream s;
    WHILE until > oldest LOOP
        start := until - interval '31 days';
        SELECT max(e.at) INTO found_at FROM audit.event e WHERE e.client = p_client AND e.at >= start AND e.at < until;
        IF found_at IS NOT NULL THEN
            RETURN found_at;
        END IF;
        until := start;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit.last_activity IS 'When a client last asked for something, by its id; NULL: never, as far as the audit trail goes back';

CREATE FUNCTION audit.client_activity()
RETURNS TABLE (client text, domain text, enabled boolean, created_at timestamptz, not_after timestamptz,
               last_activity timestamptz, id uuid)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.name, c.domain, c.enabled, c.created_at, c.not_after, audit.last_activity(c.id), c.id
      FROM audit.clients c ORDER BY 6 NULLS FIRST, 1;
END;
COMMENT ON FUNCTION audit.client_activity IS 'All clients and when they last asked for something, those who never did first';

CREATE FUNCTION audit.days(p_from timestamptz DEFAULT date_trunc('day', now()) - interval '6 days', p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (day date, events bigint, refused bigint, clients bigint, keys bigint, made bigint, exported bigint,
               revoked bigint, destroyed bigint, administrative bigint, slowest_us bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT (e.at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE e.result <> 'Success'),
           count(DISTINCT e.client_id), count(DISTINCT e.object),
           count(*) FILTER (WHERE e.result = 'Success' AND e.operation IN ('Create', 'Create Key Pair', 'Register')),
           count(*) FILTER (WHERE e.result = 'Success' AND e.operation IN ('Get', 'Export')),
           count(*) FILTER (WHERE e.result = 'Success' AND e.operation = 'Revoke'),
           count(*) FILTER (WHERE e.result = 'Success' AND e.operation = 'Destroy'),
           count(*) FILTER (WHERE audit.is_admin_act(e.operation)), max(e.duration_us)
      FROM audit.events e WHERE e.at >= p_from AND e.at < p_until GROUP BY 1 ORDER BY 1;
END;
COMMENT ON FUNCTION audit.days IS 'A line for each day (UTC) of a period (the last 7 days): events, refusals, clients, keys, what was made, exported, revoked, destroyed, administrative acts, slowest answer. Reads all of the period';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT SELECT ON audit.clients, audit.exports, audit.key_inventory, audit.keys_without_owner TO holdfast_auditor;
GRANT EXECUTE ON FUNCTION audit.name_of TO holdfast_auditor, holdfast_policy;
GRANT EXECUTE ON FUNCTION audit.tail, audit.key_events, audit.key_users, audit.client_events, audit.refusals,
    audit.refusals_by_reason, audit.refusals_by_client, audit.exports_of, audit.keys_older_than, audit.keys_due,
    audit.keys_past, audit.keys_unused, audit.is_admin_act, audit.admin_acts, audit.policy_changes, audit.last_activity,
    audit.client_activity, audit.days TO holdfast_auditor;
