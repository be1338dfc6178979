/* What the parts of the certificate authority share; see ca.h. */
#ifndef CERTS_CA_INT_H
#define CERTS_CA_INT_H

#include <openssl/x509v3.h>

#include "certs/ca.h"

struct ca {
    EVP_PKEY *key;
    X509 *cert;
    char *dir;
    int lock; /* the folder, locked: one writer at a time reads, adds to and rewrites the CRL */
};

/* DIR/name in out (of PATH_MAX bytes). RC_IO when it is too long. */
rc_t ca_path(const char *dir, const char *name, char *out);
/* Common start of every certificate: version 3, random serial, dates, issuer, subject CN, key. */
rc_t ca_cert_begin(X509 *cert, X509 *issuer, const char *common_name, EVP_PKEY *key, unsigned days);
/* Adds an extension from its configuration text. issuer may be cert itself. */
rc_t ca_ext_add(X509 *cert, X509 *issuer, int nid, const char *value);
/* Fails with a static text for people. */
static inline rc_t ca_fail(rc_t rc, const char **why, const char *text)
{
    if (why)
        *why = text;
    return rc;
}

#endif
