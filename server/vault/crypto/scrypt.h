/*
 * Hashes of passwords: scrypt (RFC 7914). For the makers of the vault, who check passwords, and for the holdfast
 * command, which registers them.
 */
#ifndef SERVER_VAULT_CRYPTO_SCRYPT_H
#define SERVER_VAULT_CRYPTO_SCRYPT_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum {
    SCRYPT_HASH_BYTES = 32,
    SCRYPT_SALT_BYTES = 16, /* of new passwords */
    SCRYPT_SALT_MOST = 64,
    SCRYPT_MEMORY_MOST = 64 * 1024 * 1024, /* bytes; the vault has its memory locked */
    SCRYPT_WORK_MOST = 1024 * 1024 * 1024, /* bytes passed over: some seconds */
};

/* How much work one hash is: N as a power of two, r and p. */
struct scrypt_cost {
    uint32_t log2, block_size, parallel;
};

/* What new passwords are hashed with: 16 MiB, five times; a fifth of a second of one processor. */
#define SCRYPT_COST ((struct scrypt_cost){14, 8, 5})

/* Bytes that one hash of a cost within the limits takes. */
size_t scrypt_memory(const struct scrypt_cost *cost);
/*
 * The hash, wiped by the caller. RC_INVALID_FIELD: a cost beyond the limits above, or none; too long a salt. RC_CRYPTO:
 * OpenSSL has failed, for want of memory for instance. Any thread.
 */
rc_t scrypt_hash(const struct scrypt_cost *cost, struct bytes salt, struct bytes password,
                 uint8_t out[SCRYPT_HASH_BYTES]);

#endif
