/*
 * What a hostile peer may send the vault: frames on a socket, then the calls in them. The input's
 * first byte is the peer's role. What is accepted is said again, and must come out as it came in.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/vault/admin.h"
#include "server/vault/hierarchy.h"
#include "server/vault/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum vault_peer role;

static bool fits(uint16_t code, uint32_t len, void *arg)
{
    (void)arg;
    return vault_call_allowed(code, role, len);
}

static void look_inside(const struct vault_call *call)
{
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    struct admin_request step = {0};
    struct admin_answer answer = {0};
    struct hierarchy rows;
    (void)admin_request_decode(call->body, &step);
    (void)admin_answer_decode(call->body, &answer);
    (void)hierarchy_decode(call->hierarchy, &arena, &rows);
}

static void take_call(const struct frame *f)
{
    struct vault_call call;
    struct vault_reply reply;
    struct frame_writer w = {BUF_EMPTY, 0};
    (void)vault_reply_read(f, &reply);
    if (vault_call_read(f, &call) != RC_OK)
        return;
    look_inside(&call);
    if (vault_call_write(&w, f->id, &call) != RC_OK ||
        !bytes_equal(bytes_of(w.out.data + FRAME_HEADER_BYTES, w.out.len - FRAME_HEADER_BYTES),
                     f->payload))
        abort();
    frame_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ends[2] = {-1, -1};
    struct frame_reader r;
    rc_t rc = RC_OK;
    if (size == 0 || size > 60000)
        return 0;
    if (ends[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        abort();
    role = (enum vault_peer)(data[0] & 7);
    if (write(ends[0], data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    frame_reader_init(&r, fits, NULL);
    for (size_t got = 1; rc == RC_OK && got > 0;) {
        rc = frame_read(&r, ends[1], &got);
        for (bool have = true; rc == RC_OK && have;) {
            struct frame f;
            rc = frame_next(&r, &f, &have);
            if (rc == RC_OK && have)
                take_call(&f);
        }
    }
    if (r.in.room > 4 * size + 512 * 1024)
        abort(); /* memory grew with what was promised */
    frame_reader_free(&r);
    uint8_t rest[65536];
    while (read(ends[1], rest, sizeof rest) > 0)
        ;
    return 0;
}
