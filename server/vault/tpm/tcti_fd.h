/*
 * A TCTI (the transport of the TSS) over a descriptor that is already open: a TPM character device
 * or a stream socket that speaks plain TPM commands (swtpm --fd). One command at a time, each with
 * a deadline; partial reads, EINTR and hostile lengths are handled here. Never closes the
 * descriptor.
 */
#ifndef SERVER_VAULT_TPM_TCTI_FD_H
#define SERVER_VAULT_TPM_TCTI_FD_H

#include <tss2/tss2_tcti.h>

#include <stdbool.h>

#include "proto/base/rc.h"

enum { TCTI_FD_MAX = 4096, TCTI_FD_HEAD = 10 };

struct tcti_fd {
    TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first: the TSS sees only this */
    int fd;
    bool is_socket; /* send() without SIGPIPE instead of write() */
    bool waiting;   /* a command is out, its answer is not in */
    bool broken;    /* an error happened: nothing more goes over this transport */
    uint32_t deadline_ms;
    size_t have; /* bytes of the answer read so far */
    uint8_t answer[TCTI_FD_MAX + 1];
};

/* Sets up `tcti` over fd, which stays the caller's; makes it non-blocking. RC_IO when it cannot be.
 */
rc_t tcti_fd_open(struct tcti_fd *tcti, int fd, uint32_t deadline_ms);
/* What Esys_Initialize() takes. */
static inline TSS2_TCTI_CONTEXT *tcti_fd_context(struct tcti_fd *tcti)
{
    return (TSS2_TCTI_CONTEXT *)(void *)&tcti->common;
}

#endif
