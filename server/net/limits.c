/* Shared counts of connections and rates of handshakes; see limits.h. */
#define _GNU_SOURCE

#include "server/net/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUCKETS = 4096, /* of a section's table, by kind */
    WAYS = 16,      /* slots of a bucket; a key has two buckets to go to */
    RATE_BUCKETS = 1024,
    MAGIC = 0x48464C31, /* "HFL1": the layout below */
};

/* Written by one worker only; `key` 0 is a free slot, and a slot whose count is 0 may be taken. */
struct slot {
    _Atomic uint64_t key;
    _Atomic uint32_t count;
    uint32_t unused;
};

struct section {
    struct slot slots[LIMITS_KINDS][BUCKETS][WAYS];
};

enum rate_kind { RATE_HANDSHAKES, RATE_REQUESTS, RATE_KINDS };

/* Written by all. `free_at`: when the address has its whole burst again, or the client's next request may run,
 * microseconds. */
struct rate {
    _Atomic uint64_t key;
    _Atomic int64_t free_at;
};

/* Sections begin at pages, and those that nobody uses are never touched, so they cost no memory. */
struct shared {
    uint32_t magic;
    uint32_t size;
    uint8_t seed[16]; /* of the keyed hash */
    _Atomic uint32_t used[LIMITS_WORKERS];
    _Atomic uint32_t connections[LIMITS_WORKERS];
    _Alignas(4096) struct rate rates[RATE_KINDS][RATE_BUCKETS][WAYS];
    _Alignas(4096) struct section sections[LIMITS_WORKERS];
};

struct limits {
    struct shared *shared;
    struct section *own;
    unsigned worker;
    struct limits_settings set;
};

/* SipHash-2-4 (Aumasson, Bernstein): nobody outside can choose names that fall together. */
static uint64_t rotate(uint64_t v, unsigned by)
{
    return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t key_hash(const struct limits *limits, struct bytes key)
{
    uint64_t k0 = load_be64(limits->shared->seed), k1 = load_be64(limits->shared->seed + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    uint64_t last = (uint64_t)key.len << 56;
    while (key.len >= 8) {
        uint64_t m;
        memcpy(&m, key.data, 8);
        v[3] ^= m, sip_round(v), sip_round(v), v[0] ^= m;
        key.data += 8, key.len -= 8;
    }
    for (size_t i = 0; i < key.len; i++)
        last |= (uint64_t)key.data[i] << (8 * i);
    v[3] ^= last, sip_round(v), sip_round(v), v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v), sip_round(v), sip_round(v), sip_round(v);
    uint64_t h = v[0] ^ v[1] ^ v[2] ^ v[3];
    return h ? h : 1;
}

rc_t limits_make(int *fd_out)
{
    struct {
        uint32_t magic, size;
        uint8_t seed[16];
    } head = {MAGIC, (uint32_t)sizeof(struct shared), {0}};
    if (getrandom(head.seed, sizeof head.seed, 0) != (ssize_t)sizeof head.seed)
        return RC_IO;
    int fd = memfd_create("holdfast-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return RC_IO;
    if (ftruncate(fd, (off_t)sizeof(struct shared)) != 0 ||
        pwrite(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        close(fd);
        return RC_IO;
    }
    *fd_out = fd;
    return RC_OK;
}

rc_t limits_map(int fd, unsigned worker, struct limits **out)
{
    struct stat st;
    if (worker >= LIMITS_WORKERS || fstat(fd, &st) != 0 ||
        st.st_size != (off_t)sizeof(struct shared))
        return RC_BAD_LENGTH;
    struct limits *limits = calloc(1, sizeof *limits);
    if (!limits)
        return RC_NO_MEMORY;
    void *map = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        free(limits);
        return RC_NO_MEMORY;
    }
    limits->shared = map;
    limits->own = &limits->shared->sections[worker];
    limits->worker = worker;
    limits->set = LIMITS_DEFAULT;
    if (limits->shared->magic != MAGIC || limits->shared->size != sizeof(struct shared)) {
        limits_unmap(&limits);
        return RC_BAD_LENGTH;
    }
    atomic_store(&limits->shared->used[worker], 1);
    *out = limits;
    return RC_OK;
}

void limits_unmap(struct limits **limits)
{
    if (!*limits)
        return;
    munmap((*limits)->shared, sizeof(struct shared));
    free(*limits);
    *limits = NULL;
}

void limits_set(struct limits *limits, const struct limits_settings *settings)
{
    limits->set = *settings;
}

void limits_clear_worker(struct limits *limits, unsigned worker)
{
    if (worker >= LIMITS_WORKERS)
        return;
    atomic_store(&limits->shared->connections[worker], 0);
    /* Gives the pages back: read again, they are zero. */
    struct section *section = &limits->shared->sections[worker];
    if (madvise(section, sizeof *section, MADV_REMOVE) != 0)
        memset(section, 0, sizeof *section);
}

uint64_t limits_node_connections(const struct limits *limits)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < LIMITS_WORKERS; i++)
        sum += atomic_load(&limits->shared->connections[i]);
    return sum;
}

