/*
 * Slots of locked memory; see pool.h. A chunk is aligned to its size, so the chunk of a slot is
 * found by masking the address. Its first page holds the book-keeping, the second and the last are
 * guards: [ header | guard | slots ... | guard ] Slots are zero whenever they are free. Free slots
 * are bits in a map outside the slots.
 */
#include "server/base/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "proto/base/wipe.h"

#ifdef HF_SANITIZERS
#include <sanitizer/lsan_interface.h>
#endif

enum {
    PAGE = 4096,
    CHUNK_BYTES = 256 * 1024,
    SMALLEST = 64,
    LARGEST = SMALLEST << (POOL_CLASSES - 1),
    FRONT = 2 * PAGE,
    SLOT_BYTES = CHUNK_BYTES - FRONT - PAGE,
    MOST_SLOTS = SLOT_BYTES / SMALLEST,
    MAP_WORDS = (MOST_SLOTS + 63) / 64,
};

/* Found by masking any of its slots' addresses. */
struct pool_chunk {
    struct pool_chunk *next, *prev; /* in pool->open[class], while it has a free slot */
    size_t mapped;                  /* bytes of the whole mapping */
    unsigned class;                 /* POOL_CLASSES: one large piece */
    unsigned slots, used;
    size_t large_len;          /* the large piece's length */
    uint64_t taken[MAP_WORDS]; /* one bit a slot */
};

_Static_assert(sizeof(struct pool_chunk) <= PAGE, "the book-keeping has one page");

/* The length of a slot's piece stands in front of it. */
enum { SLOT_HEAD = 16 };

static struct pool_chunk *chunk_of(const void *data)
{
    return (struct pool_chunk *)((uintptr_t)data & ~(uintptr_t)(CHUNK_BYTES - 1));
}

/* Maps `bytes`, aligned to CHUNK_BYTES, with guards; the space between them is locked and undumped.
 */
static struct pool_chunk *chunk_map(struct pool *p, size_t bytes)
{
    size_t span = bytes + CHUNK_BYTES;
    if (span < bytes)
        return NULL;
    uint8_t *raw = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    uint8_t *base = (uint8_t *)(((uintptr_t)raw + CHUNK_BYTES - 1) & ~(uintptr_t)(CHUNK_BYTES - 1));
    if (base > raw)
        munmap(raw, (size_t)(base - raw));
    size_t behind = (size_t)(raw + span - (base + bytes));
    if (behind)
        munmap(base + bytes, behind);
    uint8_t *slots = base + FRONT;
    size_t room = bytes - FRONT - PAGE;
    if (mprotect(base, PAGE, PROT_READ | PROT_WRITE) != 0 ||
        mprotect(slots, room, PROT_READ | PROT_WRITE) != 0 ||
        (mlock(slots, room) != 0 && p->must_lock) || madvise(slots, room, MADV_DONTDUMP) != 0 ||
        (p->wipe_on_fork && madvise(slots, room, MADV_WIPEONFORK) != 0)) {
        munmap(base, bytes);
        return NULL;
    }
#ifdef HF_SANITIZERS
    __lsan_register_root_region(slots, room);
#endif
    struct pool_chunk *c = (struct pool_chunk *)base;
    c->mapped = bytes;
    return c;
}

static void chunk_unmap(struct pool_chunk *c)
{
#ifdef HF_SANITIZERS
    __lsan_unregister_root_region((uint8_t *)c + FRONT, c->mapped - FRONT - PAGE);
#endif
    munmap(c, c->mapped);
}

static void open_add(struct pool *p, struct pool_chunk *c)
{
    c->prev = NULL;
    c->next = p->open[c->class];
    if (c->next)
        c->next->prev = c;
    p->open[c->class] = c;
}

static void open_remove(struct pool *p, struct pool_chunk *c)
{
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        p->open[c->class] = c->next;
    c->next = c->prev = NULL;
}

static unsigned take_slot(struct pool_chunk *c)
{
    for (unsigned word = 0;; word++) {
        if (~c->taken[word] == 0)
            continue;
        unsigned slot = word * 64 + (unsigned)__builtin_ctzll(~c->taken[word]);
        c->taken[word] |= UINT64_C(1) << (slot % 64);
        c->used++;
        return slot;
    }
}

static void *alloc_large(struct pool *p, size_t len)
{
    size_t room = (len + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (room < len || room > SIZE_MAX / 4)
        return NULL;
    struct pool_chunk *c = chunk_map(p, FRONT + room + PAGE);
    if (!c)
        return NULL;
    c->class = POOL_CLASSES;
    c->large_len = len;
    return (uint8_t *)c + FRONT;
}

void *pool_alloc(struct pool *p, size_t len)
{
    if (len > LARGEST - SLOT_HEAD)
        return alloc_large(p, len);
    unsigned class = 0;
    while ((size_t)SMALLEST << class < len + SLOT_HEAD)
        class ++;
    size_t each = (size_t)SMALLEST << class;
    uint8_t *slot = NULL;
    pthread_mutex_lock(&p->lock);
    struct pool_chunk *c = p->open[class];
    if (!c && (c = chunk_map(p, CHUNK_BYTES))) {
        c->class = class;
        c->slots = (unsigned)(SLOT_BYTES / each);
        open_add(p, c);
    }
    if (c) {
        slot = (uint8_t *)c + FRONT + take_slot(c) * each;
        if (c->used == c->slots)
            open_remove(p, c);
    }
    pthread_mutex_unlock(&p->lock);
    if (!slot)
        return NULL;
    memcpy(slot, &len, sizeof len);
    return slot + SLOT_HEAD;
}

size_t pool_size(const void *data)
{
    const struct pool_chunk *c = chunk_of(data);
    if (c->class == POOL_CLASSES)
        return c->large_len;
    size_t len;
    memcpy(&len, (const uint8_t *)data - SLOT_HEAD, sizeof len);
    return len;
}

/* True when all is zero; the bytes are free space, not secrets, so the time may tell. */
static bool is_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

void pool_free(struct pool *p, void *data)
{
    if (!data)
        return;
    struct pool_chunk *c = chunk_of(data);
    if (c->class == POOL_CLASSES) {
        wipe(data, c->large_len);
        chunk_unmap(c);
        return;
    }
    size_t each = (size_t)SMALLEST << c->class;
    uint8_t *slot = (uint8_t *)data - SLOT_HEAD;
    size_t len = pool_size(data);
    if (len > each - SLOT_HEAD || !is_zero((uint8_t *)data + len, each - SLOT_HEAD - len))
        abort();
    wipe(slot, SLOT_HEAD + len);
    unsigned index = (unsigned)((size_t)(slot - ((uint8_t *)c + FRONT)) / each);
    uint64_t bit = UINT64_C(1) << (index % 64);
    pthread_mutex_lock(&p->lock);
    if (!(c->taken[index / 64] & bit))
        abort(); /* freed twice */
    c->taken[index / 64] &= ~bit;
    if (c->used-- == c->slots)
        open_add(p, c);
    pthread_mutex_unlock(&p->lock);
}
