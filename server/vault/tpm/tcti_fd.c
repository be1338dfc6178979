/*
 * The descriptor TCTI. A transmit sends a whole command, a receive collects a whole answer; after
 * any failure both refuse, and the owner makes a new connection. A deadline that passes is an error
 * and not "try again": a TPM that late is treated as lost.
 */
#include "server/vault/tpm/tcti_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "proto/base/wipe.h"
#include "server/base/clock.h"

#define TCTI_FD_MAGIC UINT64_C(0x484f4c4446415354)

static struct tcti_fd *tcti_of(TSS2_TCTI_CONTEXT *context)
{
    struct tcti_fd *t = (struct tcti_fd *)(void *)context;
    return t && t->common.magic == TCTI_FD_MAGIC ? t : NULL;
}

static TSS2_RC fail(struct tcti_fd *t, TSS2_RC code)
{
    t->broken = true;
    t->waiting = false;
    return code;
}

/* Waits for `events` until the deadline. Error and hang-up count as ready: read or write tells. */
static TSS2_RC wait_for(struct tcti_fd *t, short events, int64_t until_us)
{
    for (;;) {
        int64_t left_ms = (until_us - clock_monotonic_us() + 999) / 1000;
        struct pollfd p = {.fd = t->fd, .events = events};
        if (left_ms < 0)
            left_ms = 0;
        int n = poll(&p, 1, (int)left_ms);
        if (n > 0)
            return p.revents & POLLNVAL ? TSS2_TCTI_RC_IO_ERROR : TSS2_RC_SUCCESS;
        if (n < 0 && errno != EINTR)
            return TSS2_TCTI_RC_IO_ERROR;
        if (n == 0 && left_ms == 0)
            return TSS2_TCTI_RC_TRY_AGAIN;
    }
}

static TSS2_RC tcti_transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
    struct tcti_fd *t = tcti_of(context);
    if (!t || !command)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (t->broken)
        return TSS2_TCTI_RC_IO_ERROR;
    if (t->waiting)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    if (size < TCTI_FD_HEAD || size > TCTI_FD_MAX || load_be32(command + 2) != size)
        return TSS2_TCTI_RC_BAD_VALUE;
    int64_t until = clock_monotonic_us() + (int64_t)t->deadline_ms * 1000;
    while (size > 0) {
        if (wait_for(t, POLLOUT, until) != TSS2_RC_SUCCESS)
            return fail(t, TSS2_TCTI_RC_IO_ERROR);
        ssize_t n =
            t->is_socket ? send(t->fd, command, size, MSG_NOSIGNAL) : write(t->fd, command, size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return fail(t, TSS2_TCTI_RC_IO_ERROR);
        command += n;
        size -= (size_t)n;
    }
    t->waiting = true;
    t->have = 0;
    return TSS2_RC_SUCCESS;
}

/* Length of the answer as its header says, 0 while the header is not in yet. */
static size_t promised(const struct tcti_fd *t)
{
    return t->have >= TCTI_FD_HEAD ? load_be32(t->answer + 2) : 0;
}

/*
 * Reads until the answer is whole. A character device gives an answer in one read and forgets what
 * did not fit, so each read asks for all that there could be; only one answer can be on its way,
 * so a byte past its end is an error.
 */
static TSS2_RC collect(struct tcti_fd *t, int64_t until)
{
    while (t->have < TCTI_FD_HEAD || t->have < promised(t)) {
        TSS2_RC r = wait_for(t, POLLIN, until);
        if (r != TSS2_RC_SUCCESS)
            return r;
        ssize_t n = read(t->fd, t->answer + t->have, sizeof t->answer - t->have);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return TSS2_TCTI_RC_IO_ERROR;
        t->have += (size_t)n;
        if (t->have >= TCTI_FD_HEAD &&
            (promised(t) < TCTI_FD_HEAD || promised(t) > TCTI_FD_MAX || t->have > promised(t)))
            return TSS2_TCTI_RC_MALFORMED_RESPONSE;
    }
    return TSS2_RC_SUCCESS;
}

static TSS2_RC tcti_receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response,
                            int32_t timeout_ms)
{
    struct tcti_fd *t = tcti_of(context);
    if (!t || !size)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (t->broken)
        return TSS2_TCTI_RC_IO_ERROR;
    if (!t->waiting)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    bool forever = timeout_ms == TSS2_TCTI_TIMEOUT_BLOCK;
    int64_t wait_ms = forever ? (int64_t)t->deadline_ms : timeout_ms;
    TSS2_RC r = collect(t, clock_monotonic_us() + wait_ms * 1000);
    if (r == TSS2_TCTI_RC_TRY_AGAIN && !forever)
        return r;
    if (r != TSS2_RC_SUCCESS)
        return fail(t, r == TSS2_TCTI_RC_TRY_AGAIN ? TSS2_TCTI_RC_IO_ERROR : r);
    size_t room = *size;
    *size = t->have;
    if (!response)
        return TSS2_RC_SUCCESS;
    if (room < t->have)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    memcpy(response, t->answer, t->have);
    wipe(t->answer, t->have);
    t->waiting = false;
    return TSS2_RC_SUCCESS;
}

static void tcti_finalize(TSS2_TCTI_CONTEXT *context)
{
    struct tcti_fd *t = tcti_of(context);
    if (t)
        wipe(t, sizeof *t);
}

static TSS2_RC tcti_cancel(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC tcti_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles,
                                 size_t *count)
{
    struct tcti_fd *t = tcti_of(context);
    if (!t || !count)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (handles) {
        if (*count < 1)
            return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
        handles[0] = (TSS2_TCTI_POLL_HANDLE){.fd = t->fd, .events = POLLIN};
    }
    *count = 1;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC tcti_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
    (void)context;
    return locality == 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_NOT_SUPPORTED;
}

rc_t tcti_fd_open(struct tcti_fd *tcti, int fd, uint32_t deadline_ms)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (fstat(fd, &st) < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return RC_IO;
    *tcti = (struct tcti_fd){
        .common = {.magic = TCTI_FD_MAGIC,
                   .version = 1,
                   .transmit = tcti_transmit,
                   .receive = tcti_receive,
                   .finalize = tcti_finalize,
                   .cancel = tcti_cancel,
                   .getPollHandles = tcti_poll_handles,
                   .setLocality = tcti_locality},
        .fd = fd,
        .is_socket = S_ISSOCK(st.st_mode),
        .deadline_ms = deadline_ms,
    };
    return RC_OK;
}
