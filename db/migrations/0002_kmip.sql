-- Managed objects, their material, names, and the stored form of the vault's key hierarchy.
-- Numbers are KMIP enumeration values (unsigned 32 bits, hence bigint); dates are seconds since 1970
-- exactly as the control record's MAC covers them; audit.keys shows both in readable form.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA kmip;
COMMENT ON SCHEMA kmip IS 'Managed objects and the key hierarchy. Written by holdfast_server only.';

CREATE TABLE kmip.object (
    uid              uuid PRIMARY KEY,
    version          bigint NOT NULL CHECK (version > 0),
    domain           bigint NOT NULL,
    owner            uuid NOT NULL,
    object_type      bigint NOT NULL,
    state            bigint NOT NULL CHECK (state BETWEEN 1 AND 6),
    protection       bigint NOT NULL,
    algorithm        bigint NOT NULL,
    length           bigint NOT NULL,
    usage_mask       bigint NOT NULL,
    revocation_reason bigint NOT NULL,
    key_format       bigint NOT NULL,
    initial_date     bigint,
    activation_date  bigint,
    process_start_date bigint,
    protect_stop_date bigint,
    deactivation_date bigint,
    compromise_occurrence_date bigint,
    compromise_date  bigint,
    destroy_date     bigint,
    last_change_date bigint,
    extractable      boolean NOT NULL,
    never_extractable boolean NOT NULL,
    sensitive        boolean NOT NULL,
    always_sensitive boolean NOT NULL,
    control_mac      bytea NOT NULL CHECK (octet_length(control_mac) = 32),
    attributes       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object')
) WITH (fillfactor = 85);
CREATE INDEX object_owner ON kmip.object (owner, uid);
CREATE INDEX object_attributes ON kmip.object USING gin (attributes jsonb_path_ops)
    WITH (fastupdate = on, gin_pending_list_limit = 512);

COMMENT ON TABLE kmip.object IS 'One managed object: its control record in typed columns, the vault''s MAC over them, and all other attributes. A destroyed object stays as a tombstone.';
COMMENT ON COLUMN kmip.object.uid IS 'KMIP Unique Identifier, UUID version 7, hence ordered by time of making';
COMMENT ON COLUMN kmip.object.version IS 'Grows by one with each change; every change names the version it replaces';
COMMENT ON COLUMN kmip.object.domain IS 'policy.domain whose key seals the material';
COMMENT ON COLUMN kmip.object.owner IS 'policy.client that owns the object';
COMMENT ON COLUMN kmip.object.object_type IS 'KMIP Object Type';
COMMENT ON COLUMN kmip.object.state IS 'Stored KMIP State (1 Pre-Active ... 6 Destroyed Compromised); the effective one also depends on dates: kmip.effective_state()';
COMMENT ON COLUMN kmip.object.protection IS '1 TPM-rooted (used in the vault), 2 TPM-resident (never leaves the TPM)';
COMMENT ON COLUMN kmip.object.algorithm IS 'KMIP Cryptographic Algorithm, 0 if none';
COMMENT ON COLUMN kmip.object.length IS 'Cryptographic Length in bits, 0 if none';
COMMENT ON COLUMN kmip.object.usage_mask IS 'KMIP Cryptographic Usage Mask';
COMMENT ON COLUMN kmip.object.revocation_reason IS 'KMIP Revocation Reason Code, 0 if not revoked';
COMMENT ON COLUMN kmip.object.key_format IS 'KMIP Key Format Type of the stored material, 0 if none';
COMMENT ON COLUMN kmip.object.initial_date IS 'Seconds since 1970 UTC, like all dates here; NULL where not set';
COMMENT ON COLUMN kmip.object.activation_date IS 'From when the object is Active';
COMMENT ON COLUMN kmip.object.process_start_date IS 'From when it may be used to process';
COMMENT ON COLUMN kmip.object.protect_stop_date IS 'From when it may no longer be used to protect';
COMMENT ON COLUMN kmip.object.deactivation_date IS 'From when the object is Deactivated';
COMMENT ON COLUMN kmip.object.compromise_occurrence_date IS 'When the compromise is thought to have happened';
COMMENT ON COLUMN kmip.object.compromise_date IS 'When it was told to be compromised';
COMMENT ON COLUMN kmip.object.destroy_date IS 'When it was destroyed';
COMMENT ON COLUMN kmip.object.last_change_date IS 'When an attribute last changed';
COMMENT ON COLUMN kmip.object.extractable IS 'Material may leave the vault';
COMMENT ON COLUMN kmip.object.never_extractable IS 'Material was never extractable';
COMMENT ON COLUMN kmip.object.sensitive IS 'Material may leave only wrapped';
COMMENT ON COLUMN kmip.object.always_sensitive IS 'Material was always sensitive';
COMMENT ON COLUMN kmip.object.control_mac IS 'MAC by the vault over the control record: an edited row is refused';
COMMENT ON COLUMN kmip.object.attributes IS 'All other attributes, by their KMIP JSON names';
COMMENT ON INDEX kmip.object_owner IS 'Locate: the objects of an owner in order';
COMMENT ON INDEX kmip.object_attributes IS 'Locate by any other attribute';

