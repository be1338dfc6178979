-- Second factors: the functions that register and remove them, their view, and the quirks that the server knows.
-- Each change raises the standing of the client, so that its next request is judged by the new factors, and writes
-- its audit row in the same transaction. No audit row holds a hash.

-- The vault refuses to work longer, or in more memory, than this for one password (server/vault/crypto/scrypt.h).
ALTER TABLE policy.factor
    ADD CONSTRAINT factor_hash CHECK (num_nulls(salt, cost_log2, block_size, parallel, hash) IN (0, 5)),
    ADD CONSTRAINT factor_bytes CHECK (octet_length(salt) BETWEEN 16 AND 64 AND octet_length(hash) = 32),
    ADD CONSTRAINT factor_memory CHECK ((128::bigint << cost_log2) * block_size <= 67108864),
    ADD CONSTRAINT factor_work CHECK ((128::bigint << cost_log2) * block_size * parallel <= 1073741824),
    ADD CONSTRAINT factor_device CHECK ((kind = 'device') = (device IS NOT NULL));
COMMENT ON CONSTRAINT factor_hash ON policy.factor IS 'A hash comes with all that made it';
COMMENT ON CONSTRAINT factor_bytes ON policy.factor IS 'A salt of 16 to 64 bytes, a hash of 32';
COMMENT ON CONSTRAINT factor_memory ON policy.factor IS 'scrypt in 64 MiB at the most';
COMMENT ON CONSTRAINT factor_work ON policy.factor IS 'scrypt over 1 GiB at the most';
COMMENT ON CONSTRAINT factor_device ON policy.factor IS 'Facts are those of a device';

CREATE UNIQUE INDEX factor_user ON policy.factor (client, name) WHERE kind = 'password';
CREATE UNIQUE INDEX factor_facts ON policy.factor (client, device) WHERE kind = 'device';
COMMENT ON INDEX policy.factor_user IS 'A user name of a client has one password';
COMMENT ON INDEX policy.factor_facts IS 'The same facts are registered once for a client';

INSERT INTO policy.quirk (name, what) VALUES
    ('empty-credentials', 'A Username and Password without any content counts as none, unless it is registered; and passwords may be empty or left out. For products that always send the structure'),
    ('any-batch-count', 'A Batch Count that is not the number of batch items is overlooked: all items that came are served. For early versions of the MongoDB driver, which count one and send two'),
    ('iv-in-ciphertext', 'Data to be decrypted that come without an IV/Counter/Nonce begin with it; and where an Encrypt brings none, one is made and told in its field. For clients of servers that do so, such as EDB Postgres with CipherTrust');

