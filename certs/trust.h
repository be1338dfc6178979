/*
 * Whom we believe: a set of CA certificates and CRLs, and the one check of a client's certificate
 * against them. TLS handshakes and the later checks of open connections use the same rules: chain
 * of at most depth 3 to a self-signed CA of the set, valid now, purpose TLS client, keys and
 * signatures of at least 112 bits (RSA 2,048 to 8,192), and, once a CRL is given, not revoked.
 */
#ifndef CERTS_TRUST_H
#define CERTS_TRUST_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum {
    TRUST_DEPTH = 3,
    TRUST_SECURITY_LEVEL = 2, /* OpenSSL's: at least 112 bits */
    TRUST_RSA_MIN = 2048,     /* bits */
    TRUST_RSA_MAX = 8192,
    TRUST_SEEN_S = 30, /* so long a client's certificate that was found good in a handshake needs no other look */
};

struct trust;

/*
 * Parses the CA bundle (PEM, at least one certificate) and the CRLs (PEM; empty: no revocation
 * check). When there are CRLs, the issuer of a client's certificate must have a valid one (else the
 * client is refused); the CAs above are looked up where a CRL of theirs is there. RC_BAD_VALUE with
 * *why set to a static text (why may be NULL).
 */
rc_t trust_new(struct bytes ca_pem, struct bytes crl_pem, struct trust **out, const char **why);
void trust_free(struct trust **trust);
/*
 * Makes the server context check its peers by these rules and name the CAs to them. A certificate that passed
 * is taken again for TRUST_SEEN_S seconds after a look at its own end alone: whoever shows it must prove its
 * key in each handshake, and new CAs or CRLs come with a new context, which has seen nobody.
 */
rc_t trust_apply(const struct trust *trust, SSL_CTX *ctx);
/*
 * The same check for a certificate seen earlier, now. `chain` holds what the peer sent along (may
 * be NULL). RC_AUTH_FAILED with *why a static text of OpenSSL's.
 */
rc_t trust_check_client(const struct trust *trust, X509 *cert, STACK_OF(X509) * chain,
                        const char **why);
/* One thing that is wrong: an X509_V_ERR_ of OpenSSL's, and where in the chain (0: the certificate itself). `at` is the
 * certificate there, or NULL. */
typedef void trust_finding_fn(void *arg, int error, int depth, X509 *at);
/*
 * The same check, which does not stop at the first thing that is wrong but tells them all, some of them more than once.
 * Says nothing of whether the certificate would pass: ask trust_check_client(). RC_NO_MEMORY.
 */
rc_t trust_examine(const struct trust *trust, X509 *cert, STACK_OF(X509) * chain, trust_finding_fn *found, void *arg);
/* The certificate that made the handshake of this connection fail; NULL if none did. Borrowed from the connection. */
X509 *trust_refused(const SSL *ssl);
/* Key type and size: RSA 2,048 to 8,192 bits, EC P-256, P-384 or P-521, Ed25519, Ed448.
 * RC_BAD_VALUE. */
rc_t cert_key_check(EVP_PKEY *key);

#endif
