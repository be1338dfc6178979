/*
 * Certificates for tests, also such as no honest CA would issue: expired, weak, with a NUL in a
 * name. Every function ends the test on failure.
 */
#ifndef TESTS_SUPPORT_PKI_H
#define TESTS_SUPPORT_PKI_H

#include <openssl/x509v3.h>

#include "proto/base/buf.h"

/* One name of the subject alternative name, by value: any byte may stand in it. */
struct pki_san {
    int type; /* GEN_URI, GEN_DNS, GEN_EMAIL, GEN_IPADD */
    const char *data;
    size_t len;
};

struct pki_spec {
    const char *cn;      /* NULL: empty subject */
    size_t cn_len;       /* 0: strlen */
    const char *purpose; /* "clientAuth" and so on; NULL: no extended key usage */
    bool ca;
    long from_s, until_s;       /* from now; both 0: an hour back to a day ahead */
    const struct pki_san *sans; /* ended by a NULL data, or NULL */
    const char *digest;         /* NULL: SHA256 */
};

/* kind: "P-256", "P-384", "RSA1024", "RSA2048", "ED25519". */
EVP_PKEY *pki_key(const char *kind);
/* issuer NULL: self-signed. */
X509 *pki_cert(const struct pki_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key);
/* An empty or one-entry CRL valid from now on for `until_s` seconds (may be past). */
X509_CRL *pki_crl(X509 *issuer, EVP_PKEY *issuer_key, X509 *revoked, long until_s);
void pki_cert_pem(X509 *cert, struct buf *out);
void pki_crl_pem(X509_CRL *crl, struct buf *out);
void pki_key_pem(EVP_PKEY *key, struct buf *out);
/* A request for cn, signed with the digest; spoil: then damaged in its signature. */
void pki_csr_pem(EVP_PKEY *key, const char *cn, const char *digest, bool spoil, struct buf *out);

#endif
