/*
 * What link.c and link_tls.c share.
 */
#ifndef SERVER_FORWARD_LINK_IMPL_H
#define SERVER_FORWARD_LINK_IMPL_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "proto/base/buf.h"
#include "server/forward/link.h"

enum { LINK_ALIVE_READS = 64 }; /* of what a receiver says unasked, before it is believed to be there */

struct link {
    const struct target *target;
    const struct link_settings *settings;
    int fd; /* -1: not connected */
    SSL_CTX *ctx;
    SSL *ssl;          /* of a TLS connection */
    struct stat place; /* of the UNIX socket that it is connected to */
    struct buf out;    /* framed messages that are not written yet */
};

/* Why there was no end of the receiver's side. */
#define LINK_NO_END                                                                                                    \
    "the receiver did not read all, or does not end its side of a connection when we end ours (then set keep_open "    \
    "= yes)"

/* A deadline that what the receiver says does not put off: when timeout_ms from now have passed; whether it has, or
 * nobody waits any more; what is left of it. */
int64_t link_deadline(const struct link *link);
bool link_is_over(int64_t deadline);
unsigned link_left_ms(int64_t deadline);

__attribute__((format(printf, 3, 4))) rc_t link_fail(rc_t rc, char why[static LINK_WHY], const char *fmt, ...);

/* TLS: the context with its files; the handshake; bytes; the end of our side; that of theirs. As the calls of link.h.
 */
rc_t link_tls_load(struct link *link, char why[static LINK_WHY]);
rc_t link_tls_shake(struct link *link, char why[static LINK_WHY]);
rc_t link_tls_write(struct link *link, struct bytes data, char why[static LINK_WHY]);
rc_t link_tls_end(struct link *link, char why[static LINK_WHY]);
rc_t link_tls_read_to_end(struct link *link, char why[static LINK_WHY]);
/* Takes what the receiver says unasked (tickets). False: it has closed. */
bool link_tls_alive(struct link *link);

#endif