CREATE TABLE kmip.material (
    uid      uuid PRIMARY KEY,
    envelope bytea
);
ALTER TABLE kmip.material ALTER COLUMN envelope SET STORAGE EXTERNAL;
COMMENT ON TABLE kmip.material IS 'Key material, sealed by the vault; apart from kmip.object, so that code that writes attributes cannot write material';
COMMENT ON COLUMN kmip.material.uid IS 'The object it belongs to (bound into the envelope, too)';
COMMENT ON COLUMN kmip.material.envelope IS 'AES-256-GCM under the domain key; overwritten by zeros and set to NULL when the object is destroyed';

CREATE TABLE kmip.name (
    object   uuid NOT NULL,
    position integer NOT NULL,
    domain   bigint NOT NULL,
    owner    uuid NOT NULL,
    type     bigint NOT NULL,
    value    text COLLATE "C" NOT NULL CHECK (octet_length(value) <= 2048),
    live     boolean NOT NULL DEFAULT true
);
CREATE UNIQUE INDEX name_taken ON kmip.name (domain, owner, value) WHERE live;
CREATE INDEX name_object ON kmip.name (object);
COMMENT ON TABLE kmip.name IS 'KMIP Names. Unique for an owner among objects that are not destroyed';
COMMENT ON COLUMN kmip.name.object IS 'The object that has the name';
COMMENT ON COLUMN kmip.name.position IS 'Order among the names of the object, from 0; -1 once it was replaced by other names';
COMMENT ON COLUMN kmip.name.domain IS 'As the object''s';
COMMENT ON COLUMN kmip.name.owner IS 'As the object''s';
COMMENT ON COLUMN kmip.name.type IS 'KMIP Name Type: 1 uninterpreted text, 2 URI';
COMMENT ON COLUMN kmip.name.value IS 'KMIP Name Value';
COMMENT ON COLUMN kmip.name.live IS 'False once the object is destroyed or was given other names: the name is free again';
COMMENT ON INDEX kmip.name_taken IS 'One live object for a name; Locate by name';
COMMENT ON INDEX kmip.name_object IS 'The names of an object';

