/* OpenSSL's allocations on a pool of locked memory; see heap.h. Used by the vault process alone. */
#include "server/vault/crypto/heap.h"

#include <openssl/crypto.h>
#include <string.h>

#include "server/base/pool.h"

static struct pool heap = {PTHREAD_MUTEX_INITIALIZER, {NULL}, false, false};

static void *heap_malloc(size_t len, const char *file, int line)
{
    (void)file, (void)line;
    return len ? pool_alloc(&heap, len) : NULL;
}

static void heap_free(void *data, const char *file, int line)
{
    (void)file, (void)line;
    pool_free(&heap, data);
}

static void *heap_realloc(void *data, size_t len, const char *file, int line)
{
    if (!data)
        return heap_malloc(len, file, line);
    size_t had = pool_size(data);
    void *fresh = len ? pool_alloc(&heap, len) : NULL;
    if (len && !fresh)
        return NULL;
    if (fresh)
        memcpy(fresh, data, had < len ? had : len);
    pool_free(&heap, data);
    return fresh;
}

rc_t crypto_heap_install(void)
{
    return CRYPTO_set_mem_functions(heap_malloc, heap_realloc, heap_free) == 1 ? RC_OK
                                                                               : RC_INTERNAL;
}
