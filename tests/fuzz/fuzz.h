/*
 * The fuzz targets of proto. Each takes any bytes, and aborts when the code breaks a promise: what
 * is accepted can be said again, and means the same. Built twice: as libFuzzer programs, and all
 * together in tests/fuzz/seeds over a corpus made by the tests' generator.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdlib.h>

#include "proto/kmip/message.h"

int fuzz_ttlv(const uint8_t *data, size_t len);
int fuzz_request(const uint8_t *data, size_t len);
int fuzz_response(const uint8_t *data, size_t len);
int fuzz_attr_json(const uint8_t *data, size_t len);
int fuzz_build(const uint8_t *data, size_t len);

/* A libFuzzer program defines FUZZ_ENTRY as its target's name. */
#ifdef FUZZ_ENTRY
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return FUZZ_ENTRY(data, len);
}
#endif

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Calls `each` for every seed of target number `target` (0 ttlv, 1 request, 2 response, 3
 * attr_json, 4 build). */
void corpus_make(int target, void (*each)(void *arg, struct bytes seed), void *arg);

#endif
