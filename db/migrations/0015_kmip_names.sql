-- KMIP's names and numbers, as administrators give them and are shown them: object types, algorithms, protection
-- levels, usage masks, attributes.

CREATE FUNCTION policy.plain(p_name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(regexp_replace(p_name, '[^A-Za-z0-9]', '', 'g'));
COMMENT ON FUNCTION policy.plain IS 'A KMIP name without what its forms differ in: "Symmetric Key", "SymmetricKey" and "symmetric-key" are the same; internal';

CREATE FUNCTION policy.number_given(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_given ~ '^[0-9]{1,9}$' THEN p_given::bigint
            WHEN p_given ~ '^0x[0-9A-Fa-f]{1,8}$' THEN ('x' || lpad(substr(p_given, 3), 8, '0'))::bit(32)::bigint END;
COMMENT ON FUNCTION policy.number_given IS 'The number, decimal or 0x.., that a text is; NULL if it is none; internal';

CREATE FUNCTION policy.kmip_number(p_what text, p_given text, p_names text[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint := policy.number_given(p_given);
BEGIN
    IF number IS NULL THEN
        number := (SELECT n.place FROM unnest(p_names) WITH ORDINALITY AS n(name, place)
                    WHERE policy.plain(n.name) = policy.plain(p_given));
    END IF;
    IF p_given IS NOT NULL AND coalesce(number NOT BETWEEN 1 AND cardinality(p_names), true) THEN
        PERFORM policy.mistake(format('there is no %s "%s"', p_what, p_given),
                               format('It is one of: %s; or its number.', array_to_string(p_names, ', ')));
    END IF;
    RETURN number;
END
$$;
COMMENT ON FUNCTION policy.kmip_number IS 'A KMIP value by its name among these, counted from 1, or by its number; an error if there is none; internal';

CREATE FUNCTION policy.type_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('Object Type', p_given, ARRAY(SELECT audit.type_name(n) FROM generate_series(1, 10) AS n))
$$;
COMMENT ON FUNCTION policy.type_number IS 'KMIP Object Type by name or number; the other way: audit.type_name()';

CREATE FUNCTION policy.algorithm_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('Cryptographic Algorithm', CASE WHEN p_given ILIKE 'DES3' THEN '3DES' ELSE p_given END,
                              ARRAY(SELECT audit.algorithm_name(n) FROM generate_series(1, 56) AS n))
$$;
COMMENT ON FUNCTION policy.algorithm_number IS 'KMIP Cryptographic Algorithm by name or number; the other way: audit.algorithm_name()';

CREATE FUNCTION policy.protection_name(protection bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE protection WHEN 1 THEN 'TPM-rooted' WHEN 2 THEN 'TPM-resident' END;
COMMENT ON FUNCTION policy.protection_name IS 'Where a key is used, in words: in the vault process, its root in the TPM, or in the TPM alone';

CREATE FUNCTION policy.protection_number(p_given text) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy.kmip_number('protection level', p_given, '{TPM-rooted,TPM-resident}')
$$;
COMMENT ON FUNCTION policy.protection_number IS 'Protection level by name or number';

CREATE FUNCTION policy.usage_names() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN string_to_array(
       'Sign,Verify,Encrypt,Decrypt,Wrap Key,Unwrap Key,Export,MAC Generate,MAC Verify,Derive Key,'
    || 'Content Commitment (Non Repudiation),Key Agreement,Certificate Sign,CRL Sign,Generate Cryptogram,'
    || 'Validate Cryptogram,Translate Encrypt,Translate Decrypt,Translate Wrap,Translate Unwrap,Authenticate,'
    || 'Unrestricted,FPE Encrypt,FPE Decrypt', ',');
COMMENT ON FUNCTION policy.usage_names IS 'The bits of the KMIP Cryptographic Usage Mask in words, the lowest first';

CREATE FUNCTION policy.usage_text(mask bigint) RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN mask IS NOT NULL THEN
           ARRAY(SELECT coalesce((policy.usage_names())[bit + 1], '0x' || to_hex(1::bigint << bit))
                   FROM generate_series(0, 31) AS bit WHERE mask & (1::bigint << bit) <> 0 ORDER BY bit) END
$$;
COMMENT ON FUNCTION policy.usage_text IS 'A KMIP Cryptographic Usage Mask in words; bits without a name as numbers';

CREATE FUNCTION policy.usage_mask(p_given text[]) RETURNS bigint LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_given IS NOT NULL THEN coalesce(bit_or(coalesce(policy.number_given(trim(g)),
               1::bigint << (policy.kmip_number('use of keys', trim(g), policy.usage_names()) - 1)::integer)), 0) END
      FROM unnest(p_given) AS g
$$;
COMMENT ON FUNCTION policy.usage_mask IS 'A KMIP Cryptographic Usage Mask from the names of its bits; numbers among them are masks themselves';

-- ---- attributes, as constraints and defaults name them ----
-- The same table as proto/kmip/attributes.def; a test compares them.
CREATE TABLE policy.attribute (
    name text PRIMARY KEY,
    kind text NOT NULL,
    many boolean NOT NULL
);
COMMENT ON TABLE policy.attribute IS 'The KMIP attributes that a client may give, as constraints and defaults name them; custom ones (x-Name) and vendors'' (vendor:Name) beside them';
COMMENT ON COLUMN policy.attribute.name IS 'Its KMIP JSON name';
COMMENT ON COLUMN policy.attribute.kind IS 'What its values are: text, integer, boolean, date, mask, enumeration or structure';
COMMENT ON COLUMN policy.attribute.many IS 'Whether it may have several values';
INSERT INTO policy.attribute (name, kind, many) VALUES
    ('ActivationDate', 'date', false), ('ApplicationSpecificInformation', 'structure', true),
    ('CertificateType', 'enumeration', false), ('ContactInformation', 'text', false),
    ('CryptographicAlgorithm', 'enumeration', false), ('CryptographicDomainParameters', 'structure', false),
    ('CryptographicLength', 'integer', false), ('CryptographicParameters', 'structure', true),
    ('CryptographicUsageMask', 'mask', false), ('DeactivationDate', 'date', false),
    ('KeyFormatType', 'enumeration', false), ('Link', 'structure', true), ('Name', 'structure', true),
    ('ObjectGroup', 'text', true), ('OpaqueDataType', 'enumeration', false), ('OperationPolicyName', 'text', false),
    ('ProcessStartDate', 'date', false), ('ProtectStopDate', 'date', false), ('UsageLimits', 'structure', false),
    ('Fresh', 'boolean', false), ('KeyValueLocation', 'structure', true), ('OriginalCreationDate', 'date', false),
    ('AlternativeName', 'structure', true), ('RandomNumberGenerator', 'structure', false),
    ('PKCS_12FriendlyName', 'text', false), ('Description', 'text', false), ('Comment', 'text', false),
    ('Sensitive', 'boolean', false), ('Extractable', 'boolean', false), ('NISTKeyType', 'enumeration', true),
    ('ProtectionLevel', 'enumeration', false), ('ProtectionPeriod', 'integer', false),
    ('QuantumSafe', 'boolean', false), ('ProtectionStorageMask', 'mask', false), ('RotateInterval', 'integer', false),
    ('RotateAutomatic', 'boolean', false), ('RotateOffset', 'integer', false), ('RotateName', 'structure', false);

CREATE FUNCTION policy.attribute_named(p_name text) RETURNS policy.attribute LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_row policy.attribute;
BEGIN
    IF p_name ~ '^([xy]-|[^:-]+:).' THEN
        RETURN (p_name, 'vendor'::text, true);
    END IF;
    SELECT * INTO found_row FROM policy.attribute a WHERE policy.plain(a.name) = policy.plain(p_name);
    IF NOT FOUND THEN
        PERFORM policy.mistake(format('there is no attribute "%s" that a client could give', p_name),
            'SELECT * FROM policy.attribute shows them; custom ones are named x-NAME, vendors'' VENDOR:NAME.');
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION policy.attribute_named IS 'The attribute by its name in any of its forms; an error if there is none; internal';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA policy FROM PUBLIC;
GRANT SELECT ON policy.attribute TO holdfast_policy;
-- what views call
GRANT EXECUTE ON FUNCTION policy.usage_text, policy.usage_names, policy.protection_name, audit.type_name,
    audit.algorithm_name TO holdfast_policy;
