/*
 * Secrets: key bytes, passwords, derived keys. Locked in memory, out of cores, wiped when freed,
 * compared in constant time, and a type of their own, so that none is printed by mistake.
 */
#ifndef SERVER_BASE_SECRET_H
#define SERVER_BASE_SECRET_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

struct secret {
    size_t len;
    size_t mapped; /* bytes of the mapping, for secret_free() */
    uint8_t data[];
};

#define AUTO_SECRET __attribute__((cleanup(secret_free))) struct secret *

/* Zeroed secret of len bytes. RC_NO_MEMORY when memory cannot be had or locked. */
rc_t secret_new(size_t len, struct secret **out);
/* A copy of bytes; the caller wipes its own. */
rc_t secret_from(struct bytes from, struct secret **out);
/* Wipes and frees; NULL is fine; clears the caller's pointer. */
void secret_free(struct secret **s);
/* Moves ownership out of an AUTO_SECRET variable. */
struct secret *secret_give(struct secret **s);
bool secret_equal(const struct secret *a, const struct secret *b);
/* Constant-time comparison of raw bytes such as MACs. */
bool bytes_equal_ct(struct bytes a, struct bytes b);

static inline struct bytes secret_view(const struct secret *s)
{
    return bytes_of(s->data, s->len);
}

#endif
