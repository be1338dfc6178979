/*
 * Fills any structure of the payload tables with values that a version defines, from a small random
 * generator: the source of round-trip tests, of gating tests and of the fuzzers' seed corpus.
 */
#ifndef TESTS_SUPPORT_KMIP_FILL_H
#define TESTS_SUPPORT_KMIP_FILL_H

#include "proto/kmip/message.h"

struct fill {
    struct arena *arena;
    uint16_t version;
    uint64_t state; /* seed, not 0 */
    int every;      /* 0: required fields only; 1: all fields; 2: by chance */
    int depth;
};

uint32_t fill_random(struct fill *f, uint32_t below);
/* A new C struct of the table, filled. NULL when the arena is full. */
void *fill_struct(struct fill *f, int id);
void fill_attributes(struct fill *f, struct kmip_attributes *list, size_t count);
/* Messages with one item for each operation given. */
struct kmip_request *fill_request(struct fill *f, const uint32_t *operations, size_t count);
struct kmip_response *fill_response(struct fill *f, const uint32_t *operations, size_t count);

#endif
