/*
 * P-256 by OpenSSL's EVP. See p256.h.
 */
#include "server/vault/tpm/p256.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "proto/base/wipe.h"

enum { COORDINATE = TEMPLATE_COORDINATE, POINT = 1 + 2 * COORDINATE, DER_SIGNATURE_MAX = 80 };

static const char group[] = "prime256v1";

void p256_free(struct p256 *key)
{
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
}

rc_t p256_generate(struct p256 *out)
{
    out->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);
    return out->pkey ? RC_OK : RC_CRYPTO;
}

static rc_t check_group(struct p256 *key)
{
    char name[32] = "";
    if (key->pkey && EVP_PKEY_is_a(key->pkey, "EC") == 1 &&
        EVP_PKEY_get_group_name(key->pkey, name, sizeof name, NULL) == 1 &&
        strcmp(name, group) == 0)
        return RC_OK;
    p256_free(key);
    return RC_CRYPTO;
}

/* Never ask a terminal: an encrypted PEM is refused. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static rc_t read_pem(struct bytes pem, bool private, struct p256 *out)
{
    out->pkey = NULL;
    BIO *bio = pem.len && pem.len < 16384 ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    if (!bio)
        return RC_CRYPTO;
    out->pkey = private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
                        : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return check_group(out);
}

rc_t p256_read_private(struct bytes pem, struct p256 *out)
{
    return read_pem(pem, true, out);
}

rc_t p256_read_public(struct bytes pem, struct p256 *out)
{
    return read_pem(pem, false, out);
}

static rc_t write_pem(const struct p256 *key, bool private, struct buf *pem)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    rc_t rc = RC_CRYPTO;
    int ok = !bio      ? 0
             : private ? PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL)
                       : PEM_write_bio_PUBKEY(bio, key->pkey);
    if (ok == 1) {
        long len = BIO_get_mem_data(bio, &text);
        rc = len > 0 ? buf_add(pem, text, (size_t)len) : RC_CRYPTO;
        if (len > 0)
            wipe(text, (size_t)len);
    }
    BIO_free(bio);
    return rc;
}

rc_t p256_write_private(const struct p256 *key, struct buf *pem)
{
    return write_pem(key, true, pem);
}

rc_t p256_write_public(const struct p256 *key, struct buf *pem)
{
    return write_pem(key, false, pem);
}

static rc_t from_numbers(const struct p256_point *point, struct bytes d, struct p256 *out)
{
    uint8_t raw[POINT] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(raw + 1, point->x, COORDINATE);
    memcpy(raw + 1 + COORDINATE, point->y, COORDINATE);
    out->pkey = NULL;
    BIGNUM *number = d.len ? BN_secure_new() : NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL), *check = NULL;
    bool ok =
        build && ctx &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, raw, sizeof raw) == 1;
    if (ok && d.len)
        ok = number && BN_bin2bn(d.data, (int)d.len, number) &&
             OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1;
    ok = ok && (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, &out->pkey, d.len ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                           params) == 1;
    ok = ok && (check = EVP_PKEY_CTX_new_from_pkey(NULL, out->pkey, NULL)) &&
         (d.len ? EVP_PKEY_check(check) : EVP_PKEY_public_check(check)) == 1;
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(number);
    if (!ok)
        p256_free(out);
    return ok ? RC_OK : RC_INTEGRITY;
}

rc_t p256_from_point(const struct p256_point *point, struct p256 *out)
{
    return from_numbers(point, BYTES_NONE, out);
}

rc_t p256_from_private(struct bytes d, const struct p256_point *point, struct p256 *out)
{
    if (d.len == 0 || d.len > COORDINATE)
        return RC_INTEGRITY;
    return from_numbers(point, d, out);
}

rc_t p256_point_of(const struct p256 *key, struct p256_point *out)
{
    uint8_t raw[POINT];
    size_t len = 0;
    if (EVP_PKEY_set_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       "uncompressed") != 1 ||
        EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, raw,
                                        sizeof raw, &len) != 1 ||
        len != POINT)
        return RC_CRYPTO;
    memcpy(out->x, raw + 1, COORDINATE);
    memcpy(out->y, raw + 1 + COORDINATE, COORDINATE);
    return RC_OK;
}

rc_t p256_sign(const struct p256 *key, const uint8_t digest[32], uint8_t signature[64])
{
    uint8_t der[DER_SIGNATURE_MAX];
    const uint8_t *p = der;
    size_t len = sizeof der;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    ECDSA_SIG *sig = NULL;
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, der, &len, digest, 32) == 1 &&
              (sig = d2i_ECDSA_SIG(NULL, &p, (long)len)) &&
              BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
    return ok ? RC_OK : RC_CRYPTO;
}

rc_t p256_verify(const struct p256 *key, const uint8_t digest[32], const uint8_t signature[64])
{
    uint8_t *der = NULL;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool good = false;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* the signature owns them now */
        int len = i2d_ECDSA_SIG(sig, &der);
        good = len > 0 && ctx && EVP_PKEY_verify_init(ctx) == 1 &&
               EVP_PKEY_verify(ctx, der, (size_t)len, digest, 32) == 1;
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
    return good ? RC_OK : RC_INTEGRITY;
}

rc_t p256_ecdh(const struct p256 *own, const struct p256 *peer, struct secret **z)
{
    AUTO_SECRET s = NULL;
    size_t len = COORDINATE;
    TRY(secret_new(COORDINATE, &s));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
    bool ok = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer(ctx, peer->pkey) == 1 &&
              EVP_PKEY_derive(ctx, s->data, &len) == 1 && len == COORDINATE;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        return RC_CRYPTO;
    *z = secret_give(&s);
    return RC_OK;
}
