/* Memory of one request, wiped and dropped at once; see arena.h. */
#include "proto/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/wipe.h"

enum { BLOCK_BYTES = 8192 - 64 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t room;
    alignas(max_align_t) uint8_t data[];
};

/*
 * Blocks of the usual size that were let go, wiped: most requests take one or two, and for blocks of this size
 * malloc() and free() cost more than what is done in them. Kept for each thread, up to SPARE_MAX. Not with the
 * address sanitizer, which has to see them end.
 */
#ifndef __has_feature /* clang's way to ask */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { SPARE_MAX = 0 };
#else
enum { SPARE_MAX = 128 };
#endif
static _Thread_local struct arena_block *spare;
static _Thread_local int spare_count;

static struct arena_block *block_take(size_t room)
{
    struct arena_block *b = room == BLOCK_BYTES ? spare : NULL;
    if (!b)
        return malloc(sizeof *b + room);
    spare = b->next;
    spare_count--;
    return b;
}

static void block_leave(struct arena_block *b)
{
    if (b->room != BLOCK_BYTES || spare_count >= SPARE_MAX) {
        free(b);
        return;
    }
    b->next = spare;
    spare = b;
    spare_count++;
}

void arena_thread_end(void)
{
    while (spare) {
        struct arena_block *b = spare;
        spare = b->next;
        free(b);
    }
    spare_count = 0;
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t room = need > BLOCK_BYTES ? need : BLOCK_BYTES;
    size_t total = sizeof(struct arena_block) + room;
    if (total < room || a->used > a->cap || total > a->cap - a->used)
        return NULL;
    struct arena_block *b = block_take(room);
    if (!b)
        return NULL;
    b->next = a->blocks;
    b->used = 0;
    b->room = room;
    a->blocks = b;
    a->used += total;
    return b;
}

void *arena_alloc(struct arena *a, size_t len)
{
    const size_t align = alignof(max_align_t);
    if (len > SIZE_MAX - align)
        return NULL;
    len = len ? (len + align - 1) & ~(align - 1) : align;
    struct arena_block *b = a->blocks;
    if (!b || b->room - b->used < len)
        b = add_block(a, len);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += len;
    return memset(p, 0, len);
}

void *arena_array(struct arena *a, size_t count, size_t each)
{
    size_t total;
    return __builtin_mul_overflow(count, each, &total) ? NULL : arena_alloc(a, total);
}

struct bytes arena_copy(struct arena *a, struct bytes from)
{
    uint8_t *p = from.len < SIZE_MAX ? arena_alloc(a, from.len + 1) : NULL;
    if (!p)
        return BYTES_NONE;
    if (from.len)
        memcpy(p, from.data, from.len);
    return bytes_of(p, from.len);
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *s = need < 0 ? NULL : arena_alloc(a, (size_t)need + 1);
    if (s)
        vsnprintf(s, (size_t)need + 1, fmt, again);
    va_end(again);
    return s;
}

static void block_free(struct arena *a, struct arena_block *b)
{
    a->used -= sizeof *b + b->room;
    wipe(b->data, b->used);
    block_leave(b);
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->blocks, a->blocks ? a->blocks->used : 0};
}

void arena_back(struct arena *a, struct arena_mark mark)
{
    while (a->blocks && a->blocks != mark.block) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        block_free(a, b);
    }
    if (a->blocks) {
        wipe(a->blocks->data + mark.used, a->blocks->used - mark.used);
        a->blocks->used = mark.used;
    }
}

void arena_reset(struct arena *a)
{
    while (a->blocks && (a->blocks->next || a->blocks->room > BLOCK_BYTES)) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        block_free(a, b);
    }
    if (a->blocks) {
        wipe(a->blocks->data, a->blocks->used);
        a->blocks->used = 0;
    }
}

void arena_free(struct arena *a)
{
    arena_back(a, (struct arena_mark){NULL, 0});
}
