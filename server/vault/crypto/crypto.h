/*
 * The vault's door to OpenSSL: besides tpm/ nothing in the vault calls it. A `struct crypto` holds
 * fetched algorithms and reusable contexts and belongs to one thread. Every failure of OpenSSL is
 * RC_CRYPTO; every failure of a tag is RC_INTEGRITY.
 */
#ifndef SERVER_VAULT_CRYPTO_CRYPTO_H
#define SERVER_VAULT_CRYPTO_CRYPTO_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum {
    CRYPTO_KEY_BYTES = 32,   /* AES-256 and HMAC keys */
    CRYPTO_HASH_BYTES = 32,  /* SHA-256 */
    CRYPTO_NONCE_BYTES = 12, /* AES-GCM */
    CRYPTO_TAG_BYTES = 16,
};

struct crypto;
/* An HMAC-SHA256 with its key set; belongs to the thread of its crypto. */
struct crypto_mac;

rc_t crypto_new(struct crypto **out);
void crypto_free(struct crypto *c);

rc_t crypto_mac_new(struct crypto *c, struct bytes key, struct crypto_mac **out);
/* Wipes; NULL is fine. */
void crypto_mac_free(struct crypto_mac *m);
/* HMAC-SHA256 over the parts, one after the other. */
rc_t crypto_mac(struct crypto_mac *m, const struct bytes *parts, size_t count,
                uint8_t out[CRYPTO_HASH_BYTES]);

rc_t crypto_sha256(struct crypto *c, struct bytes data, uint8_t out[CRYPTO_HASH_BYTES]);

/* HKDF-SHA256 (RFC 5869) in its two steps. Extract gives the keyed state that expand starts from.
 */
rc_t crypto_hkdf_extract(struct crypto *c, struct bytes salt, struct bytes secret,
                         struct crypto_mac **prk_out);
/* RC_CRYPTO when len is over 255 * 32. */
rc_t crypto_hkdf_expand(struct crypto_mac *prk, struct bytes info, uint8_t *out, size_t len);

/* AES-256-GCM. `out` takes data.len bytes of ciphertext, then the tag; it must not overlap `data`.
 */
rc_t crypto_gcm_seal(struct crypto *c, const uint8_t key[CRYPTO_KEY_BYTES],
                     const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes data,
                     uint8_t *out);
/* `sealed` is ciphertext and tag; `out` takes sealed.len - CRYPTO_TAG_BYTES bytes. On RC_INTEGRITY
 * `out` is wiped. */
rc_t crypto_gcm_open(struct crypto *c, const uint8_t key[CRYPTO_KEY_BYTES],
                     const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes sealed,
                     uint8_t *out);

/* Random bytes for keys (the private DRBG) and for what becomes public, such as nonces. Any thread.
 */
rc_t crypto_random_key(uint8_t *out, size_t len);
rc_t crypto_random_public(uint8_t *out, size_t len);
/* Mixes foreign random (the TPM's) into the DRBG. Counted as no entropy: it can add, never weaken.
 * Any thread. */
void crypto_random_mix(struct bytes random);

#endif
