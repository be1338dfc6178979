/*
 * The control channel between the supervisor and one child: a SOCK_SEQPACKET socketpair, descriptor
 * CONTROL_FD of the child. One packet is one message, with descriptors attached (SCM_RIGHTS). The
 * table control.def says who may send what, how long, with how many descriptors; both sides check
 * it before they look at a byte. End of file means that the other side is gone: a child exits then.
 */
#ifndef SERVER_IPC_CONTROL_H
#define SERVER_IPC_CONTROL_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum { CONTROL_FD = 3, CONTROL_BODY_MAX = 32768, CONTROL_FDS_MAX = 8 };

/* Who speaks. The receiver knows it from the descriptor, never from the message. */
enum control_side { BY_SUPERVISOR = 1, BY_WORKER = 2, BY_VAULT = 4 };

enum control_code {
    CONTROL_NONE,
#define CONTROL(code, from, least, most, least_fds, most_fds) CONTROL_##code,
#include "server/ipc/control.def"
#undef CONTROL
    CONTROL_COUNT
};

/* What kind of TPM the descriptor of CONTROL_TPM is; the status names it. */
enum control_tpm { CONTROL_TPM_DEVICE = 1, CONTROL_TPM_SOFTWARE = 2 };

struct control_message {
    enum control_code code;
    size_t len;
    unsigned fd_count;
    int fds[CONTROL_FDS_MAX]; /* owned by the message until taken; close-on-exec */
    uint8_t body[CONTROL_BODY_MAX];
};

/* A pair of ends, non-blocking, close-on-exec. */
rc_t control_pair(int ends[static 2]);
/*
 * Sends one message; `me` is the sender. The descriptors stay the caller's. Never blocks:
 * RC_BUSY when the peer does not read, RC_IO when it is gone, RC_INTERNAL when the table forbids
 * it.
 */
rc_t control_send(int fd, enum control_side me, enum control_code code, struct bytes body,
                  const int *fds, unsigned fd_count);
/*
 * Receives one message from peer `from`. RC_OK; RC_BUSY: nothing there now; RC_IO: the peer is
 * gone; RC_PROTOCOL: the message breaks the table (its descriptors are closed already). The caller
 * calls control_close() on every message received with RC_OK.
 */
rc_t control_receive(int fd, enum control_side from, struct control_message *out);
/* Waits at most `wait_ms` for a message of this code; RC_PROTOCOL when another one comes. */
rc_t control_await(int fd, enum control_side from, enum control_code code, int wait_ms,
                   struct control_message *out);
/* Takes descriptor i out of the message; -1 if there is none. */
int control_take(struct control_message *m, unsigned i);
/* Closes what was not taken. */
void control_close(struct control_message *m);
/* "ASK_TLS", for the log. Static storage. */
const char *control_name(enum control_code code);

#endif
