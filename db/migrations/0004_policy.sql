-- Who may come in: domains, clients, their credentials (how a certificate names them) and certificates.
-- Changed only through the functions of this schema, each of which writes its own audit row.
CREATE SCHEMA policy;
COMMENT ON SCHEMA policy IS 'Clients and how they are known. Change it with the functions client_add(), certificate_add(), client_revoke(), certificate_revoke(), client_enable(); each is audited.';

CREATE TABLE policy.domain (
    id         bigint PRIMARY KEY CHECK (id > 0),
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE policy.domain IS 'Tenants; each has a domain key of its own';
COMMENT ON COLUMN policy.domain.id IS 'Number of the domain, as in kmip.object and kmip.dk';
COMMENT ON COLUMN policy.domain.name IS 'Its name';
COMMENT ON COLUMN policy.domain.created_at IS 'When it was made';
INSERT INTO policy.domain (id, name) VALUES (1, 'default');

CREATE TABLE policy.client (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 255),
    domain     bigint NOT NULL DEFAULT 1 REFERENCES policy.domain,
    enabled    boolean NOT NULL DEFAULT true,
    standing   bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE policy.client IS 'Who may use the server';
COMMENT ON COLUMN policy.client.id IS 'Identifier of the client; owner of its objects';
COMMENT ON COLUMN policy.client.name IS 'Name for people';
COMMENT ON COLUMN policy.client.domain IS 'Its domain';
COMMENT ON COLUMN policy.client.enabled IS 'False: nothing is answered to it';
COMMENT ON COLUMN policy.client.standing IS 'Grows with each change of the client, its credentials or certificates; every commit re-checks it, so that a change holds at once';
COMMENT ON COLUMN policy.client.created_at IS 'When it was added';

CREATE TABLE policy.credential (
    issuer     text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('uri', 'dns', 'email', 'subject')),
    value      text NOT NULL,
    client     uuid NOT NULL REFERENCES policy.client,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, kind, value)
);
CREATE INDEX credential_client ON policy.credential (client);
COMMENT ON TABLE policy.credential IS 'How a certificate names a client: issuer and a subject alternative name, or the full subject; never the common name alone';
COMMENT ON COLUMN policy.credential.issuer IS 'Issuer of the certificate, RFC 2253 text';
COMMENT ON COLUMN policy.credential.kind IS 'uri, dns, email or subject';
COMMENT ON COLUMN policy.credential.value IS 'The name itself';
COMMENT ON COLUMN policy.credential.client IS 'The client it stands for';
COMMENT ON COLUMN policy.credential.created_at IS 'When it was added';
COMMENT ON INDEX policy.credential_client IS 'The credentials of a client';

CREATE TABLE policy.certificate (
    fingerprint text PRIMARY KEY,
    issuer      text NOT NULL,
    serial      text NOT NULL,
    client      uuid NOT NULL REFERENCES policy.client,
    not_before  timestamptz,
    not_after   timestamptz,
    revoked_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, serial)
);
CREATE INDEX certificate_client ON policy.certificate (client);
COMMENT ON TABLE policy.certificate IS 'Certificates that were issued or accepted for clients';
COMMENT ON COLUMN policy.certificate.fingerprint IS 'SHA-256 of the certificate, lower-case hexadecimal';
COMMENT ON COLUMN policy.certificate.issuer IS 'RFC 2253 text';
COMMENT ON COLUMN policy.certificate.serial IS 'Lower-case hexadecimal';
COMMENT ON COLUMN policy.certificate.client IS 'Whose it is';
COMMENT ON COLUMN policy.certificate.not_before IS 'Start of its validity';
COMMENT ON COLUMN policy.certificate.not_after IS 'End of its validity';
COMMENT ON COLUMN policy.certificate.revoked_at IS 'When it was revoked; NULL if not';
COMMENT ON COLUMN policy.certificate.created_at IS 'When it was added';
COMMENT ON INDEX policy.certificate_client IS 'The certificates of a client';

GRANT USAGE ON SCHEMA policy TO holdfast_server, holdfast_policy;
GRANT SELECT ON policy.domain, policy.client, policy.credential, policy.certificate
    TO holdfast_server, holdfast_policy;
