/*
 * What symmetric keys do to data: which modes each algorithm has, and what goes with them of padding, IV, counter and
 * tag. One table and one rule for the operations, which check what a client asks for, and for the vault, which does it
 * and trusts nobody's check. Pure: no key, no data. KMIP 2.1, 4.16, 6.1.11 and 6.1.17; SP 800-38A, C and D; RFC 8439.
 */
#ifndef SERVER_BASE_CIPHER_H
#define SERVER_BASE_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum {
    CIPHER_IV_MADE_MOST = 16, /* bytes of an IV that the vault makes */
    CIPHER_TAG_MOST = 16,
    CIPHER_BLOCK_MOST = 16,
    CIPHER_DATA_MOST = 16 * 1024 * 1024, /* data of one operation, and its additional data: the longest request */
};

/* One mode of one algorithm. Lengths in bytes. */
struct cipher {
    uint32_t algorithm, mode; /* KMIP Cryptographic Algorithm, Block Cipher Mode; mode 0: it has none */
    uint8_t block;            /* data come in such blocks, or are padded to them; 1: in any length */
    uint8_t iv_least, iv_most, iv_step, iv_preset; /* 0: takes none */
    uint8_t tag_least, tag_step;                   /* up to CIPHER_TAG_MOST; 0: does not authenticate */
    uint8_t counted; /* bytes that one value of the counter is good for; 0: there is no counter */
};

/* What a client asks for: KMIP's numbers, lengths in bytes. */
struct cipher_request {
    bool encrypt;
    uint32_t algorithm, mode, padding; /* 0: not said */
    uint32_t iv_bytes, tag_bytes;      /* 0: not said */
    uint32_t counter_bits;             /* of the IV, where it holds the counter; 0: not said */
    bool has_counter;                  /* the counter is no part of the IV */
    uint32_t counter;                  /* and begins with this */
    bool make_iv;                      /* where none is given and one is needed */
};

/* What is given with it. */
struct cipher_lengths {
    size_t additional, tag, data;
};

/* How it is to be done. */
struct cipher_plan {
    const struct cipher *cipher;
    bool padded, make_iv;
    size_t iv_bytes, tag_bytes;
};

/* NULL: there is no such mode of this algorithm. Static storage. */
const struct cipher *cipher_find(uint32_t algorithm, uint32_t mode);
/* The whole table, for tests. */
const struct cipher *cipher_table(size_t *count);
/*
 * Whether it can be done, and how. An empty IV counts as none. RC_PARAMS_MISSING, RC_PARAMS_CONFLICT,
 * RC_PARAMS_UNSUPPORTED, RC_IV_MISSING, RC_IV_LENGTH, RC_TAG_MISSING, RC_TAG_LENGTH, RC_DATA_LENGTH, RC_TOO_LARGE;
 * RC_CRYPTO: a tag of a wrong length, which is a wrong tag.
 */
rc_t cipher_plan(const struct cipher_request *r, struct bytes iv, const struct cipher_lengths *have,
                 struct cipher_plan *out);
/* The bytes of the IV that this request needs where it does not tell it; 0: none. */
size_t cipher_iv_bytes(const struct cipher_request *r);
/* The first counter block of 16 bytes, for ciphers that count; iv is as long as planned. */
void cipher_counter_block(const struct cipher_request *r, const struct cipher *c, struct bytes iv, uint8_t out[16]);

#endif
