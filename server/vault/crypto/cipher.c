/* Encryption and decryption by OpenSSL; see cipher.h. The data are worked on where they lie, so that they are in no
 * other buffer. */
#include "server/vault/crypto/cipher.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "proto/base/wipe.h"
#include "proto/kmip/tables.h"
#include "server/vault/crypto/crypto.h"

/* OpenSSL's names. sized: the length of the key is a part of them. */
static const struct {
    uint32_t algorithm;
    const char *name;
    bool sized;
} families[] = {
    {KMIP_ALGORITHM_AES, "AES", true},
    {KMIP_ALGORITHM_3DES, "DES-EDE3", false},
    {KMIP_ALGORITHM_CAMELLIA, "CAMELLIA", true},
    {KMIP_ALGORITHM_ARIA, "ARIA", true},
    {KMIP_ALGORITHM_SM4, "SM4", false},
    {KMIP_ALGORITHM_CHACHA20, "ChaCha20", false},
    {KMIP_ALGORITHM_CHACHA20POLY1305, "ChaCha20-Poly1305", false},
};

void cipher_work_free(struct cipher_work *w)
{
    buf_free(&w->key);
    buf_free(&w->iv);
    buf_free(&w->additional);
    buf_free(&w->data);
}

/* "AES-256-GCM", "DES-EDE3-CBC", "ChaCha20". Modes are named as KMIP writes them. */
static EVP_CIPHER *fetch(const struct cipher *c, size_t key_bytes)
{
    enum { NAME_ROOM = 48 };
    char name[NAME_ROOM];
    const struct kmip_entry *mode = kmip_enum(KMIP_TAG_BLOCK_CIPHER_MODE, c->mode);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (families[i].algorithm != c->algorithm)
            continue;
        if (families[i].sized && mode)
            snprintf(name, sizeof name, "%s-%zu-%s", families[i].name, key_bytes * 8, mode->text);
        else if (mode && c->mode != KMIP_MODE_AEAD)
            snprintf(name, sizeof name, "%s-%s", families[i].name, mode->text);
        else
            snprintf(name, sizeof name, "%s", families[i].name);
        return EVP_CIPHER_fetch(NULL, name, NULL);
    }
    return NULL;
}

/* Two keys of triple DES are three, the third being the first again (SP 800-67, 3.1). */
static rc_t complete_key(struct cipher_work *w)
{
    enum { TWO_KEYS = 16, ONE_KEY = 8 };
    uint8_t first[ONE_KEY];
    if (w->plan.cipher->algorithm != KMIP_ALGORITHM_3DES || w->key.len != TWO_KEYS)
        return RC_OK;
    TRY(buf_reserve(&w->key, ONE_KEY));
    memcpy(first, w->key.data, sizeof first);
    rc_t rc = buf_add(&w->key, first, sizeof first);
    wipe(first, sizeof first);
    return rc;
}

static rc_t make_iv(struct cipher_work *w)
{
    uint8_t made[CIPHER_IV_MADE_MOST];
    if (!w->plan.make_iv)
        return RC_OK;
    TRY(crypto_random_public(made, w->plan.iv_bytes));
    buf_clear(&w->iv);
    return buf_add(&w->iv, made, w->plan.iv_bytes);
}

/* CCM has to know how long its tag is before all else; what decrypts, the tag itself before the end. */
static bool set_lengths(EVP_CIPHER_CTX *ctx, const struct cipher_work *w)
{
    const struct cipher_plan *p = &w->plan;
    uint8_t tag[CIPHER_TAG_MOST];
    if (p->tag_bytes == 0)
        return true;
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)p->iv_bytes, NULL) != 1)
        return false;
    if (w->request.encrypt && p->cipher->mode != KMIP_MODE_CCM)
        return true;
    memcpy(tag, w->tag, sizeof tag); /* OpenSSL takes no const */
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)p->tag_bytes, w->request.encrypt ? NULL : tag) == 1;
}

static bool begin(EVP_CIPHER_CTX *ctx, EVP_CIPHER *evp, const struct cipher_work *w)
{
    const struct cipher *c = w->plan.cipher;
    uint8_t block[16];
    const uint8_t *iv = w->iv.data;
    if (c->counted) {
        cipher_counter_block(&w->request, c, buf_view(&w->iv), block);
        iv = block;
    }
    int encrypt = w->request.encrypt;
    if (EVP_CipherInit_ex2(ctx, evp, NULL, NULL, encrypt, NULL) != 1 || !set_lengths(ctx, w))
        return false;
    if (EVP_CIPHER_CTX_get_key_length(ctx) != (int)w->key.len ||
        EVP_CipherInit_ex2(ctx, NULL, w->key.data, iv, encrypt, NULL) != 1)
        return false;
    return EVP_CIPHER_CTX_set_padding(ctx, w->plan.padded) == 1;
}

/* Additional data, and before them, in CCM, how long the data will be. */
static bool authenticate(EVP_CIPHER_CTX *ctx, const struct cipher_work *w)
{
    int n;
    if (w->plan.tag_bytes == 0)
        return true;
    if (w->plan.cipher->mode == KMIP_MODE_CCM && EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)w->data.len) != 1)
        return false;
    return w->additional.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, w->additional.data, (int)w->additional.len) == 1;
}

static bool transform(EVP_CIPHER_CTX *ctx, struct cipher_work *w)
{
    int n = 0, last = 0;
    struct buf *d = &w->data;
    /* CCM checks its tag as it takes the data, so it has to take them though there are none. */
    bool takes = d->len > 0 || w->plan.cipher->mode == KMIP_MODE_CCM;
    if (takes && EVP_CipherUpdate(ctx, d->data, &n, d->data, (int)d->len) != 1)
        return false;
    /* And it has no end of its own. */
    if (w->plan.cipher->mode != KMIP_MODE_CCM && EVP_CipherFinal_ex(ctx, d->data + n, &last) != 1)
        return false;
    size_t len = (size_t)n + (size_t)last;
    if (len > d->len)
        d->len = len; /* padding, for which there is room */
    else
        buf_cut(d, len);
    return w->plan.tag_bytes == 0 || !w->request.encrypt ||
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)w->plan.tag_bytes, w->tag) == 1;
}

rc_t cipher_work(struct cipher_work *w)
{
    if (w->data.len > CIPHER_DATA_MOST || w->additional.len > CIPHER_DATA_MOST)
        return RC_TOO_LARGE; /* OpenSSL counts in int */
    TRY(make_iv(w));
    TRY(complete_key(w));
    /* Also where there is nothing: OpenSSL wants somewhere to write it. */
    TRY(buf_reserve(&w->data, CIPHER_BLOCK_MOST));
    EVP_CIPHER *evp = fetch(w->plan.cipher, w->key.len);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    rc_t rc = ctx ? RC_OK : RC_NO_MEMORY;
    if (rc == RC_OK && !evp)
        rc = RC_PARAMS_UNSUPPORTED;
    if (rc == RC_OK && (!begin(ctx, evp, w) || !authenticate(ctx, w) || !transform(ctx, w)))
        rc = RC_CRYPTO;
    if (rc != RC_OK)
        buf_clear(&w->data);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(evp);
    ERR_clear_error();
    return rc;
}
