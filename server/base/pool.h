/*
 * Locked memory in small pieces: slots of a few sizes in chunks that are mlocked, left out of
 * cores, fenced by guard pages, and wiped when freed, so that a secret costs no system call.
 * secret.c and the vault's OpenSSL heap each have one. Safe to use from several threads.
 */
#ifndef SERVER_BASE_POOL_H
#define SERVER_BASE_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    POOL_CLASSES = 9
}; /* slots of 64 bytes to 16 KiB; larger pieces have a mapping of their own */

struct pool_chunk;
struct pool {
    pthread_mutex_t lock;
    struct pool_chunk *open[POOL_CLASSES]; /* chunks with a free slot */
    bool wipe_on_fork;                     /* a child sees zeros (MADV_WIPEONFORK) */
    bool must_lock;                        /* no memory rather than memory that could be swapped */
};

#define POOL_OF(fork, locked) ((struct pool){PTHREAD_MUTEX_INITIALIZER, {NULL}, (fork), (locked)})

/* Zeroed memory, aligned to 16 bytes, or NULL. */
void *pool_alloc(struct pool *p, size_t len);
/* Wipes and gives back what pool_alloc() gave; NULL is fine. Aborts when a byte behind the piece's
 * own was written (an overrun would have reached a neighbour's secret). */
void pool_free(struct pool *p, void *data);
/* The length asked for. */
size_t pool_size(const void *data);

#endif