rc_t limits_connection_add(struct limits *limits)
{
    _Atomic uint32_t *own = &limits->shared->connections[limits->worker];
    uint32_t had = atomic_load(own);
    if (limits->set.worker_connections && had >= limits->set.worker_connections)
        return RC_BUSY;
    /* Counted first and looked at afterwards, so that two workers never both take the last place.
     */
    atomic_store(own, had + 1);
    if (limits->set.node_connections &&
        limits_node_connections(limits) > limits->set.node_connections) {
        atomic_store(own, had);
        return RC_BUSY;
    }
    return RC_OK;
}

void limits_connection_drop(struct limits *limits)
{
    _Atomic uint32_t *own = &limits->shared->connections[limits->worker];
    uint32_t had = atomic_load(own);
    if (had)
        atomic_store(own, had - 1);
}

static struct slot *bucket_of(struct section *section, enum limits_kind kind, uint64_t hash,
                              int choice)
{
    return section->slots[kind][(choice ? hash >> 32 : hash) % BUCKETS];
}

static struct slot *slot_find(struct section *section, enum limits_kind kind, uint64_t hash)
{
    for (int choice = 0; choice < 2; choice++) {
        struct slot *bucket = bucket_of(section, kind, hash, choice);
        for (size_t i = 0; i < WAYS; i++)
            if (atomic_load_explicit(&bucket[i].key, memory_order_acquire) == hash)
                return &bucket[i];
    }
    return NULL;
}

/* The own slot of this key, taken when there is none. NULL: both buckets are full of others. */
static struct slot *slot_take(struct section *section, enum limits_kind kind, uint64_t hash)
{
    struct slot *slot = slot_find(section, kind, hash);
    for (int choice = 0; !slot && choice < 2; choice++) {
        struct slot *bucket = bucket_of(section, kind, hash, choice);
        for (size_t i = 0; !slot && i < WAYS; i++)
            if (atomic_load(&bucket[i].count) == 0) {
                slot = &bucket[i];
                atomic_store_explicit(&slot->key, hash, memory_order_release);
            }
    }
    return slot;
}

rc_t limits_add(struct limits *limits, enum limits_kind kind, struct bytes key)
{
    unsigned most = kind == LIMITS_IDENTITY ? limits->set.identity_connections
                                            : limits->set.address_connections;
    uint64_t hash = key_hash(limits, key), sum = 0;
    struct slot *own = slot_take(limits->own, kind, hash);
    if (!own)
        return RC_BUSY;
    /* As above: counted first. Two at the last place may both be refused, never both be let in. */
    atomic_fetch_add(&own->count, 1);
    for (size_t i = 0; most && i < LIMITS_WORKERS; i++) {
        struct slot *slot = atomic_load(&limits->shared->used[i])
                                ? slot_find(&limits->shared->sections[i], kind, hash)
                                : NULL;
        sum += slot ? atomic_load(&slot->count) : 0;
    }
    if (most && sum > most) {
        atomic_fetch_sub(&own->count, 1);
        return RC_BUSY;
    }
    return RC_OK;
}

void limits_drop(struct limits *limits, enum limits_kind kind, struct bytes key)
{
    uint64_t hash = key_hash(limits, key);
    struct slot *own = slot_find(limits->own, kind, hash);
    if (own && atomic_load(&own->count))
        atomic_fetch_sub(&own->count, 1);
}

/* The word of this address or client: its own, else one that rests, else the one nearest to rest. */
static struct rate *rate_take(struct limits *limits, enum rate_kind kind, uint64_t hash)
{
    struct rate *bucket = limits->shared->rates[kind][hash % RATE_BUCKETS], *best = NULL;
    int64_t best_at = INT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load(&bucket[i].key) == hash)
            return &bucket[i];
        int64_t at = atomic_load(&bucket[i].free_at);
        if (at < best_at)
            best = &bucket[i], best_at = at;
    }
    if (best) {
        atomic_store(&best->free_at, 0);
        atomic_store(&best->key, hash);
    }
    return best;
}

/* Generic cell rate algorithm: one word says all, so one compare-and-swap does it. */
rc_t limits_handshake(struct limits *limits, struct bytes address, int64_t now_us)
{
    if (!limits->set.handshakes_per_s)
        return RC_OK;
    int64_t step = 1000000 / limits->set.handshakes_per_s;
    int64_t burst = step * (limits->set.handshake_burst ? limits->set.handshake_burst : 1);
    struct rate *rate = rate_take(limits, RATE_HANDSHAKES, key_hash(limits, address));
    if (!rate)
        return RC_OK;
    int64_t was = atomic_load(&rate->free_at), next;
    do {
        next = (was > now_us ? was : now_us) + step;
        if (next - now_us > burst)
            return RC_BUSY;
    } while (!atomic_compare_exchange_weak(&rate->free_at, &was, next));
    return RC_OK;
}

/* The same without a burst: what comes early has the next place that is free. */
int64_t limits_request(struct limits *limits, struct bytes client, int64_t per_second, int64_t now_us)
{
    int64_t step = per_second < 1 ? 1000000 : per_second < 1000000 ? 1000000 / per_second : 1;
    int64_t longest = (int64_t)limits->set.request_wait_ms * 1000;
    struct rate *rate = rate_take(limits, RATE_REQUESTS, key_hash(limits, client));
    if (!rate)
        return 0;
    int64_t was = atomic_load(&rate->free_at), begins;
    do {
        begins = was > now_us ? was : now_us;
        if (begins - now_us > longest)
            return -1;
    } while (!atomic_compare_exchange_weak(&rate->free_at, &was, begins + step));
    return begins - now_us;
}
