/*
 * A whole network side for tests: the real listener, TLS and connections in a thread of their own
 * on an ephemeral port, an engine that echoes, certificates of every kind, and blocking TLS
 * clients. Every function ends the test on failure unless it says otherwise.
 */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H

#include <openssl/ssl.h>

#include "server/net/net.h"

/* ---- certificates --------------------------------------------------------------------------- */

enum rig_cert {
    CERT_GOOD,
    CERT_SECOND, /* another good client */
    CERT_SHORT,  /* good for two seconds more */
    CERT_EXPIRED,
    CERT_EARLY,     /* not yet valid */
    CERT_SERVER,    /* purpose serverAuth only */
    CERT_FOREIGN,   /* of a CA that is not trusted */
    CERT_BY_CLIENT, /* issued by the good client's key */
    CERT_WEAK,      /* RSA of 1,024 bits */
    CERT_NAMELESS,  /* no subject, no SAN */
    CERT_NONE,
    CERT_COUNT
};

/* ---- the server ----------------------------------------------------------------------------- */

enum echo_mode {
    ECHO_NOW,      /* in the next turn, in order */
    ECHO_AT_ONCE,  /* in the same turn, before net looks after the connection again */
    ECHO_REVERSED, /* when echo_group requests are there, the last one first */
    ECHO_HELD,     /* not before rig_release() */
};

struct rig_options {
    struct net_settings net;
    struct limits_settings limits;
    struct tls_settings tls;
    enum echo_mode mode;
    unsigned echo_group;
    bool no_crl;
};

#define RIG_OPTIONS                                                                                \
    ((struct rig_options){                                                                         \
        .net = NET_SETTINGS_DEFAULT, .limits = LIMITS_DEFAULT, .tls = TLS_SETTINGS_DEFAULT})

void rig_start(const struct rig_options *options);
/* Stops the thread, frees all, checks that no session and no request is left. */
void rig_stop(void);
/* Runs fn in the server's thread and waits for it. */
void rig_call(void (*fn)(struct net *net, void *arg), void *arg);
struct net_stats rig_stats(void);
/* Waits until the condition holds, at most two seconds; tells whether it does. */
bool rig_until(bool (*holds)(const struct net_stats *stats, unsigned n), unsigned n);

struct echo_counts {
    unsigned logins, submitted, abandoned, waiting, headers_only, sessions;
    char first_name[256]; /* first name of the last session that logged in */
};
struct echo_counts rig_echo(void);
/* What logins are answered with from now on; RC_COUNT: never. */
void rig_set_login(rc_t rc);
/* Answers what is held; later requests at once. */
void rig_release(void);
/* New TLS context with the CRL that revokes this certificate (CERT_NONE: an empty one). */
void rig_reload_revoked(enum rig_cert revoked);
/* New TLS context that trusts another CA only. */
void rig_reload_other_ca(void);
void rig_drain(void);
bool rig_drained(void);
struct limits *rig_limits(void);

/* ---- clients -------------------------------------------------------------------------------- */

struct client_options {
    enum rig_cert cert;
    int version;         /* TLS1_3_VERSION and so on; 0: any */
    const char *ciphers; /* TLS 1.2 list */
    int receive_bytes;   /* size of the socket's receive buffer; 0: as usual */
    SSL_SESSION *session;
};

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
};

/* Clients to come use the other one of the two listening sockets: the one for old suites where tls.legacy is set. */
void client_other_port(void);
/* A TCP connection; receives wait 5 s at most. */
int tcp_open(void);
/* TLS handshake; false when it failed (the client is to be closed all the same). */
bool client_try(struct client *c, const struct client_options *options);
void client_open(struct client *c, enum rig_cert cert);
void client_close(struct client *c);
void client_send(struct client *c, const void *data, size_t len);
/* Reads exactly one answer and checks number, length and filling. */
void client_answer(struct client *c, uint32_t number, uint32_t answer_bytes);
/* True when the connection ends without one more byte of data. */
bool client_ended(struct client *c);
/* True when a request gets no answer at all, whether or not the handshake worked. */
bool client_gets_nothing(const struct client_options *options);
/* One request and its answer. */
void client_echo(struct client *c, uint32_t number);

enum { REQUEST_BYTES = 24, FLAG_CLOSE = 1, FLAG_SILENT = 2 };
/* A request that asks for so many bytes of answer beyond 16. */
void request_make(uint8_t out[static REQUEST_BYTES], uint32_t number, uint32_t answer_bytes,
                  uint32_t flags);
void sleep_ms(unsigned ms);

/* The groups of tests. */
struct TCase;
struct TCase *tls_tests(void);
struct TCase *conn_tests(void);
struct TCase *bounds_tests(void);
struct TCase *limits_tests(void);

#endif