-- The same rule as control_effective_state() in C; a test compares them.
CREATE FUNCTION kmip.effective_state(state bigint, activation bigint, deactivation bigint, now bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN state IN (1, 2) AND (state = 2 OR activation <= now) THEN
                CASE WHEN deactivation <= now THEN 3 ELSE 2 END
            ELSE state END;
COMMENT ON FUNCTION kmip.effective_state IS 'The KMIP State at a time (seconds): activation and deactivation dates take effect by themselves';

CREATE FUNCTION kmip.refuse_return() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a destroyed object stays destroyed' USING ERRCODE = 'HF003';
END
$$;
COMMENT ON FUNCTION kmip.refuse_return IS 'Trigger: destroyed is final';
CREATE TRIGGER object_destroyed_is_final BEFORE UPDATE ON kmip.object FOR EACH ROW
    WHEN (OLD.state >= 5 AND (NEW.state < 5 OR NEW.version <= OLD.version))
    EXECUTE FUNCTION kmip.refuse_return();
COMMENT ON TRIGGER object_destroyed_is_final ON kmip.object IS 'A tombstone never comes back to life';

-- The vault's key hierarchy: wrapped blobs that only the right TPM opens.
CREATE TABLE kmip.node (
    id         uuid PRIMARY KEY,
    ek_cert    bytea,
    ak_pub     bytea,
    srk_pub    bytea,
    cr_id      bigint NOT NULL,
    cr_priv    bytea,
    pcr_mask   bigint NOT NULL,
    approval   bigint NOT NULL,
    use_policy bytea,
    use_sig    bytea,
    nv_auth    bytea,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE kmip.node IS 'One node, that is one TPM, and the cluster root wrapped for it';
CREATE TABLE kmip.cr (
    id            bigint PRIMARY KEY,
    state         bigint NOT NULL,
    pub           bytea,
    auth_pub      bytea,
    escrow_digest bytea,
    escrow_proof  bytea,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE kmip.cr IS 'Cluster roots: duplicable, policy-only TPM storage keys (public parts)';
CREATE TABLE kmip.cs (
    cr_id      bigint PRIMARY KEY,
    pub        bytea,
    priv       bytea,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE kmip.cs IS 'The cluster secret of a cluster root, sealed under it';
CREATE TABLE kmip.ep (
    epoch      bigint PRIMARY KEY,
    cr_id      bigint NOT NULL,
    state      bigint NOT NULL,
    pub        bytea,
    priv       bytea,
    mac        bytea,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE kmip.ep IS 'Epoch parents, wrapped under a cluster root';
CREATE TABLE kmip.dk (
    domain     bigint NOT NULL,
    epoch      bigint NOT NULL,
    ep_epoch   bigint NOT NULL,
    state      bigint NOT NULL,
    pub        bytea,
    priv       bytea,
    mac        bytea,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, epoch)
);
COMMENT ON TABLE kmip.dk IS 'Domain keys, sealed under an epoch parent';
COMMENT ON COLUMN kmip.node.id IS 'Identifier of the node, also in its local state file';
COMMENT ON COLUMN kmip.node.ek_cert IS 'Endorsement key certificate, DER; NULL where the TPM has none';
COMMENT ON COLUMN kmip.node.ak_pub IS 'Attestation key, TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.node.srk_pub IS 'Storage root key, TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.node.cr_id IS 'The cluster root that cr_priv belongs to';
COMMENT ON COLUMN kmip.node.cr_priv IS 'The cluster root under this node''s storage root, TPM2B_PRIVATE';
COMMENT ON COLUMN kmip.node.pcr_mask IS 'Selected PCRs of the SHA-256 bank, bit n is PCR n';
COMMENT ON COLUMN kmip.node.approval IS 'Value of the approval counter that use_policy was computed for';
COMMENT ON COLUMN kmip.node.use_policy IS 'The approved policy digest';
COMMENT ON COLUMN kmip.node.use_sig IS 'Signature of the approver over it';
COMMENT ON COLUMN kmip.node.nv_auth IS 'Authorisation of the node''s TPM counters, under a key from the cluster secret';
COMMENT ON COLUMN kmip.node.changed_at IS 'When the row was last stored';
COMMENT ON COLUMN kmip.cr.changed_at IS 'When the row was last stored';
COMMENT ON COLUMN kmip.cs.changed_at IS 'When the row was last stored';
COMMENT ON COLUMN kmip.ep.changed_at IS 'When the row was last stored';
COMMENT ON COLUMN kmip.dk.changed_at IS 'When the row was last stored';
COMMENT ON COLUMN kmip.cr.id IS 'Number of the cluster root';
COMMENT ON COLUMN kmip.cr.state IS '1 active, 2 retiring, 3 staged; the same in ep and dk';
COMMENT ON COLUMN kmip.cr.pub IS 'TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.cr.auth_pub IS 'The approver''s public key, TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.cr.escrow_digest IS 'SHA-256 of the escrow file, which itself is never stored here';
COMMENT ON COLUMN kmip.cr.escrow_proof IS 'Proof that the escrow was opened once; NULL before';
COMMENT ON COLUMN kmip.cs.cr_id IS 'Its cluster root';
COMMENT ON COLUMN kmip.cs.pub IS 'TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.cs.priv IS 'TPM2B_PRIVATE, wrapped';
COMMENT ON COLUMN kmip.ep.epoch IS 'Number of the epoch';
COMMENT ON COLUMN kmip.ep.cr_id IS 'Its cluster root';
COMMENT ON COLUMN kmip.ep.state IS 'As in kmip.cr';
COMMENT ON COLUMN kmip.ep.pub IS 'TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.ep.priv IS 'TPM2B_PRIVATE, wrapped';
COMMENT ON COLUMN kmip.ep.mac IS 'MAC over all other fields, key from the cluster secret';
COMMENT ON COLUMN kmip.dk.domain IS 'Its domain';
COMMENT ON COLUMN kmip.dk.epoch IS 'Number of the domain key';
COMMENT ON COLUMN kmip.dk.ep_epoch IS 'The epoch parent that seals it';
COMMENT ON COLUMN kmip.dk.state IS 'As in kmip.cr';
COMMENT ON COLUMN kmip.dk.pub IS 'TPM2B_PUBLIC';
COMMENT ON COLUMN kmip.dk.priv IS 'TPM2B_PRIVATE, wrapped';
COMMENT ON COLUMN kmip.dk.mac IS 'MAC over all other fields, key from the cluster secret';

GRANT USAGE ON SCHEMA kmip TO holdfast_server;
GRANT SELECT, INSERT ON kmip.object, kmip.material, kmip.name TO holdfast_server;
GRANT UPDATE (version, state, usage_mask, revocation_reason, activation_date, process_start_date,
              protect_stop_date, deactivation_date, compromise_occurrence_date, compromise_date,
              destroy_date, last_change_date, extractable, never_extractable, sensitive,
              always_sensitive, control_mac, attributes) ON kmip.object TO holdfast_server;
GRANT UPDATE (envelope) ON kmip.material TO holdfast_server;
GRANT UPDATE (live, position) ON kmip.name TO holdfast_server;
GRANT SELECT, INSERT, UPDATE ON kmip.node, kmip.cr, kmip.cs, kmip.ep, kmip.dk TO holdfast_server;
GRANT EXECUTE ON FUNCTION kmip.effective_state TO holdfast_server;
-- migrations the server may look at, to know whether it fits
GRANT SELECT ON holdfast.migration TO holdfast_server, holdfast_auditor, holdfast_policy;