CREATE FUNCTION policy.factor_changed(p_client uuid, p_act text, p_what text, p_reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM policy.check_reason(p_reason);
    UPDATE policy.client SET standing = policy.next_standing(standing) WHERE id = p_client;
    PERFORM audit.note(p_act, format('client=%s %s reason=%s', (SELECT name FROM policy.client WHERE id = p_client),
                                     p_what, p_reason));
END
$$;
COMMENT ON FUNCTION policy.factor_changed IS 'Raises the standing of the client and writes the audit row; internal';

CREATE FUNCTION policy.factor_room(p_client uuid, p_username text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM policy.factor WHERE client = p_client
           AND (kind, name) IS DISTINCT FROM ('password', p_username)) >= 64 THEN
        RAISE EXCEPTION 'the client has 64 second factors, and may have no more'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'policy.factor_remove() takes one away.';
    END IF;
END
$$;
COMMENT ON FUNCTION policy.factor_room IS 'An error if the client has as many factors as it may, the password of this user name not counted (NULL: all are); internal';

CREATE FUNCTION policy.password_add(p_client text, p_username text, p_salt bytea, p_cost_log2 integer,
                                    p_block_size integer, p_parallel integer, p_hash bytea, p_reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target   uuid := policy.client_lock(p_client);
    made     bigint;
    replaced boolean;
BEGIN
    PERFORM policy.factor_room(target, p_username);
    DELETE FROM policy.factor WHERE client = target AND kind = 'password' AND name = p_username;
    replaced := FOUND;
    INSERT INTO policy.factor (client, kind, name, salt, cost_log2, block_size, parallel, hash)
    VALUES (target, 'password', p_username, p_salt, p_cost_log2, p_block_size, p_parallel, p_hash)
    RETURNING id INTO made;
    PERFORM policy.factor_changed(target, CASE WHEN replaced THEN 'Admin Change Password' ELSE 'Admin Add Password' END,
                                  format('factor=%s user=%s', made, p_username), p_reason);
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.password_add IS 'Registers a user name and the scrypt hash of its password for a client, in place of the password that this user name had; returns the number of the factor. holdfast client password makes salt and hash';

CREATE FUNCTION policy.device_add(p_client text, p_facts jsonb, p_salt bytea, p_cost_log2 integer,
                                  p_block_size integer, p_parallel integer, p_hash bytea, p_reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target uuid := policy.client_lock(p_client);
    made   bigint;
BEGIN
    IF jsonb_typeof(p_facts) IS DISTINCT FROM 'object' THEN
        PERFORM policy.mistake('the facts of a device are a JSON object');
    END IF;
    IF p_facts = '{}' OR EXISTS (
        SELECT FROM jsonb_each(p_facts) AS f (key, value)
         WHERE f.key NOT IN ('DeviceSerialNumber', 'DeviceIdentifier', 'NetworkIdentifier', 'MachineIdentifier',
                             'MediaIdentifier')
            OR jsonb_typeof(f.value) <> 'string' OR octet_length(f.value #>> '{}') NOT BETWEEN 1 AND 255) THEN
        PERFORM policy.mistake('a device has at least one fact, each a text of 1 to 255 bytes',
            'The names: DeviceSerialNumber, DeviceIdentifier, NetworkIdentifier, MachineIdentifier, MediaIdentifier.');
    END IF;
    PERFORM policy.factor_room(target, NULL);
    INSERT INTO policy.factor (client, kind, device, salt, cost_log2, block_size, parallel, hash)
    VALUES (target, 'device', p_facts, p_salt, p_cost_log2, p_block_size, p_parallel, p_hash) RETURNING id INTO made;
    PERFORM policy.factor_changed(target, 'Admin Add Device', format('factor=%s facts=%s', made, p_facts), p_reason);
    RETURN made;
END
$$;
COMMENT ON FUNCTION policy.device_add IS 'Registers a device for a client: the facts that its Credential must have, others do not matter; with the hash of a password, or NULL in all that belongs to it. Returns the number of the factor';

CREATE FUNCTION policy.factor_remove(p_id bigint, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone policy.factor;
BEGIN
    PERFORM policy.client_lock(c.name) FROM policy.factor f JOIN policy.client c ON c.id = f.client WHERE f.id = p_id;
    DELETE FROM policy.factor WHERE id = p_id RETURNING * INTO gone;
    IF NOT FOUND THEN
        PERFORM policy.missing(format('there is no second factor %s', p_id), 'policy.factors lists them.');
    END IF;
    PERFORM policy.factor_changed(gone.client, 'Admin Remove Factor', format('factor=%s kind=%s', p_id, gone.kind),
                                  p_reason);
END
$$;
COMMENT ON FUNCTION policy.factor_remove IS 'Removes a second factor by its number in policy.factors; holds from the next request of its client on';

CREATE VIEW policy.factors AS
SELECT f.id, c.name AS client, f.kind, f.name, f.device, f.hash IS NOT NULL AS has_password,
       c.second_factor AS required,
       f.created_at
  FROM policy.factor f JOIN policy.client c ON c.id = f.client;
COMMENT ON VIEW policy.factors IS 'Second factors of clients, without hashes';
COMMENT ON COLUMN policy.factors.id IS 'Number of the factor, for policy.factor_remove()';
COMMENT ON COLUMN policy.factors.client IS 'Name of the client';
COMMENT ON COLUMN policy.factors.kind IS 'password (Username and Password) or device (Device)';
COMMENT ON COLUMN policy.factors.name IS 'Username of the credential';
COMMENT ON COLUMN policy.factors.device IS 'The facts that must be the same';
COMMENT ON COLUMN policy.factors.has_password IS 'Whether a password belongs to it';
COMMENT ON COLUMN policy.factors.required IS 'Whether the client must bring one of its factors with each request; if not, one that it brings must be right';
COMMENT ON COLUMN policy.factors.created_at IS 'When it was added';

REVOKE ALL ON FUNCTION policy.factor_changed, policy.factor_room, policy.password_add, policy.device_add,
    policy.factor_remove FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy.password_add, policy.device_add, policy.factor_remove TO holdfast_policy;
GRANT SELECT ON policy.factors TO holdfast_policy;
