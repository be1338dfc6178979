/* Frames on stream socketpairs, read incrementally and written in one piece; see frame.h. */
#include "server/ipc/frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/wipe.h"

/* One read takes at most this much; a larger frame grows the buffer as its bytes arrive. */
enum { READ_BYTES = 64 * 1024 };
/* An empty buffer larger than this is given back: one large key must not hold memory for good. */
enum { KEEP_BYTES = 1024 * 1024 };

static void empty(struct buf *b)
{
    if (b->room > KEEP_BYTES)
        buf_free(b);
    else
        buf_clear(b);
}

void frame_reader_init(struct frame_reader *r, frame_fits_fn *fits, void *arg)
{
    *r = (struct frame_reader){.in = BUF_EMPTY, .fits = fits, .arg = arg};
}

void frame_reader_free(struct frame_reader *r)
{
    buf_free(&r->in);
    r->next = r->want = 0;
}

void frame_reader_settle(struct frame_reader *r)
{
    if (r->next == 0)
        return;
    if (r->next == r->in.len)
        empty(&r->in);
    else
        buf_drop_front(&r->in, r->next);
    r->next = 0;
}

rc_t frame_read(struct frame_reader *r, int fd, size_t *got)
{
    *got = 0;
    frame_reader_settle(r);
    TRY(buf_reserve(&r->in, READ_BYTES));
    ssize_t n;
    do
        n = recv(fd, r->in.data + r->in.len, READ_BYTES, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? RC_OK : RC_IO;
    if (n == 0)
        return RC_IO;
    r->in.len += (size_t)n;
    *got = (size_t)n;
    return RC_OK;
}

rc_t frame_next(struct frame_reader *r, struct frame *out, bool *have)
{
    *have = false;
    const uint8_t *p = r->in.data ? r->in.data + r->next : NULL;
    size_t there = r->in.len - r->next;
    if (there < FRAME_HEADER_BYTES)
        return RC_OK;
    uint32_t len = load_be32(p);
    uint16_t code = load_be16(p + 4);
    if (r->want == 0) {
        if (!r->fits(code, len, r->arg))
            return RC_PROTOCOL;
        r->want = (size_t)FRAME_HEADER_BYTES + len;
    }
    if (there < r->want)
        return RC_OK;
    *out = (struct frame){
        .code = code,
        .rc = load_be16(p + 6),
        .id = load_be64(p + 8),
        .payload = bytes_of(p + FRAME_HEADER_BYTES, len),
    };
    r->next += r->want;
    r->want = 0;
    *have = true;
    return RC_OK;
}

void frame_writer_free(struct frame_writer *w)
{
    buf_free(&w->out);
    w->sent = 0;
}

rc_t frame_open(struct frame_writer *w, uint16_t code, uint64_t id, size_t room, size_t *mark)
{
    if (room > UINT32_MAX)
        return RC_TOO_LARGE;
    TRY(buf_reserve(&w->out, FRAME_HEADER_BYTES + room));
    *mark = w->out.len;
    uint8_t head[FRAME_HEADER_BYTES] = {0};
    store_be16(head + 4, code);
    store_be64(head + 8, id);
    return buf_add(&w->out, head, sizeof head);
}

void frame_close(struct frame_writer *w, size_t mark, rc_t rc)
{
    store_be32(w->out.data + mark, (uint32_t)(w->out.len - mark - FRAME_HEADER_BYTES));
    store_be16(w->out.data + mark + 6, (uint16_t)rc);
}

void frame_undo(struct frame_writer *w, size_t mark)
{
    buf_cut(&w->out, mark);
}

rc_t frame_add(struct frame_writer *w, uint16_t code, rc_t rc, uint64_t id, struct bytes payload)
{
    size_t mark;
    TRY(frame_open(w, code, id, payload.len, &mark));
    rc_t added = buf_add_bytes(&w->out, payload);
    if (added != RC_OK) {
        frame_undo(w, mark);
        return added;
    }
    frame_close(w, mark, rc);
    return RC_OK;
}

size_t frame_waiting(const struct frame_writer *w)
{
    return w->out.len - w->sent;
}

rc_t frame_flush(struct frame_writer *w, int fd)
{
    while (frame_waiting(w) > 0) {
        ssize_t n = send(fd, w->out.data + w->sent, frame_waiting(w), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RC_BUSY : RC_IO;
        wipe(w->out.data + w->sent, (size_t)n);
        w->sent += (size_t)n;
    }
    empty(&w->out);
    w->sent = 0;
    return RC_OK;
}
