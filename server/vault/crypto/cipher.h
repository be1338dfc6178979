/*
 * Encryption and decryption with managed keys. Part of the vault's door to OpenSSL; any thread. What goes together
 * stands in server/base/cipher.h.
 */
#ifndef SERVER_VAULT_CRYPTO_CIPHER_H
#define SERVER_VAULT_CRYPTO_CIPHER_H

#include "proto/base/buf.h"
#include "server/base/cipher.h"

/* One piece of work. Its owner frees it with cipher_work_free(), which wipes. */
struct cipher_work {
    struct cipher_request request;
    struct cipher_plan plan; /* as cipher_plan() made it for all of this */
    struct buf key, iv, additional;
    uint8_t tag[CIPHER_TAG_MOST]; /* given, or made */
    struct buf data;              /* the input; then the output */
};

void cipher_work_free(struct cipher_work *w);
/*
 * Does it. Makes the IV if that is planned. RC_CRYPTO, always the same one: the tag or the padding is wrong, or OpenSSL
 * fails; then the data are wiped. RC_NO_MEMORY; RC_PARAMS_UNSUPPORTED: this OpenSSL lacks the cipher, or the key
 * is none for it.
 */
rc_t cipher_work(struct cipher_work *w);

#endif
