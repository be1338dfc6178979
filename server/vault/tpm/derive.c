/*
 * Key derivation by OpenSSL's EVP. No key of its own, no state.
 */
#include "server/vault/tpm/derive.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "proto/base/wipe.h"

enum { DIGEST = 32 };

static rc_t add_field(uint8_t *info, size_t *len, struct bytes field)
{
    if (field.len > UINT16_MAX || field.len + 2 > DERIVE_INFO_MAX - *len)
        return RC_TOO_LARGE;
    store_be16(info + *len, (uint16_t)field.len);
    if (field.len)
        memcpy(info + *len + 2, field.data, field.len);
    *len += field.len + 2;
    return RC_OK;
}

static rc_t hkdf(struct bytes key, struct bytes info, struct secret *out)
{
    char digest_name[] = "SHA256";
    union {
        const uint8_t *shown;
        uint8_t *own;
    } key_data = {.shown = key.data}, info_data = {.shown = info.data};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key_data.own, key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info_data.own, info.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    rc_t rc = ctx && EVP_KDF_derive(ctx, out->data, out->len, params) == 1 ? RC_OK : RC_CRYPTO;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return rc;
}

rc_t derive_key(const struct secret *from, const char *label, const struct bytes *fields,
                size_t field_count, size_t len, struct secret **out)
{
    uint8_t info[DERIVE_INFO_MAX];
    size_t info_len = 0;
    AUTO_SECRET key = NULL;
    if (field_count > DERIVE_FIELDS_MAX || len == 0 || len > 255 * DIGEST)
        return RC_TOO_LARGE;
    TRY(add_field(info, &info_len, bytes_str("holdfast")));
    TRY(add_field(info, &info_len, bytes_str(label)));
    for (size_t i = 0; i < field_count; i++)
        TRY(add_field(info, &info_len, fields[i]));
    TRY(secret_new(len, &key));
    TRY(hkdf(secret_view(from), bytes_of(info, info_len), key));
    *out = secret_give(&key);
    return RC_OK;
}

rc_t derive_mac(struct bytes key, const struct bytes *parts, size_t part_count, uint8_t mac[DIGEST])
{
    char digest_name[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t len = 0;
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    bool ok = ctx && EVP_MAC_init(ctx, key.data, key.len, params) == 1;
    for (size_t i = 0; ok && i < part_count; i++)
        ok = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_MAC_final(ctx, mac, &len, DIGEST) == 1 && len == DIGEST;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(hmac);
    return ok ? RC_OK : RC_CRYPTO;
}

rc_t derive_kdfa(const struct secret *seed, const char *label, struct bytes context_u,
                 struct bytes context_v, size_t len, struct secret **out)
{
    uint8_t counter[4], bits[4], mac[DIGEST];
    AUTO_SECRET key = NULL;
    if (len > DIGEST)
        return RC_TOO_LARGE;
    store_be32(counter, 1); /* one block is enough */
    store_be32(bits, (uint32_t)len * 8);
    const struct bytes parts[] = {bytes_of(counter, 4), bytes_of(label, strlen(label) + 1),
                                  context_u, context_v, bytes_of(bits, 4)};
    TRY(secret_new(len, &key));
    rc_t rc = derive_mac(secret_view(seed), parts, sizeof parts / sizeof parts[0], mac);
    if (rc == RC_OK)
        memcpy(key->data, mac, len);
    wipe(mac, sizeof mac);
    TRY(rc);
    *out = secret_give(&key);
    return RC_OK;
}

rc_t derive_kdfe(const struct secret *z, const char *label, struct bytes party_u,
                 struct bytes party_v, struct secret **out)
{
    uint8_t counter[4];
    AUTO_SECRET key = NULL;
    TRY(secret_new(DIGEST, &key));
    store_be32(counter, 1);
    const struct bytes parts[] = {bytes_of(counter, 4), secret_view(z),
                                  bytes_of(label, strlen(label) + 1), party_u, party_v};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < sizeof parts / sizeof parts[0]; i++)
        ok = EVP_DigestUpdate(md, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(md, key->data, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (!ok)
        return RC_CRYPTO;
    *out = secret_give(&key);
    return RC_OK;
}

rc_t derive_random(size_t len, struct secret **out)
{
    AUTO_SECRET s = NULL;
    TRY(secret_new(len, &s));
    if (RAND_priv_bytes(s->data, (int)len) != 1)
        return RC_CRYPTO;
    *out = secret_give(&s);
    return RC_OK;
}
