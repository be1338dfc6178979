/*
 * TLS as the house allows it: 1.3 and 1.2, forward-secret AEAD suites, a client certificate always,
 * no renegotiation, compression, early data or tickets; sessions are kept in this process, bounded.
 * Made from bytes, not paths: a worker opens no files. A reload makes a new struct tls; connections
 * hold the one they began with. For clients that know nothing better there may be a second set of
 * suites, TLS 1.2 with CBC and with RSA key exchange too; whoever comes by it is let in elsewhere.
 */
#ifndef SERVER_NET_TLS_H
#define SERVER_NET_TLS_H

#include <openssl/ssl.h>

#include "certs/trust.h"
#include "proto/base/bytes.h"
#include "proto/base/rc.h"

struct tls_material {
    struct bytes cert_pem; /* server certificate, then its chain */
    struct bytes key_pem;  /* secret: the caller wipes it */
    struct bytes ca_pem;   /* CAs of the clients */
    struct bytes crl_pem;  /* empty: no revocation check */
};

struct tls_settings {
    unsigned session_cache;   /* sessions kept, default 2048; 0: no resumption */
    bool allow_tls12;         /* default true; false: 1.3 only */
    unsigned session_seconds; /* life of a session, default 3600 */
    bool legacy;              /* make the old suites ready, too; default false */
};

#define TLS_SETTINGS_DEFAULT                                                                       \
    ((struct tls_settings){.session_cache = 2048, .allow_tls12 = true, .session_seconds = 3600})

/* Immutable, counted by references. */
struct tls {
    unsigned refs;
    uint64_t generation; /* grows with each tls_new() of this process */
    SSL_CTX *ctx, *legacy; /* legacy NULL: no old suites */
    struct trust *trust;
};

/* One reference in *out. RC_BAD_VALUE with *why a static text (may be NULL): nothing changes then.
 */
rc_t tls_new(const struct tls_material *material, const struct tls_settings *settings,
             struct tls **out, const char **why);
struct tls *tls_hold(struct tls *tls);
void tls_drop(struct tls **tls);
/* The server side of one connection on a non-blocking socket (stays the caller's), with the old suites
 * if `legacy`. NULL: no memory, or no old suites. */
SSL *tls_accept(struct tls *tls, int fd, bool legacy);
/* Whether the peer, seen in an earlier handshake, would be let in by these rules now.
 * RC_AUTH_FAILED. */
rc_t tls_recheck(const struct tls *tls, SSL *ssl, const char **why);

#endif
