/*
 * Wiping memory in a way the compiler may not leave out (explicit_bzero, glibc and the BSDs).
 */
#ifndef PROTO_BASE_WIPE_H
#define PROTO_BASE_WIPE_H

#include <stddef.h>
#include <string.h>

static inline void wipe(void *data, size_t len)
{
    if (len)
        explicit_bzero(data, len);
}

#endif
