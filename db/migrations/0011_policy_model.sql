-- The model of policy: who (domains, clients, groups, roles) may do what (permissions) to which objects (rules),
-- within which bounds (constraints). Tables only; the functions that change them follow.
--
-- Whoever changes what decides about a client raises its standing in the same transaction: every commit of a worker
-- compares the standing it decided by, so no request that comes after the change is decided by the old policy.

-- The role of the forwarder (0031_forward.sql), here, where nothing has been changed yet: roles are made by whoever
-- migrates, and the owner cannot.
SET LOCAL ROLE NONE;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_forward') THEN
        BEGIN
            CREATE ROLE holdfast_forward LOGIN;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'the role holdfast_forward is missing and % may not make it: run holdfast db migrate --database CONNINFO as a role that may create roles', current_user;
        END;
        COMMENT ON ROLE holdfast_forward IS 'Holdfast: forwards the audit trail; reads audit rows and moves its own cursors, through functions alone';
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO holdfast_forward', current_database());
    IF NOT has_database_privilege('holdfast_forward', current_database(), 'CONNECT') THEN
        RAISE EXCEPTION 'the role holdfast_forward may not connect to this database and % may not let it: run holdfast db migrate --database CONNINFO as the owner of the database', current_user;
    END IF;
END
$$;
SET LOCAL ROLE holdfast_owner;

ALTER TABLE policy.domain
    ADD COLUMN enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN max_clients bigint CHECK (max_clients >= 0),
    ADD COLUMN max_objects bigint CHECK (max_objects >= 0),
    ADD COLUMN approval_hours integer NOT NULL DEFAULT 24 CHECK (approval_hours BETWEEN 1 AND 8760),
    ADD COLUMN keyed_at timestamptz;
COMMENT ON COLUMN policy.domain.enabled IS 'False: nothing is answered to its clients';
COMMENT ON COLUMN policy.domain.max_clients IS 'Most clients it may have; NULL: any number';
COMMENT ON COLUMN policy.domain.max_objects IS 'Most objects, destroyed ones not counted; NULL: any number';
COMMENT ON COLUMN policy.domain.approval_hours IS 'Hours from asking until which a request may be approved and used';
COMMENT ON COLUMN policy.domain.keyed_at IS 'Since when its domain key is stored and opened by a vault; NULL: it waits for its key, which a running server makes';
UPDATE policy.domain d SET keyed_at = now() WHERE EXISTS (SELECT FROM kmip.dk k WHERE k.domain = d.id);

ALTER TABLE policy.client
    ADD COLUMN second_factor boolean NOT NULL DEFAULT false,
    ADD COLUMN legacy_tls boolean NOT NULL DEFAULT false,
    ADD COLUMN quirks text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN policy.client.second_factor IS 'True: each request must carry a KMIP Credential that is registered for the client';
COMMENT ON COLUMN policy.client.legacy_tls IS 'True: it may also come in by the listener with old cipher suites';
COMMENT ON COLUMN policy.client.quirks IS 'Names of policy.quirk: where this client needs more lenient answers than the specification gives';

CREATE TABLE policy.quirk (
    name text PRIMARY KEY,
    what text NOT NULL
);
COMMENT ON TABLE policy.quirk IS 'Deviations that a client may need, by name; policy.client.quirks chooses among them';
COMMENT ON COLUMN policy.quirk.name IS 'As in policy.client.quirks';
COMMENT ON COLUMN policy.quirk.what IS 'What is done otherwise, and for whom';

-- Groups: clustered hosts and arrays that share objects.
CREATE TABLE policy.client_group (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    domain     bigint NOT NULL REFERENCES policy.domain,
    name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255),
    shares     boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (domain, name)
);
COMMENT ON TABLE policy.client_group IS 'Groups of clients of one domain';
COMMENT ON COLUMN policy.client_group.id IS 'Identifier of the group';
COMMENT ON COLUMN policy.client_group.domain IS 'Its domain, which is also that of all its members';
COMMENT ON COLUMN policy.client_group.name IS 'Its name';
COMMENT ON COLUMN policy.client_group.shares IS 'True: rules for the objects of the group (owner ''group'') hold among its members';
COMMENT ON COLUMN policy.client_group.created_at IS 'When it was made';

