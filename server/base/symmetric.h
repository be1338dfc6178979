/*
 * The symmetric algorithms that KMIP names, HMAC among them: which lengths their keys have, which one is made when
 * none is asked for, and how many bytes hold it. One table for the operations, which check what a client sends, and
 * for the vault, which makes the keys and trusts nobody's check.
 */
#ifndef SERVER_BASE_SYMMETRIC_H
#define SERVER_BASE_SYMMETRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symmetric {
    uint32_t algorithm;         /* KMIP Cryptographic Algorithm */
    uint32_t least, most, step; /* Cryptographic Length in bits: least, least + step, ..., most */
    uint32_t preset;            /* the length when none is asked for; 0: it has to be asked for */
    bool parity;                /* each byte holds 7 bits of the key and one of odd parity */
};

/* NULL if the number is no symmetric algorithm. Static storage. */
const struct symmetric *symmetric_find(uint32_t algorithm);
/* The whole table, for tests. */
const struct symmetric *symmetric_table(size_t *count);

/*
 * Bytes of a key of `bits` Cryptographic Length, or 0 if keys of this algorithm have no such length. Where the bytes
 * hold parity, clients count its bits or leave them out: 168 and 192 both mean a triple DES key of 24 bytes.
 */
size_t symmetric_bytes(const struct symmetric *s, uint32_t bits);
/* The Cryptographic Length of a key of so many bytes, parity left out; 0 if there is no such key. */
uint32_t symmetric_bits(const struct symmetric *s, size_t bytes);

#endif
