/*
 * OpenSSL behind one door; see crypto.h. Algorithms are fetched once and contexts are used again,
 * since fetching costs more than the work itself on one key.
 */
#include "server/vault/crypto/crypto.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "proto/base/wipe.h"

struct crypto {
    EVP_CIPHER *gcm;
    EVP_MD *sha256;
    EVP_MAC *hmac;
    EVP_CIPHER_CTX *seal, *open;
    EVP_MD_CTX *hash;
};

struct crypto_mac {
    EVP_MAC_CTX *ctx;
};

rc_t crypto_new(struct crypto **out)
{
    struct crypto *c = calloc(1, sizeof *c);
    if (!c)
        return RC_NO_MEMORY;
    c->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c->seal = EVP_CIPHER_CTX_new();
    c->open = EVP_CIPHER_CTX_new();
    c->hash = EVP_MD_CTX_new();
    if (!c->gcm || !c->sha256 || !c->hmac || !c->seal || !c->open || !c->hash ||
        EVP_EncryptInit_ex2(c->seal, c->gcm, NULL, NULL, NULL) != 1 ||
        EVP_DecryptInit_ex2(c->open, c->gcm, NULL, NULL, NULL) != 1) {
        crypto_free(c);
        return RC_CRYPTO;
    }
    *out = c;
    return RC_OK;
}

void crypto_free(struct crypto *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->seal);
    EVP_CIPHER_CTX_free(c->open);
    EVP_MD_CTX_free(c->hash);
    EVP_CIPHER_free(c->gcm);
    EVP_MD_free(c->sha256);
    EVP_MAC_free(c->hmac);
    free(c);
}

rc_t crypto_mac_new(struct crypto *c, struct bytes key, struct crypto_mac **out)
{
    struct crypto_mac *m = calloc(1, sizeof *m);
    if (!m)
        return RC_NO_MEMORY;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    m->ctx = EVP_MAC_CTX_new(c->hmac);
    if (!m->ctx || EVP_MAC_init(m->ctx, key.data, key.len, params) != 1) {
        crypto_mac_free(m);
        return RC_CRYPTO;
    }
    *out = m;
    return RC_OK;
}

void crypto_mac_free(struct crypto_mac *m)
{
    if (!m)
        return;
    EVP_MAC_CTX_free(m->ctx);
    free(m);
}

rc_t crypto_mac(struct crypto_mac *m, const struct bytes *parts, size_t count,
                uint8_t out[CRYPTO_HASH_BYTES])
{
    /* Without a key: begins again with the one set, at half the cost of a copy of the context. */
    if (EVP_MAC_init(m->ctx, NULL, 0, NULL) != 1)
        return RC_CRYPTO;
    for (size_t i = 0; i < count; i++)
        if (parts[i].len && EVP_MAC_update(m->ctx, parts[i].data, parts[i].len) != 1)
            return RC_CRYPTO;
    size_t len = 0;
    if (EVP_MAC_final(m->ctx, out, &len, CRYPTO_HASH_BYTES) != 1 || len != CRYPTO_HASH_BYTES)
        return RC_CRYPTO;
    return RC_OK;
}

rc_t crypto_sha256(struct crypto *c, struct bytes data, uint8_t out[CRYPTO_HASH_BYTES])
{
    unsigned len = 0;
    if (EVP_DigestInit_ex2(c->hash, c->sha256, NULL) != 1 ||
        EVP_DigestUpdate(c->hash, data.data, data.len) != 1 ||
        EVP_DigestFinal_ex(c->hash, out, &len) != 1 || len != CRYPTO_HASH_BYTES)
        return RC_CRYPTO;
    return RC_OK;
}

rc_t crypto_hkdf_extract(struct crypto *c, struct bytes salt, struct bytes secret,
                         struct crypto_mac **prk_out)
{
    static const uint8_t zeros[CRYPTO_HASH_BYTES];
    uint8_t prk[CRYPTO_HASH_BYTES];
    struct crypto_mac *m = NULL;
    TRY(crypto_mac_new(c, salt.len ? salt : bytes_of(zeros, sizeof zeros), &m));
    rc_t rc = crypto_mac(m, &secret, 1, prk);
    crypto_mac_free(m);
    if (rc == RC_OK)
        rc = crypto_mac_new(c, bytes_of(prk, sizeof prk), prk_out);
    wipe(prk, sizeof prk);
    return rc;
}

rc_t crypto_hkdf_expand(struct crypto_mac *prk, struct bytes info, uint8_t *out, size_t len)
{
    if (len > (size_t)255 * CRYPTO_HASH_BYTES)
        return RC_CRYPTO;
    uint8_t block[CRYPTO_HASH_BYTES];
    size_t had = 0;
    rc_t rc = RC_OK;
    for (uint8_t i = 1; rc == RC_OK && len > 0; i++) {
        struct bytes parts[] = {{block, had}, info, {&i, 1}};
        rc = crypto_mac(prk, parts, 3, block);
        had = sizeof block;
        size_t n = len < had ? len : had;
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
    wipe(block, sizeof block);
    return rc;
}

rc_t crypto_gcm_seal(struct crypto *c, const uint8_t key[CRYPTO_KEY_BYTES],
                     const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes data,
                     uint8_t *out)
{
    int n = 0, last = 0;
    if (data.len > INT_MAX - CRYPTO_TAG_BYTES || aad.len > INT_MAX)
        return RC_TOO_LARGE;
    if (EVP_EncryptInit_ex2(c->seal, NULL, key, nonce, NULL) != 1 ||
        EVP_EncryptUpdate(c->seal, NULL, &n, aad.data, (int)aad.len) != 1 ||
        (data.len && EVP_EncryptUpdate(c->seal, out, &n, data.data, (int)data.len) != 1) ||
        EVP_EncryptFinal_ex(c->seal, out + data.len, &last) != 1 || last != 0 ||
        EVP_CIPHER_CTX_ctrl(c->seal, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_BYTES, out + data.len) != 1)
        return RC_CRYPTO;
    return RC_OK;
}

rc_t crypto_gcm_open(struct crypto *c, const uint8_t key[CRYPTO_KEY_BYTES],
                     const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes sealed,
                     uint8_t *out)
{
    if (sealed.len < CRYPTO_TAG_BYTES || sealed.len > INT_MAX || aad.len > INT_MAX)
        return RC_INTEGRITY;
    size_t len = sealed.len - CRYPTO_TAG_BYTES;
    uint8_t tag[CRYPTO_TAG_BYTES];
    memcpy(tag, sealed.data + len, sizeof tag);
    int n = 0, last = 0;
    if (EVP_DecryptInit_ex2(c->open, NULL, key, nonce, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(c->open, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1 ||
        EVP_DecryptUpdate(c->open, NULL, &n, aad.data, (int)aad.len) != 1)
        return RC_CRYPTO;
    if ((len && EVP_DecryptUpdate(c->open, out, &n, sealed.data, (int)len) != 1) ||
        EVP_DecryptFinal_ex(c->open, out + len, &last) != 1) {
        wipe(out, len);
        return RC_INTEGRITY;
    }
    return RC_OK;
}

rc_t crypto_random_key(uint8_t *out, size_t len)
{
    return len <= INT_MAX && RAND_priv_bytes(out, (int)len) == 1 ? RC_OK : RC_CRYPTO;
}

rc_t crypto_random_public(uint8_t *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1 ? RC_OK : RC_CRYPTO;
}

void crypto_random_mix(struct bytes random)
{
    if (random.len <= INT_MAX)
        RAND_add(random.data, (int)random.len, 0.0);
}