CREATE TABLE policy.group_member (
    client_group uuid NOT NULL REFERENCES policy.client_group ON DELETE CASCADE,
    client       uuid NOT NULL REFERENCES policy.client,
    added_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_group, client)
);
CREATE INDEX group_member_client ON policy.group_member (client);
COMMENT ON TABLE policy.group_member IS 'Which clients are in which groups';
COMMENT ON COLUMN policy.group_member.client_group IS 'The group';
COMMENT ON COLUMN policy.group_member.client IS 'Its member';
COMMENT ON COLUMN policy.group_member.added_at IS 'Since when';
COMMENT ON INDEX policy.group_member_client IS 'The groups of a client';

-- Roles: names for what clients and groups have in common as to rules; they share nothing.
CREATE TABLE policy.role (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    domain     bigint NOT NULL REFERENCES policy.domain,
    name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (domain, name)
);
COMMENT ON TABLE policy.role IS 'Roles of a domain: rules may be given to a role instead of to each client';
COMMENT ON COLUMN policy.role.id IS 'Identifier of the role';
COMMENT ON COLUMN policy.role.domain IS 'Its domain';
COMMENT ON COLUMN policy.role.name IS 'Its name';
COMMENT ON COLUMN policy.role.created_at IS 'When it was made';

CREATE TABLE policy.role_member (
    role         uuid NOT NULL REFERENCES policy.role ON DELETE CASCADE,
    client       uuid REFERENCES policy.client,
    client_group uuid REFERENCES policy.client_group ON DELETE CASCADE,
    added_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(client, client_group) = 1)
);
CREATE UNIQUE INDEX role_member_client ON policy.role_member (client, role) WHERE client IS NOT NULL;
CREATE UNIQUE INDEX role_member_group ON policy.role_member (client_group, role) WHERE client_group IS NOT NULL;
CREATE INDEX role_member_role ON policy.role_member (role);
COMMENT ON TABLE policy.role_member IS 'Who has a role: a client, or all members of a group';
COMMENT ON COLUMN policy.role_member.role IS 'The role';
COMMENT ON COLUMN policy.role_member.client IS 'A client that has it';
COMMENT ON COLUMN policy.role_member.client_group IS 'Or a group whose members have it';
COMMENT ON COLUMN policy.role_member.added_at IS 'Since when';
COMMENT ON INDEX policy.role_member_client IS 'The roles of a client';
COMMENT ON INDEX policy.role_member_group IS 'The roles of a group';
COMMENT ON INDEX policy.role_member_role IS 'Who has a role';

-- What can be permitted: the same table as in server/policy/policy.h; a test compares them.
CREATE TABLE policy.permission (
    name         text PRIMARY KEY,
    class        text NOT NULL,
    needs_object boolean NOT NULL
);
COMMENT ON TABLE policy.permission IS 'Permissions, one for each KMIP operation; in rules "@class" names all of a class, "*" all';
COMMENT ON COLUMN policy.permission.name IS 'As in rules: "get", "create-key-pair"';
COMMENT ON COLUMN policy.permission.class IS 'make, read, change, life-cycle, use or server';
COMMENT ON COLUMN policy.permission.needs_object IS 'Whether it is about an object that exists';
INSERT INTO policy.permission (name, class, needs_object) VALUES
    ('query', 'server', false), ('log', 'server', false), ('interop', 'server', false),
    ('create', 'make', false), ('create-key-pair', 'make', false), ('register', 'make', false),
    ('locate', 'read', true), ('use-template', 'read', true), ('get', 'read', true), ('get-attributes', 'read', true),
    ('get-attribute-list', 'read', true), ('check', 'read', true),
    ('add-attribute', 'change', true), ('modify-attribute', 'change', true), ('delete-attribute', 'change', true),
    ('set-attribute', 'change', true),
    ('activate', 'life-cycle', true), ('revoke', 'life-cycle', true), ('destroy', 'life-cycle', true),
    ('encrypt', 'use', true), ('decrypt', 'use', true);

