-- Whose signatures are believed: the attestation keys of the nodes' TPMs, which no administrator of the database holds,
-- and a check of their signatures by PostgreSQL itself.

-- ---- ECDSA on P-256, verified by the database itself ----
CREATE FUNCTION audit.number(bytes bytea) RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value numeric := 0;
BEGIN
    FOR i IN 0 .. octet_length(bytes) - 1 LOOP
        value := value * 256 + get_byte(bytes, i);
    END LOOP;
    RETURN value;
END
$$;
COMMENT ON FUNCTION audit.number IS 'Bytes as a number, most significant first';

CREATE FUNCTION audit.inverse(value numeric, modulus numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a numeric := mod(mod(value, modulus) + modulus, modulus);
    b numeric := modulus;
    x numeric := 1;
    y numeric := 0;
    q numeric;
    t numeric;
BEGIN
    WHILE a <> 0 LOOP
        q := div(b, a);
        t := b - q * a; b := a; a := t;
        t := y - q * x; y := x; x := t;
    END LOOP;
    RETURN mod(y + modulus, modulus);
END
$$;
COMMENT ON FUNCTION audit.inverse IS 'The inverse of a number that is prime to the modulus (Euclid); 0 for a multiple of it';

-- Points in Jacobian coordinates {x, y, z}; z = 0 is the point at infinity. SEC 1, 2.2.1 and the formulas for a = -3.
CREATE FUNCTION audit.p256_double(point numeric[]) RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p     constant numeric := 115792089210356248762697446949407573530086143415290314195533631308867097853951;
    delta numeric := mod(point[3] * point[3], p);
    gamma numeric := mod(point[2] * point[2], p);
    beta  numeric := mod(point[1] * gamma, p);
    alpha numeric := mod(3 * (point[1] - delta) * (point[1] + delta), p);
    x     numeric := mod(alpha * alpha - 8 * beta, p);
BEGIN
    RETURN ARRAY[x, mod(alpha * (4 * beta - x) - 8 * gamma * gamma, p), mod(2 * point[2] * point[3], p)];
END
$$;
COMMENT ON FUNCTION audit.p256_double IS 'Twice a point of P-256';

CREATE FUNCTION audit.p256_add(point numeric[], more numeric[]) RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p  constant numeric := 115792089210356248762697446949407573530086143415290314195533631308867097853951;
    zz numeric := mod(point[3] * point[3], p);
    h  numeric := mod(more[1] * zz - point[1], p);
    r  numeric := mod(more[2] * mod(point[3] * zz, p) - point[2], p);
    hh numeric;
    v  numeric;
    x  numeric;
BEGIN
    IF point[3] = 0 THEN
        RETURN ARRAY[more[1], more[2], 1];
    ELSIF h = 0 THEN
        RETURN CASE WHEN r = 0 THEN audit.p256_double(point) ELSE '{1,1,0}' END;
    END IF;
    hh := mod(h * h, p);
    v := mod(point[1] * hh, p);
    hh := mod(h * hh, p); -- cubed
    x := mod(r * r - hh - 2 * v, p);
    RETURN ARRAY[x, mod(r * (v - x) - point[2] * hh, p), mod(point[3] * h, p)];
END
$$;
COMMENT ON FUNCTION audit.p256_add IS 'A point of P-256 and one whose z is 1 (SEC 1, 2.2.1)';

CREATE FUNCTION audit.p256_verifies(key_x bytea, key_y bytea, message bytea, signature bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p     constant numeric := 115792089210356248762697446949407573530086143415290314195533631308867097853951;
    n     constant numeric := 115792089210356248762697446949407573529996955224135760342422259061068512044369;
    b     constant numeric := 41058363725152142129326129780047268409114441015993725554835256314039467401291;
    g     constant numeric[] := '{48439561293906451759052585252797914202762949526041747995844080717082404635286,36134250956749795798585127919587881956611106672985015071877198253568414405109,1}';
    q     numeric[] := ARRAY[audit.number(key_x), audit.number(key_y), 1];
    r     numeric := audit.number(substr(signature, 1, 32));
    s     numeric := audit.number(substr(signature, 33));
    joint numeric[];
    w     numeric;
    u     numeric;
    v     numeric;
    picks integer[] := '{}';
    sum   numeric[] := '{1,1,0}';
BEGIN
    IF num_nulls(key_x, key_y, message, signature) > 0 OR octet_length(signature) <> 64 OR r = 0 OR s = 0 OR r >= n OR s >= n
       OR q[1] >= p OR q[2] >= p OR mod(q[2] * q[2] - q[1] * mod(q[1] * q[1] - 3, p) - b, p) <> 0 THEN
        RETURN false;
    END IF;
    w := audit.inverse(s, n);
    u := mod(audit.number(sha256(message)) * w, n);
    v := mod(r * w, n);
    joint := audit.p256_add(q, g);
    w := audit.inverse(joint[3], p); -- to z = 1
    joint := ARRAY[mod(joint[1] * mod(w * w, p), p), mod(joint[2] * mod(w * mod(w * w, p), p), p), CASE WHEN w = 0 THEN 0 ELSE 1 END];
    WHILE u > 0 OR v > 0 LOOP
        picks := (mod(u, 2) + 2 * mod(v, 2))::integer || picks;
        u := div(u, 2);
        v := div(v, 2);
    END LOOP;
    FOR i IN 1 .. cardinality(picks) LOOP
        sum := audit.p256_double(sum);
        IF picks[i] = 3 AND joint[3] = 0 THEN
            CONTINUE; -- the key is the generator's opposite: their sum is nothing
        ELSIF picks[i] > 0 THEN
            sum := audit.p256_add(sum, CASE picks[i] WHEN 1 THEN g WHEN 2 THEN q ELSE joint END);
        END IF;
    END LOOP;
    w := mod(sum[3] * sum[3], p);
    RETURN sum[3] <> 0 AND (mod(sum[1] - r * w, p) = 0 OR r + n < p AND mod(sum[1] - (r + n) * w, p) = 0);
END
$$;
COMMENT ON FUNCTION audit.p256_verifies IS 'Whether an ECDSA signature (r and s, 32 bytes each) with P-256 and SHA-256 over a message is right (SEC 1, 4.1.4)';

-- ---- who signs ----
-- Attestation keys are what server/vault/tpm/template.c makes: restricted, fixed to their TPM, P-256. Nothing else counts.
CREATE FUNCTION audit.ak_point(ak_pub bytea) RETURNS bytea[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN substr(ak_pub, 3, 20) = decode('0023000b00050472000000100018000b00030010', 'hex')
             AND substr(ak_pub, 23, 2) = decode('0020', 'hex') AND substr(ak_pub, 57, 2) = decode('0020', 'hex')
             AND octet_length(ak_pub) = 90
            THEN ARRAY[substr(ak_pub, 25, 32), substr(ak_pub, 59, 32)] END;
COMMENT ON FUNCTION audit.ak_point IS 'x and y of an attestation key, from its TPM2B_PUBLIC; NULL where it is not such a key: restricted, fixed to its TPM, ECDSA with P-256 and SHA-256';

-- Which keys are believed does not hang on kmip.node, which the server's role writes: the owner of the schema alone
-- writes this table, when an administrator sets a node up, and the roles of server and policy cannot.
CREATE TABLE audit.signer (
    node        uuid PRIMARY KEY,
    ak_pub      bytea NOT NULL CHECK (audit.ak_point(ak_pub) IS NOT NULL),
    anchored_at timestamptz NOT NULL DEFAULT now(),
    anchored_by text NOT NULL
);
COMMENT ON TABLE audit.signer IS 'The attestation keys whose signatures of stubs are believed. Written by audit.anchor_signer() alone, never changed';
COMMENT ON COLUMN audit.signer.node IS 'The node';
COMMENT ON COLUMN audit.signer.ak_pub IS 'Its attestation key, TPM2B_PUBLIC. One TPM has the same under each node that it ever was';
COMMENT ON COLUMN audit.signer.anchored_at IS 'Since when it is believed';
COMMENT ON COLUMN audit.signer.anchored_by IS 'Who set the node up: database user and operator';
CREATE TRIGGER signer_is_final BEFORE UPDATE OR DELETE ON audit.signer FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER signer_no_truncate BEFORE TRUNCATE ON audit.signer FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

CREATE FUNCTION audit.actor() RETURNS text LANGUAGE sql STABLE
RETURN session_user || coalesce(' (' || left(nullif(current_setting('holdfast.operator', true), ''), 128) || ')', '');
COMMENT ON FUNCTION audit.actor IS 'Who acts: database user and, from the setting holdfast.operator, operator; as audit.note() writes it';

-- Not SECURITY DEFINER, and granted to nobody: who may call it is the owner, or a member of it.
CREATE FUNCTION audit.anchor_signer(p_node uuid, p_ak_pub bytea) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_node IS NULL OR audit.ak_point(p_ak_pub) IS NULL THEN
        RAISE EXCEPTION 'node % has no attestation key that could sign', p_node USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO audit.signer (node, ak_pub, anchored_by) VALUES (p_node, p_ak_pub, audit.actor()) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM audit.note('Admin Anchor Audit Signer', format('node=%s name=%s', p_node, encode(sha256(substr(p_ak_pub, 3)), 'hex')));
    ELSIF NOT EXISTS (SELECT FROM audit.signer g WHERE g.node = p_node AND g.ak_pub = p_ak_pub) THEN
        RAISE EXCEPTION 'node % is anchored with another key', p_node USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'A node keeps its key for life; another TPM is another node: holdfast recovery restore makes it.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit.anchor_signer IS 'Makes the attestation key of a node one that stubs are believed by: called where an administrator sets the node up, as owner of the schema';

-- Nodes that were set up before are taken as they are: who migrates anchors them.
DO $$
DECLARE
    n record;
BEGIN
    FOR n IN SELECT id, ak_pub FROM kmip.node WHERE audit.ak_point(ak_pub) IS NOT NULL ORDER BY id LOOP
        PERFORM audit.anchor_signer(n.id, n.ak_pub);
    END LOOP;
END
$$;

CREATE VIEW audit.signers AS
SELECT g.node, g.ak_pub, encode(sha256(substr(g.ak_pub, 3)), 'hex') AS name,
       E'-----BEGIN PUBLIC KEY-----\n' || encode(decode('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
           || (audit.ak_point(g.ak_pub))[1] || (audit.ak_point(g.ak_pub))[2], 'base64')
           || E'\n-----END PUBLIC KEY-----\n' AS pem, g.anchored_at, g.anchored_by
  FROM audit.signer g;
COMMENT ON VIEW audit.signers IS 'The attestation keys of the nodes, which sign stubs. Compare name with the line "ak" of node.state on the node itself: the owner of the schema or a superuser could put another key here';
COMMENT ON COLUMN audit.signers.node IS 'The node';
COMMENT ON COLUMN audit.signers.ak_pub IS 'Its attestation key, TPM2B_PUBLIC';
COMMENT ON COLUMN audit.signers.name IS 'SHA-256 of the public area: the Name of the key after its first two bytes (000b)';
COMMENT ON COLUMN audit.signers.pem IS 'The same key for OpenSSL';
COMMENT ON COLUMN audit.signers.anchored_at IS 'Since when it is believed';
COMMENT ON COLUMN audit.signers.anchored_by IS 'Who set the node up, or migrated the database when it was there: database user and operator';

REVOKE ALL ON FUNCTION audit.number, audit.inverse, audit.p256_double, audit.p256_add, audit.p256_verifies, audit.ak_point,
    audit.actor, audit.anchor_signer FROM PUBLIC;
GRANT SELECT ON audit.signer, audit.signers TO holdfast_auditor;
GRANT SELECT ON audit.signers TO holdfast_policy;
GRANT EXECUTE ON FUNCTION audit.number, audit.inverse, audit.p256_double, audit.p256_add, audit.p256_verifies,
    audit.ak_point TO holdfast_auditor;
GRANT EXECUTE ON FUNCTION audit.ak_point TO holdfast_policy;
