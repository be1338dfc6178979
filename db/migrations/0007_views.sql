-- What the auditor reads: events, events of a key or a client, failures, keys with their present state,
-- streams. Views run with the owner's rights: the auditor sees no material and no attribute values.
CREATE FUNCTION audit.date_of(seconds bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN seconds BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(seconds::double precision)
            WHEN seconds IS NULL THEN NULL WHEN seconds > 0 THEN 'infinity' ELSE '-infinity' END;
COMMENT ON FUNCTION audit.date_of IS 'Seconds since 1970 as a timestamp; infinity where a client set a date out of all reason';

CREATE FUNCTION audit.state_name(state bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE state WHEN 1 THEN 'Pre-Active' WHEN 2 THEN 'Active' WHEN 3 THEN 'Deactivated'
    WHEN 4 THEN 'Compromised' WHEN 5 THEN 'Destroyed' WHEN 6 THEN 'Destroyed Compromised' END;
COMMENT ON FUNCTION audit.state_name IS 'KMIP State in words';

CREATE FUNCTION audit.type_name(object_type bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(('{Certificate,Symmetric Key,Public Key,Private Key,Split Key,Template,Secret Data,Opaque Object,PGP Key,Certificate Request,User,Group,Password Credential,Device Credential,One Time Password Credential,Hashed Password Credential}'::text[])[object_type],
                '0x' || to_hex(object_type));
COMMENT ON FUNCTION audit.type_name IS 'KMIP Object Type in words';

CREATE FUNCTION audit.algorithm_name(algorithm bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN algorithm = 0 THEN NULL ELSE
    coalesce(('{DES,3DES,AES,RSA,DSA,ECDSA,HMAC-SHA1,HMAC-SHA224,HMAC-SHA256,HMAC-SHA384,HMAC-SHA512,HMAC-MD5,DH,ECDH,ECMQV,Blowfish,Camellia,CAST5,IDEA,MARS,RC2,RC4,RC5,SKIPJACK,Twofish,EC,One Time Pad,ChaCha20,Poly1305,ChaCha20Poly1305}'::text[])[algorithm],
             '0x' || to_hex(algorithm)) END;
COMMENT ON FUNCTION audit.algorithm_name IS 'KMIP Cryptographic Algorithm in words';

CREATE VIEW audit.events AS
SELECT e.at, e.client_name AS client, e.operation, e.object, e.result, e.reason, e.detail,
       e.address, e.protocol, e.correlation, e.position, e.duration_us, e.fingerprint,
       e.client AS client_id, e.stream, e.seq, encode(e.hash, 'hex') AS hash
  FROM audit.event e;
COMMENT ON VIEW audit.events IS 'All events. ORDER BY at for their order in time; (stream, seq) names a row in audit.verify()';
COMMENT ON COLUMN audit.events.at IS 'When, by the server''s clock';
COMMENT ON COLUMN audit.events.client IS 'Name of the client at that time';
COMMENT ON COLUMN audit.events.operation IS 'KMIP operation, or administrative act ("Admin ...")';
COMMENT ON COLUMN audit.events.object IS 'Unique Identifier of the object';
COMMENT ON COLUMN audit.events.result IS 'Success, or how it ended';
COMMENT ON COLUMN audit.events.reason IS 'KMIP Result Reason of a refusal';
COMMENT ON COLUMN audit.events.detail IS 'More, for administrative acts and for the opening row of a stream';
COMMENT ON COLUMN audit.events.address IS 'Network address and port of the client';
COMMENT ON COLUMN audit.events.protocol IS 'KMIP version of the request';
COMMENT ON COLUMN audit.events.correlation IS 'Client Correlation Value of the request';
COMMENT ON COLUMN audit.events.position IS 'Place in the batch, from 0';
COMMENT ON COLUMN audit.events.duration_us IS 'Microseconds from the arrival of the request to the writing of this row';
COMMENT ON COLUMN audit.events.fingerprint IS 'SHA-256 of the client''s certificate';
COMMENT ON COLUMN audit.events.client_id IS 'Identifier of the client, the same under any name';
COMMENT ON COLUMN audit.events.stream IS 'The stream (worker process life) that wrote it';
COMMENT ON COLUMN audit.events.seq IS 'Number in the stream, from 1, without gaps';
COMMENT ON COLUMN audit.events.hash IS 'SHA-256 over the canonical form of this row, which begins with the hash of the row before it';

CREATE VIEW audit.failures AS
SELECT * FROM audit.events WHERE result <> 'Success';
COMMENT ON VIEW audit.failures IS 'Events that did not succeed: refusals, errors';
DO $$
DECLARE
    col record;
BEGIN
    FOR col IN SELECT attname, col_description(attrelid, attnum) AS what FROM pg_attribute
                WHERE attrelid = 'audit.events'::regclass AND attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN audit.failures.%I IS %L', col.attname, col.what);
    END LOOP;
END
$$;

CREATE FUNCTION audit.key_events(p_key uuid) RETURNS SETOF audit.events LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM audit.events WHERE object = p_key ORDER BY at, stream, seq $$;
COMMENT ON FUNCTION audit.key_events IS 'All that happened to one key, in order: SELECT * FROM audit.key_events(''018f...'')';

CREATE FUNCTION audit.client_events(p_client text) RETURNS SETOF audit.events LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM audit.events WHERE client_id = (SELECT id FROM policy.client WHERE name = p_client) ORDER BY at, stream, seq $$;
COMMENT ON FUNCTION audit.client_events IS 'All that one client did, by its name, in order: SELECT * FROM audit.client_events(''web-7'')';

CREATE VIEW audit.keys AS
SELECT o.uid, c.name AS owner,
       (SELECT array_agg(n.value ORDER BY n.position) FROM kmip.name n
         WHERE n.object = o.uid AND n.position >= 0) AS names,
       audit.type_name(o.object_type) AS type, audit.algorithm_name(o.algorithm) AS algorithm,
       nullif(o.length, 0) AS length,
       audit.state_name(kmip.effective_state(o.state, o.activation_date, o.deactivation_date,
                                             extract(epoch FROM now())::bigint)) AS state,
       CASE o.protection WHEN 1 THEN 'TPM-rooted' WHEN 2 THEN 'TPM-resident' END AS protection,
       audit.date_of(o.initial_date) AS created, audit.date_of(o.activation_date) AS activated,
       audit.date_of(o.deactivation_date) AS deactivated, audit.date_of(o.compromise_date) AS compromised,
       audit.date_of(o.destroy_date) AS destroyed, audit.date_of(o.last_change_date) AS changed,
       o.extractable, o.sensitive, o.usage_mask, o.version
  FROM kmip.object o LEFT JOIN policy.client c ON c.id = o.owner;
COMMENT ON VIEW audit.keys IS 'Every managed object with its present state (dates taken into account), owner, names and dates; no material, no other attributes';
COMMENT ON COLUMN audit.keys.state IS 'Effective state now: activation and deactivation dates that have passed are taken into account';
COMMENT ON COLUMN audit.keys.owner IS 'Name of the client that owns it';
COMMENT ON COLUMN audit.keys.names IS 'Its names, in order; of a destroyed object: those it had';
COMMENT ON COLUMN audit.keys.uid IS 'Unique Identifier';
COMMENT ON COLUMN audit.keys.type IS 'Object Type';
COMMENT ON COLUMN audit.keys.algorithm IS 'Cryptographic Algorithm; NULL if there is none';
COMMENT ON COLUMN audit.keys.length IS 'Cryptographic Length in bits; NULL if there is none';
COMMENT ON COLUMN audit.keys.protection IS 'Where the key is used: in the vault process, its root in the TPM, or in the TPM alone';
COMMENT ON COLUMN audit.keys.created IS 'Initial Date';
COMMENT ON COLUMN audit.keys.activated IS 'Activation Date, past or to come';
COMMENT ON COLUMN audit.keys.deactivated IS 'Deactivation Date, past or to come';
COMMENT ON COLUMN audit.keys.compromised IS 'Compromise Date';
COMMENT ON COLUMN audit.keys.destroyed IS 'Destroy Date';
COMMENT ON COLUMN audit.keys.changed IS 'Last Change Date';
COMMENT ON COLUMN audit.keys.extractable IS 'Whether the key may leave the server';
COMMENT ON COLUMN audit.keys.sensitive IS 'Whether it may leave only wrapped';
COMMENT ON COLUMN audit.keys.usage_mask IS 'Cryptographic Usage Mask, the sum of its bits';
COMMENT ON COLUMN audit.keys.version IS 'How often it was written; the vault signs it';

CREATE VIEW audit.streams AS
SELECT s.opener, s.opened_at, s.id AS stream, s.seq AS rows, encode(s.hash, 'hex') AS head,
       s.predecessor, s.predecessor_seq, s.fenced
  FROM audit.stream s;
COMMENT ON VIEW audit.streams IS 'Heads of all streams: how many rows each has, and after which stream it came';
COMMENT ON COLUMN audit.streams.opener IS 'Who opened it: node and worker, or administration';
COMMENT ON COLUMN audit.streams.opened_at IS 'When';
COMMENT ON COLUMN audit.streams.stream IS 'Its name, as in audit.events';
COMMENT ON COLUMN audit.streams.rows IS 'How many rows it has';
COMMENT ON COLUMN audit.streams.head IS 'Hash of its last row';
COMMENT ON COLUMN audit.streams.predecessor IS 'The stream that the same opener had before';
COMMENT ON COLUMN audit.streams.predecessor_seq IS 'The last row of the predecessor when this stream was opened';
COMMENT ON COLUMN audit.streams.fenced IS 'No more rows: a new stream took over after a COMMIT of unknown outcome';