-- Rules. A denial that matches wins over everything. What no rule allows is refused. What one allows waits where a rule
-- that matches wants an approval, of several for the one that wants most. Of equals within an effect the rule with the
-- lowest number is named as the one that decided.
CREATE TABLE policy.rule (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain          bigint NOT NULL REFERENCES policy.domain,
    policy          text NOT NULL DEFAULT '*' CHECK (octet_length(policy) BETWEEN 1 AND 255),
    effect          text NOT NULL CHECK (effect IN ('allow', 'deny', 'approval')),
    client          uuid REFERENCES policy.client,
    client_group    uuid REFERENCES policy.client_group,
    role            uuid REFERENCES policy.role,
    permissions     text[] NOT NULL CHECK (cardinality(permissions) BETWEEN 1 AND 64),
    owner           text NOT NULL DEFAULT 'any' CHECK (owner IN ('self', 'group', 'any')),
    object          uuid,
    object_type     bigint,
    object_group    text,
    name_pattern    text CHECK (octet_length(name_pattern) BETWEEN 1 AND 1024),
    attribute_name  text,
    attribute_value text,
    valid_from      timestamptz,
    valid_until     timestamptz,
    approvals       integer NOT NULL DEFAULT 1 CHECK (approvals BETWEEN 1 AND 8),
    reason          text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1024),
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      text NOT NULL DEFAULT session_user,
    CHECK (num_nonnulls(client, client_group, role) <= 1),
    CHECK ((attribute_name IS NULL) = (attribute_value IS NULL)),
    CHECK (valid_from < valid_until)
);
CREATE INDEX rule_domain ON policy.rule (domain);
CREATE INDEX rule_client ON policy.rule (client) WHERE client IS NOT NULL;
CREATE INDEX rule_group ON policy.rule (client_group) WHERE client_group IS NOT NULL;
CREATE INDEX rule_role ON policy.rule (role) WHERE role IS NOT NULL;
COMMENT ON TABLE policy.rule IS 'Who may do what to which objects. A denial wins over all; what no rule allows is refused; what is allowed waits where a rule wants an approval. All selectors of a rule must match.';
COMMENT ON COLUMN policy.rule.id IS 'Number of the rule, as policy.explain() names it';
COMMENT ON COLUMN policy.rule.domain IS 'The domain in which it holds; nothing crosses domains';
COMMENT ON COLUMN policy.rule.policy IS 'Holds for objects with this KMIP Operation Policy Name ("default" where an object has none); "*" for all objects';
COMMENT ON COLUMN policy.rule.effect IS 'allow; deny; approval: what another rule allows waits for administrators to approve it';
COMMENT ON COLUMN policy.rule.client IS 'For this client; with client, client_group and role all NULL: for every client of the domain';
COMMENT ON COLUMN policy.rule.client_group IS 'For the members of this group';
COMMENT ON COLUMN policy.rule.role IS 'For those who have this role';
COMMENT ON COLUMN policy.rule.permissions IS 'Names of policy.permission, "@class", or "*"';
COMMENT ON COLUMN policy.rule.owner IS 'self: objects of the asking client; group: of it and of members of a group that both are in and that shares; any: of all clients of the domain';
COMMENT ON COLUMN policy.rule.object IS 'Only this object';
COMMENT ON COLUMN policy.rule.object_type IS 'Only objects of this KMIP Object Type';
COMMENT ON COLUMN policy.rule.object_group IS 'Only objects of this KMIP Object Group';
COMMENT ON COLUMN policy.rule.name_pattern IS 'Only objects one of whose names matches: * is any text, ? any character, all else itself';
COMMENT ON COLUMN policy.rule.attribute_name IS 'Only objects that have this attribute (a text attribute, custom or vendor''s) with the value attribute_value';
COMMENT ON COLUMN policy.rule.attribute_value IS 'See attribute_name';
COMMENT ON COLUMN policy.rule.valid_from IS 'From when; NULL: since ever';
COMMENT ON COLUMN policy.rule.valid_until IS 'Up to when, this instant excluded; NULL: without end';
COMMENT ON COLUMN policy.rule.approvals IS 'Effect approval: how many administrators must approve';
COMMENT ON COLUMN policy.rule.reason IS 'Why it stands here, for those who come later';
COMMENT ON COLUMN policy.rule.created_at IS 'When it was made';
COMMENT ON COLUMN policy.rule.created_by IS 'By whom: database user and operator';
COMMENT ON INDEX policy.rule_domain IS 'The rules of a domain';
COMMENT ON INDEX policy.rule_client IS 'The rules for a client';
COMMENT ON INDEX policy.rule_group IS 'The rules for a group';
COMMENT ON INDEX policy.rule_role IS 'The rules for a role';

