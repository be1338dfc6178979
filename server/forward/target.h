/*
 * Where a destination of the audit trail is, read from the setting [forward] destinations:
 * "NAME=KIND:ADDRESS, NAME=KIND:ADDRESS".
 */
#ifndef SERVER_FORWARD_TARGET_H
#define SERVER_FORWARD_TARGET_H

#include <stdbool.h>

#include "proto/base/rc.h"

enum target_kind {
    TARGET_UNIX,        /* unix:PATH, datagrams, as /dev/log */
    TARGET_UNIX_STREAM, /* unix-stream:PATH, octet counting */
    TARGET_TCP,         /* tcp:HOST:PORT, octet counting (RFC 6587, 3.4.1) */
    TARGET_TLS,         /* tls:HOST:PORT (RFC 5425) */
    TARGET_UDP,         /* udp:HOST:PORT (RFC 5426), may lose */
};

enum { TARGET_NAME = 65, TARGET_WHY = 320 };

struct target {
    char name[TARGET_NAME];
    enum target_kind kind;
    char host[256]; /* or the path of a UNIX socket */
    char port[8];   /* empty for a UNIX socket */
};

/* Whether messages go as datagrams, each whole, instead of a stream. */
static inline bool target_datagrams(const struct target *t)
{
    return t->kind == TARGET_UNIX || t->kind == TARGET_UDP;
}

static inline bool target_local(const struct target *t)
{
    return t->kind == TARGET_UNIX || t->kind == TARGET_UNIX_STREAM;
}

/*
 * The destination `name` of the list; all of the list is checked. A NULL name takes the only one there is.
 * RC_CONFIG: `why` has what is wrong with which part; RC_NOT_FOUND: there is none of that name, `why` says so.
 */
rc_t target_find(const char *list, const char *name, struct target *out, char why[static TARGET_WHY]);

#endif
