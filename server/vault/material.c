/* Key material by tables; see material.h. */
#include "server/vault/material.h"

#include "server/vault/crypto/crypto.h"
#include "server/vault/wire.h"

enum { ALG_DES = 1, ALG_3DES = 2, ALG_AES = 3 };
enum { LENGTHS_MAX = 4, MATERIAL_MOST = VAULT_MATERIAL_MAX };

static rc_t make_symmetric(const struct control *c, struct secret *out)
{
    (void)c;
    return crypto_random_key(out->data, out->len);
}

/* What can be made. Lengths in bits; the list ends with 0. */
static const struct {
    uint32_t type, algorithm, key_format;
    uint32_t lengths[LENGTHS_MAX];
    rc_t (*make)(const struct control *c, struct secret *out);
} makers[] = {
    {TYPE_SYMMETRIC_KEY, ALG_AES, FORMAT_RAW, {128, 192, 256, 0}, make_symmetric},
};

/* Cryptographic Length and bytes of material where they do not simply agree: parity bits are bytes,
 * but not length (KMIP 2.1, 4.16), and clients count them either way. AES takes three lengths only.
 */
static const struct {
    uint32_t algorithm, length, bytes;
} fixed[] = {
    {ALG_DES, 56, 8},    {ALG_DES, 64, 8},    {ALG_3DES, 112, 16},
    {ALG_3DES, 128, 16}, {ALG_3DES, 168, 24}, {ALG_3DES, 192, 24},
    {ALG_AES, 128, 16},  {ALG_AES, 192, 24},  {ALG_AES, 256, 32},
};

rc_t material_generate(const struct control *c, struct secret **out, uint32_t *key_format_out)
{
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        if (makers[i].type != c->object_type || makers[i].algorithm != c->algorithm)
            continue;
        for (size_t k = 0; k < LENGTHS_MAX && makers[i].lengths[k] != 0; k++) {
            if (makers[i].lengths[k] != c->length)
                continue;
            AUTO_SECRET made = NULL;
            TRY(secret_new(c->length / 8, &made));
            TRY(makers[i].make(c, made));
            *out = secret_give(&made);
            *key_format_out = makers[i].key_format;
            return RC_OK;
        }
        return RC_INVALID_FIELD;
    }
    return RC_BAD_CRYPTO_PARAMS;
}

static bool length_agrees(const struct control *c, size_t bytes)
{
    bool known = false;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (fixed[i].algorithm != c->algorithm)
            continue;
        if (fixed[i].length == c->length && fixed[i].bytes == bytes)
            return true;
        known = true;
    }
    return !known && c->length % 8 == 0 && c->length / 8 == bytes;
}

rc_t material_check(const struct control *c, uint32_t key_format, struct bytes plain)
{
    if (plain.len > MATERIAL_MOST)
        return RC_TOO_LARGE;
    switch (c->object_type) {
    case TYPE_SYMMETRIC_KEY:
        if (plain.len == 0 || c->algorithm == 0)
            return RC_INVALID_FIELD;
        if (key_format == FORMAT_OPAQUE)
            return RC_OK; /* the server cannot know what it is */
        return length_agrees(c, plain.len) ? RC_OK : RC_INVALID_FIELD;
    case TYPE_SECRET_DATA:
        return plain.len > 0 ? RC_OK : RC_INVALID_FIELD;
    case TYPE_OPAQUE:
        return RC_OK;
    default:
        return RC_WRONG_TYPE;
    }
}
