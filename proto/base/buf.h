/*
 * A growing byte buffer that owns its memory and may hold secrets: it is wiped when it grows, shrinks
 * or is freed, so no stale copy stays behind.
 */
#ifndef PROTO_BASE_BUF_H
#define PROTO_BASE_BUF_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t room;
};

#define BUF_EMPTY ((struct buf){NULL, 0, 0})
#define AUTO_BUF  __attribute__((cleanup(buf_free))) struct buf

/* Moves to a larger memory, with room for `more` further bytes. RC_NO_MEMORY leaves the buffer as it was. */
rc_t buf_grow(struct buf *b, size_t more);
rc_t buf_add_str(struct buf *b, const char *s);
/* Appends formatted text, without its NUL. Not for secrets: the formatter keeps copies. */
rc_t buf_add_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes (n <= len) and wipes what they leave behind. */
void buf_drop_front(struct buf *b, size_t n);
/* Cuts to n bytes (n <= len) and wipes the rest. */
void buf_cut(struct buf *b, size_t n);
/* Wipes and empties, keeping the memory for reuse. */
void buf_clear(struct buf *b);
/* Wipes, frees, empties. */
void buf_free(struct buf *b);
/* Gives an empty buffer just so much room; buf_reserve() gives up to twice as much. RC_NO_MEMORY leaves it empty. */
rc_t buf_alloc(struct buf *b, size_t room);
/* Moves ownership: dst is freed first, src is empty afterwards. */
void buf_take(struct buf *dst, struct buf *src);

/* What every message is written with, a few bytes at a time: in the callers themselves. */

/* Makes room for `more` further bytes. RC_NO_MEMORY leaves the buffer as it was. */
static inline rc_t buf_reserve(struct buf *b, size_t more)
{
    return more <= b->room - b->len ? RC_OK : buf_grow(b, more);
}

/* Appends. The source may not lie inside the buffer. */
static inline rc_t buf_add(struct buf *b, const void *data, size_t len)
{
    TRY(buf_reserve(b, len));
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return RC_OK;
}

static inline rc_t buf_add_bytes(struct buf *b, struct bytes bytes)
{
    return buf_add(b, bytes.data, bytes.len);
}

static inline rc_t buf_add_u8(struct buf *b, uint8_t v)
{
    return buf_add(b, &v, 1);
}

static inline rc_t buf_add_be16(struct buf *b, uint16_t v)
{
    uint8_t raw[2];
    store_be16(raw, v);
    return buf_add(b, raw, sizeof raw);
}

static inline rc_t buf_add_be32(struct buf *b, uint32_t v)
{
    uint8_t raw[4];
    store_be32(raw, v);
    return buf_add(b, raw, sizeof raw);
}

static inline rc_t buf_add_be64(struct buf *b, uint64_t v)
{
    uint8_t raw[8];
    store_be64(raw, v);
    return buf_add(b, raw, sizeof raw);
}

static inline struct bytes buf_view(const struct buf *b)
{
    return (struct bytes){b->data, b->len};
}

#endif
