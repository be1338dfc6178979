/* A growing buffer that wipes what it leaves behind; see buf.h. */
#include "proto/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/wipe.h"

enum { BUF_SMALLEST = 256 };

rc_t buf_grow(struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->len)
        return RC_NO_MEMORY;
    size_t room = b->room ? b->room : BUF_SMALLEST;
    while (room - b->len < more)
        room *= 2;
    uint8_t *data = malloc(room);
    if (!data)
        return RC_NO_MEMORY;
    if (b->len)
        memcpy(data, b->data, b->len);
    wipe(b->data, b->len); /* no realloc: it would leave a copy */
    free(b->data);
    b->data = data;
    b->room = room;
    return RC_OK;
}

rc_t buf_alloc(struct buf *b, size_t room)
{
    uint8_t *data = malloc(room ? room : 1);
    if (!data)
        return RC_NO_MEMORY;
    *b = (struct buf){.data = data, .room = room};
    return RC_OK;
}

rc_t buf_add_str(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

rc_t buf_add_fmt(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    rc_t rc = need < 0 ? RC_INTERNAL : buf_reserve(b, (size_t)need + 1);
    if (rc == RC_OK) {
        vsnprintf((char *)b->data + b->len, (size_t)need + 1, fmt, again);
        b->len += (size_t)need;
    }
    va_end(again);
    return rc;
}

void buf_drop_front(struct buf *b, size_t n)
{
    memmove(b->data, b->data + n, b->len - n);
    buf_cut(b, b->len - n);
}

void buf_cut(struct buf *b, size_t n)
{
    wipe(b->data + n, b->len - n);
    b->len = n;
}

void buf_clear(struct buf *b)
{
    if (b->data)
        buf_cut(b, 0);
}

void buf_free(struct buf *b)
{
    buf_clear(b);
    free(b->data);
    *b = BUF_EMPTY;
}

void buf_take(struct buf *dst, struct buf *src)
{
    buf_free(dst);
    *dst = *src;
    *src = BUF_EMPTY;
}