-- What each domain begins with: an owner may do all to what is its own, and so may those who share with it.
CREATE FUNCTION policy.first_rules(p_domain bigint) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO policy.rule (domain, effect, permissions, owner, reason) VALUES
        (p_domain, 'allow', '{*}', 'self', 'owners do all with their own objects (first rule of every domain)'),
        (p_domain, 'allow', '{*}', 'group', 'members of a group that shares do all with each other''s objects (second rule of every domain)');
    INSERT INTO policy.rule (domain, policy, effect, permissions, owner, reason) VALUES
        (p_domain, 'public', 'allow', '{locate,check,get,get-attributes,get-attribute-list}', 'any',
         'objects with the Operation Policy Name "public" are for all of the domain to read (third rule of every domain)');
$$;
COMMENT ON FUNCTION policy.first_rules IS 'The rules that a new domain begins with; internal';
SELECT policy.first_rules(id) FROM policy.domain;
-- Objects that were made before there were rules were for their owners alone, whatever their policy's name.
DELETE FROM policy.rule r WHERE r.policy = 'public'
   AND EXISTS (SELECT FROM kmip.object o WHERE o.domain = r.domain AND o.attributes ->> 'OperationPolicyName' = 'public');

-- Bounds for what is made and done. Of all rows that match a request every one must hold.
CREATE TABLE policy.bound (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain              bigint NOT NULL REFERENCES policy.domain,
    client              uuid REFERENCES policy.client,
    client_group        uuid REFERENCES policy.client_group,
    role                uuid REFERENCES policy.role,
    object_type         bigint,
    algorithm           bigint,
    algorithms          bigint[],
    least_length        bigint CHECK (least_length >= 0),
    most_length         bigint CHECK (most_length >= 0),
    permitted_mask      bigint,
    required_mask       bigint,
    protections         bigint[],
    mandatory           text[],
    most_life_days      integer CHECK (most_life_days > 0),
    name_pattern        text CHECK (octet_length(name_pattern) BETWEEN 1 AND 1024),
    destroy_after_days  integer CHECK (destroy_after_days > 0),
    most_objects        bigint CHECK (most_objects >= 0),
    requests_per_second integer CHECK (requests_per_second > 0),
    reason              text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1024),
    created_at          timestamptz NOT NULL DEFAULT now(),
    created_by          text NOT NULL DEFAULT session_user,
    CHECK (num_nonnulls(client, client_group, role) <= 1)
);
CREATE INDEX bound_domain ON policy.bound (domain);
COMMENT ON TABLE policy.bound IS 'Constraints: bounds for objects that are made or changed, for their destruction, and for how much a client may ask. Every row that matches must hold.';
COMMENT ON COLUMN policy.bound.id IS 'Number of the constraint';
COMMENT ON COLUMN policy.bound.domain IS 'The domain in which it holds';
COMMENT ON COLUMN policy.bound.client IS 'For this client; with client, client_group and role all NULL: for every client of the domain';
COMMENT ON COLUMN policy.bound.client_group IS 'For the members of this group';
COMMENT ON COLUMN policy.bound.role IS 'For those who have this role';
COMMENT ON COLUMN policy.bound.object_type IS 'Only for objects of this KMIP Object Type; NULL: all';
COMMENT ON COLUMN policy.bound.algorithm IS 'Only for objects of this KMIP Cryptographic Algorithm; NULL: all';
COMMENT ON COLUMN policy.bound.algorithms IS 'The Cryptographic Algorithm must be one of these';
COMMENT ON COLUMN policy.bound.least_length IS 'Least Cryptographic Length, bits';
COMMENT ON COLUMN policy.bound.most_length IS 'Greatest Cryptographic Length, bits';
COMMENT ON COLUMN policy.bound.permitted_mask IS 'No other bits of the Cryptographic Usage Mask than these';
COMMENT ON COLUMN policy.bound.required_mask IS 'All these bits of the Cryptographic Usage Mask';
COMMENT ON COLUMN policy.bound.protections IS 'The protection level must be one of these: 1 TPM-rooted, 2 TPM-resident';
COMMENT ON COLUMN policy.bound.mandatory IS 'Attributes that the maker must give, by their KMIP names';
COMMENT ON COLUMN policy.bound.most_life_days IS 'Most days from the Activation Date (or Initial Date) to the Deactivation Date, which must be given';
COMMENT ON COLUMN policy.bound.name_pattern IS 'Each name must match: * is any text, ? any character';
COMMENT ON COLUMN policy.bound.destroy_after_days IS 'An object may be destroyed so many days after it was deactivated or compromised, or, where it never was active, made';
COMMENT ON COLUMN policy.bound.most_objects IS 'Most objects that one client may own, destroyed ones not counted';
COMMENT ON COLUMN policy.bound.requests_per_second IS 'Most requests of one client a second, for each node';
COMMENT ON COLUMN policy.bound.reason IS 'Why it stands here';
COMMENT ON COLUMN policy.bound.created_at IS 'When it was made';
COMMENT ON COLUMN policy.bound.created_by IS 'By whom';
COMMENT ON INDEX policy.bound_domain IS 'The constraints of a domain';

