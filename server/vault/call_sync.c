/* The blocking form of a vault call, for the CLI and tests; see client.h. */
#include <errno.h>
#include <poll.h>

#include "server/base/clock.h"
#include "server/vault/client.h"
#include "server/vault/wire.h"

static rc_t wait_for(int fd, short events, int64_t deadline_us)
{
    for (;;) {
        int64_t left = deadline_us - clock_monotonic_us();
        if (left <= 0)
            return RC_TIMEOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)((left + 999) / 1000));
        if (n > 0)
            return RC_OK;
        if (n < 0 && errno != EINTR)
            return RC_IO;
    }
}

static rc_t send_all(struct frame_writer *w, int fd, int64_t deadline_us)
{
    for (;;) {
        rc_t rc = frame_flush(w, fd);
        if (rc != RC_BUSY)
            return rc;
        TRY(wait_for(fd, POLLOUT, deadline_us));
    }
}

static rc_t receive_one(struct frame_reader *r, int fd, int64_t deadline_us, struct frame *out)
{
    for (;;) {
        bool have;
        TRY(frame_next(r, out, &have));
        if (have)
            return RC_OK;
        TRY(wait_for(fd, POLLIN, deadline_us));
        size_t got;
        TRY(frame_read(r, fd, &got));
    }
}

rc_t vault_call_sync(int fd, uint32_t timeout_ms, const struct vault_call *call,
                     struct arena *arena, struct vault_reply *out)
{
    static _Atomic uint64_t last_id;
    uint64_t id = ++last_id;
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    struct frame_writer w = {BUF_EMPTY, 0};
    struct frame_reader r;
    struct frame answer;
    frame_reader_init(&r, vault_reply_fits, NULL);
    rc_t rc = vault_call_write(&w, id, call);
    if (rc == RC_OK)
        rc = send_all(&w, fd, deadline_us);
    do { /* an answer to an earlier call that timed out may still come first */
        if (rc == RC_OK)
            rc = receive_one(&r, fd, deadline_us, &answer);
    } while (rc == RC_OK && answer.id < id);
    if (rc == RC_OK && (answer.id != id || answer.code != (uint16_t)call->op))
        rc = RC_PROTOCOL;
    if (rc == RC_OK)
        rc = vault_reply_read(&answer, out);
    if (rc == RC_OK)
        rc = vault_reply_keep(out, arena);
    frame_writer_free(&w);
    frame_reader_free(&r);
    return rc;
}
