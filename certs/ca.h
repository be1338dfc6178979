/*
 * The private certificate authority: one self-signed CA in a folder that only root reads. Makes
 * server and client certificates and the CRL. Called by the command line, never by a worker; knows
 * no database: who is a client, and which serial numbers are revoked, the caller tells.
 *
 * Files in the folder: ca.key (0600), ca.pem (0644), crl.pem (0644). Profiles follow RFC 5280:
 * critical basicConstraints and keyUsage, key identifiers, random 127-bit serial numbers, SHA-256.
 */
#ifndef CERTS_CA_H
#define CERTS_CA_H

#include <openssl/x509.h>

#include "certs/identity.h"
#include "certs/pem.h"
#include "proto/base/buf.h"

struct ca;

enum {
    CA_DAYS = 3650, /* validity of the CA itself */
    CA_SERVER_DAYS = 397,
    CA_CLIENT_DAYS = 730,
    CA_CRL_DAYS = 3650,        /* the CRL is rewritten at each revocation, not by the calendar */
    CA_CLIENT_NAME_BYTES = 64, /* longest client name (RFC 5280: ub-common-name) */
    CA_SANS = 32,
};

#define CA_CLIENT_URI "urn:holdfast:client:" /* followed by the client's name */

/* Where relying parties find CRL and CA; NULL: the extension is left out. */
struct ca_links {
    const char *crl_url; /* CRL Distribution Point */
    const char *ca_url;  /* Authority Information Access: CA issuers */
};

struct ca_options {
    const char *name; /* common name, NULL: "Holdfast CA" */
    enum cert_key key;
    unsigned days; /* 0: CA_DAYS */
};

/* A certificate as issued, with what the caller stores about it. Free with ca_issued_free(). */
struct ca_issued {
    struct buf cert_pem;
    struct buf key_pem; /* secret; empty when the key came from a CSR */
    struct cert_identity identity;
};

/*
 * Makes the folder (0700) when it is not there, the CA's key, its certificate and an empty CRL.
 * RC_CONFLICT when there is a CA already; RC_IO; RC_CRYPTO. `why`, here and below, may be NULL and
 * gets a static text on failure.
 */
rc_t ca_init(const char *dir, const struct ca_options *options, const char **why);
/* Opens the CA: key and certificate must belong together. RC_NOT_FOUND, RC_CONFIG, RC_BAD_VALUE. */
rc_t ca_open(const char *dir, struct ca **out, const char **why);
void ca_close(struct ca **ca);
/* Borrowed. */
X509 *ca_cert(const struct ca *ca);
/* Appends the CA's certificate as PEM. */
rc_t ca_cert_pem(const struct ca *ca, struct buf *out);

/* A client's name: 1 to 64 of A-Z a-z 0-9 . _ - , first one a letter or digit. RC_BAD_VALUE. */
rc_t ca_client_name_check(const char *name);

struct ca_client_request {
    const char *name;     /* becomes the common name and the URI urn:holdfast:client:NAME */
    struct bytes csr_pem; /* empty: a key is made; else only the CSR's public key is used */
    enum cert_key key;    /* kind of the key made */
    unsigned days;        /* 0: CA_CLIENT_DAYS; never beyond the CA's own end */
    struct ca_links links;
};

/*
 * A client certificate: EKU clientAuth, SAN URI. A CSR must be signed by its own key with a digest
 * of 112 bits or more, and the key be strong enough (cert_key_check). RC_BAD_VALUE, RC_CRYPTO.
 */
rc_t ca_issue_client(struct ca *ca, const struct ca_client_request *request, struct ca_issued *out,
                     const char **why);

struct ca_server_request {
    const char *const
        *hosts; /* DNS names and IP addresses in text; at least one, at most CA_SANS */
    size_t host_count;
    struct bytes key_pem; /* empty: a key is made; else the key to keep (renewal) */
    enum cert_key key;
    unsigned days; /* 0: CA_SERVER_DAYS */
    struct ca_links links;
};

/* A server certificate: EKU serverAuth, SANs of the hosts. RC_BAD_VALUE for a host that is neither.
 */
rc_t ca_issue_server(struct ca *ca, const struct ca_server_request *request, struct ca_issued *out,
                     const char **why);
/*
 * A successor of a server certificate: the same names, a new key of the same kind, a new serial.
 * days as above. The old one must be of this CA (RC_BAD_VALUE).
 */
rc_t ca_renew_server(struct ca *ca, struct bytes old_cert_pem, unsigned days,
                     const struct ca_links *links, struct ca_issued *out, const char **why);
void ca_issued_free(struct ca_issued *issued);

/* One revoked certificate. */
struct ca_revoked {
    const char *serial; /* as cert_identity tells it */
    int64_t when;       /* seconds since 1970 UTC */
    int reason;         /* CRLReason of RFC 5280, 5.3.1; CRL_REASON_UNSPECIFIED (0) leaves it out */
};

/*
 * Builds the CRL of all entries given and all that stand in the present crl.pem (a revocation is
 * never taken back), numbers it one above the present one, and appends it as PEM. days 0:
 * CA_CRL_DAYS.
 */
rc_t ca_crl_build(struct ca *ca, const struct ca_revoked *entries, size_t count, unsigned days,
                  struct buf *out, const char **why);
/* ca_crl_build(), then replaces DIR/crl.pem in one step. */
rc_t ca_crl_write(struct ca *ca, const struct ca_revoked *entries, size_t count, unsigned days,
                  const char **why);

#endif