-- Attributes that new objects get where the maker gives none.
CREATE TABLE policy.object_default (
    domain      bigint NOT NULL REFERENCES policy.domain,
    object_type bigint NOT NULL,
    attributes  jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
    reason      text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1024),
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text NOT NULL DEFAULT session_user,
    PRIMARY KEY (domain, object_type)
);
COMMENT ON TABLE policy.object_default IS 'Defaults: attributes that a new object gets where its maker gives none';
COMMENT ON COLUMN policy.object_default.domain IS 'The domain in which it holds';
COMMENT ON COLUMN policy.object_default.object_type IS 'For objects of this KMIP Object Type';
COMMENT ON COLUMN policy.object_default.attributes IS 'By their KMIP JSON names, as in kmip.object.attributes; also Cryptographic Algorithm, Cryptographic Length and Cryptographic Usage Mask';
COMMENT ON COLUMN policy.object_default.reason IS 'Why it stands here';
COMMENT ON COLUMN policy.object_default.created_at IS 'When it was made';
COMMENT ON COLUMN policy.object_default.created_by IS 'By whom';

-- Second factors. A password is kept as its scrypt hash only.
CREATE TABLE policy.factor (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client     uuid NOT NULL REFERENCES policy.client,
    kind       text NOT NULL CHECK (kind IN ('password', 'device')),
    name       text NOT NULL DEFAULT '' CHECK (octet_length(name) <= 1024),
    device     jsonb,
    salt       bytea,
    cost_log2  integer CHECK (cost_log2 BETWEEN 10 AND 24),
    block_size integer CHECK (block_size BETWEEN 1 AND 32),
    parallel   integer CHECK (parallel BETWEEN 1 AND 16),
    hash       bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (kind <> 'password' OR num_nulls(salt, cost_log2, block_size, parallel, hash) = 0)
);
CREATE INDEX factor_client ON policy.factor (client);
COMMENT ON TABLE policy.factor IS 'KMIP Credentials registered for a client, beside its certificates: user name and password, or the facts of a device';
COMMENT ON COLUMN policy.factor.id IS 'Number of the factor';
COMMENT ON COLUMN policy.factor.client IS 'Whose it is';
COMMENT ON COLUMN policy.factor.kind IS 'password (Username and Password) or device (Device)';
COMMENT ON COLUMN policy.factor.name IS 'Username of the credential';
COMMENT ON COLUMN policy.factor.device IS 'Device: the fields that must be the same, by their KMIP names; a password among them is kept as hash below';
COMMENT ON COLUMN policy.factor.salt IS 'Random salt of the hash';
COMMENT ON COLUMN policy.factor.cost_log2 IS 'scrypt cost N as a power of two (RFC 7914)';
COMMENT ON COLUMN policy.factor.block_size IS 'scrypt r';
COMMENT ON COLUMN policy.factor.parallel IS 'scrypt p';
COMMENT ON COLUMN policy.factor.hash IS 'scrypt of the password, 32 bytes';
COMMENT ON COLUMN policy.factor.created_at IS 'When it was added';
COMMENT ON INDEX policy.factor_client IS 'The factors of a client';

