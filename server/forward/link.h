/*
 * The connection to a receiver: opens it, sends whole messages, and makes sure of what was sent as far as the
 * transport can tell. Blocking with deadlines; knows nothing of rows and cursors.
 *
 * What link_confirm() knows when it says RC_OK:
 *   tcp, tls, unix-stream   the receiver's program has read all: we ended our side, and it answered with the end of
 *                           its own; a program that dies or closes with unread data gives a reset instead.
 *   the same, keep_open     the receiver's kernel has all, and the connection stands. unix-stream: the program.
 *   unix                    nothing is left in the receiver's queue, and it is still there.
 *   udp                     nothing.
 */
#ifndef SERVER_FORWARD_LINK_H
#define SERVER_FORWARD_LINK_H

#include "proto/base/bytes.h"
#include "server/forward/target.h"

enum { LINK_WHY = 400 };

struct link;

struct link_settings {
    const char *ca;          /* PEM file of who may have signed the receiver's certificate; empty: the system's */
    const char *certificate; /* our own, PEM with its chain; empty: none */
    const char *key;
    unsigned timeout_ms; /* for each step that does not get on */
    bool keep_open;      /* one connection for many batches */
};

/* Reads certificates and keys, connects to nothing yet. RC_CONFIG: `why` names the file. Settings and target are
 * borrowed for the link's life. */
rc_t link_new(const struct target *target, const struct link_settings *settings, struct link **out,
              char why[static LINK_WHY]);
void link_free(struct link **link);

/* Connects unless it is connected to a receiver that is still there. RC_UNAVAILABLE, RC_AUTH_FAILED. */
rc_t link_open(struct link *link, char why[static LINK_WHY]);
/* Sends one message, framed as the transport needs it; may keep it back until link_confirm(). RC_TOO_LARGE: no
 * datagram takes it; RC_IO: the connection is of no more use. */
rc_t link_send(struct link *link, struct bytes message, char why[static LINK_WHY]);
/* RC_OK: see above. Otherwise nothing is known of what was sent since the last RC_OK. */
rc_t link_confirm(struct link *link, char why[static LINK_WHY]);
/* Drops the connection; what was not confirmed is to be sent again. */
void link_close(struct link *link);

#endif
