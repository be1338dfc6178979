/*
 * A KMIP client's connection: blocking, mutual TLS 1.3 or 1.2, one request and one answer at a time, with a
 * deadline. Used by the key commands. Knows bytes of messages, not their meaning.
 */
#ifndef SERVER_ADMIN_KMIP_TLS_H
#define SERVER_ADMIN_KMIP_TLS_H

#include "proto/base/buf.h"
#include "proto/base/rc.h"

struct kmip_tls;

struct kmip_tls_options {
    const char *host, *port;
    const char *cert_file, *key_file, *ca_file; /* PEM */
    int timeout_s;                              /* of connect, and of each request and answer */
};

enum { KMIP_TLS_ANSWER_MAX = 64 << 20, KMIP_TLS_WHY = 512 };

/*
 * Connects and shakes hands; the server's certificate must come from ca_file and name `host`. On failure `why`
 * has a sentence: RC_CONFIG a file of ours; RC_UNAVAILABLE no connection; RC_AUTH_FAILED the server's
 * certificate, or ours was refused.
 */
rc_t kmip_tls_open(const struct kmip_tls_options *options, struct kmip_tls **out, char why[static KMIP_TLS_WHY]);
void kmip_tls_close(struct kmip_tls **tls);
/*
 * Sends one message and reads one. RC_AUTH_FAILED: the server closed without an answer before any byte came
 * (that is how it meets a client it does not know); RC_TIMEOUT; RC_IO; RC_PROTOCOL for an answer that is no KMIP.
 */
rc_t kmip_tls_exchange(struct kmip_tls *tls, struct bytes request, struct buf *answer, char why[static KMIP_TLS_WHY]);

#endif