-- Four eyes: what a client asked for and administrators must approve first.
CREATE TABLE policy.request (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain      bigint NOT NULL REFERENCES policy.domain,
    client      uuid NOT NULL REFERENCES policy.client,
    permission  text NOT NULL REFERENCES policy.permission,
    object      uuid NOT NULL,
    rule        bigint NOT NULL,
    needed      integer NOT NULL CHECK (needed BETWEEN 1 AND 8),
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'refused', 'used', 'expired')),
    asked_at    timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    ended_at    timestamptz
);
CREATE UNIQUE INDEX request_open ON policy.request (client, permission, object) WHERE state IN ('waiting', 'approved');
COMMENT ON TABLE policy.request IS 'Requests that need the approval of administrators (rules with the effect approval). A client asks, is refused with a hint, and asks again once it is approved; one approval serves one operation';
COMMENT ON COLUMN policy.request.id IS 'Number of the request: policy.approve(id, ...)';
COMMENT ON COLUMN policy.request.domain IS 'The domain';
COMMENT ON COLUMN policy.request.client IS 'Who asked';
COMMENT ON COLUMN policy.request.permission IS 'For what';
COMMENT ON COLUMN policy.request.object IS 'To which object';
COMMENT ON COLUMN policy.request.rule IS 'The rule that wants the approval';
COMMENT ON COLUMN policy.request.needed IS 'How many administrators must approve';
COMMENT ON COLUMN policy.request.state IS 'waiting; approved: may be done once; refused; used: was done; expired';
COMMENT ON COLUMN policy.request.asked_at IS 'When it was asked first';
COMMENT ON COLUMN policy.request.expires_at IS 'Until when it may be approved and used';
COMMENT ON COLUMN policy.request.ended_at IS 'When it was used, refused or expired';
COMMENT ON INDEX policy.request_open IS 'One open request for the same thing';

CREATE TABLE policy.approval (
    request  bigint NOT NULL REFERENCES policy.request,
    approver text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    reason   text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1024),
    PRIMARY KEY (request, approver)
);
COMMENT ON TABLE policy.approval IS 'Who approved which request';
COMMENT ON COLUMN policy.approval.request IS 'The request';
COMMENT ON COLUMN policy.approval.approver IS 'Database user, of holdfast_policy with the operator; each counts once';
COMMENT ON COLUMN policy.approval.at IS 'When';
COMMENT ON COLUMN policy.approval.reason IS 'Why';

REVOKE ALL ON FUNCTION policy.first_rules FROM PUBLIC;
GRANT SELECT ON policy.quirk, policy.client_group, policy.group_member, policy.role, policy.role_member,
    policy.permission, policy.rule, policy.bound, policy.object_default, policy.request, policy.approval
    TO holdfast_server, holdfast_policy;
-- Hashes of passwords are for the server alone.
GRANT SELECT ON policy.factor TO holdfast_server;
GRANT SELECT (id, client, kind, name, device, created_at) ON policy.factor TO holdfast_policy;
