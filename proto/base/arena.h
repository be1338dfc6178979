/*
 * One arena holds all memory of one request; it is wiped and dropped at once. It has a cap, so a
 * request cannot grow past its limit: past it, arena_alloc() returns NULL and the request fails.
 */
#ifndef PROTO_BASE_ARENA_H
#define PROTO_BASE_ARENA_H

#include "proto/base/bytes.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes taken from the system, all blocks */
    size_t cap;                 /* most bytes `used` may reach */
};

#define ARENA_OF(limit) ((struct arena){NULL, 0, (limit)})
#define AUTO_ARENA      __attribute__((cleanup(arena_free))) struct arena

/* Zeroed memory, aligned for any type; NULL when the cap or the system says no. */
void *arena_alloc(struct arena *a, size_t len);
/* The same for an array; checks the product. */
void *arena_array(struct arena *a, size_t count, size_t each);
/* A copy with a NUL after it (not counted). data == NULL on failure unless len is 0. */
struct bytes arena_copy(struct arena *a, struct bytes from);
/* A formatted C string, or NULL. */
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Where the arena stands; good until it goes back before that, is reset or freed. */
struct arena_mark {
    struct arena_block *block;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
/* Wipes all that was given out since the mark, and frees the blocks that were added. */
void arena_back(struct arena *a, struct arena_mark mark);
/* Wipes all and keeps one block for reuse. */
void arena_reset(struct arena *a);
/* Wipes and frees all. The arena can be used again. */
void arena_free(struct arena *a);
/* Frees the wiped blocks that are kept for the calling thread: the last that a thread does which ends before the
 * process. It may still use arenas after it, whose blocks are kept anew. */
void arena_thread_end(void);

#define ARENA_NEW(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, count, type) ((type *)arena_array((a), (count), sizeof(type)))

#endif
