/* Key material by the table of algorithms; see material.h. */
#include "server/vault/material.h"

#include "server/base/symmetric.h"
#include "server/vault/crypto/crypto.h"
#include "server/vault/wire.h"

enum { MATERIAL_MOST = VAULT_MATERIAL_MAX };

/* Odd parity in the lowest bit of each byte (FIPS 46-3). */
static void set_parity(struct secret *key)
{
    for (size_t i = 0; i < key->len; i++) {
        uint8_t b = key->data[i] & 0xFE, folded = b;
        folded ^= folded >> 4;
        folded ^= folded >> 2;
        folded ^= folded >> 1;
        key->data[i] = b | (uint8_t)(~folded & 1);
    }
}

static rc_t make_symmetric(const struct control *c, struct secret **out)
{
    const struct symmetric *s = symmetric_find(c->algorithm);
    if (!s)
        return RC_BAD_CRYPTO_PARAMS;
    size_t bytes = symmetric_bytes(s, c->length);
    if (bytes == 0 || bytes > MATERIAL_MOST)
        return RC_INVALID_FIELD;
    AUTO_SECRET made = NULL;
    TRY(secret_new(bytes, &made));
    TRY(crypto_random_key(made->data, made->len));
    if (s->parity)
        set_parity(made);
    *out = secret_give(&made);
    return RC_OK;
}

rc_t material_generate(const struct control *c, struct secret **out, uint32_t *key_format_out)
{
    if (c->object_type != TYPE_SYMMETRIC_KEY)
        return RC_BAD_CRYPTO_PARAMS;
    TRY(make_symmetric(c, out));
    *key_format_out = FORMAT_RAW;
    return RC_OK;
}

static rc_t check_symmetric(const struct control *c, uint32_t key_format, struct bytes plain)
{
    const struct symmetric *s = symmetric_find(c->algorithm);
    if (plain.len == 0 || !s)
        return RC_INVALID_FIELD;
    if (key_format == FORMAT_OPAQUE)
        return RC_OK; /* the server cannot know what it is */
    return symmetric_bytes(s, c->length) == plain.len ? RC_OK : RC_INVALID_FIELD;
}

rc_t material_check(const struct control *c, uint32_t key_format, struct bytes plain)
{
    if (plain.len > MATERIAL_MOST)
        return RC_TOO_LARGE;
    switch (c->object_type) {
    case TYPE_SYMMETRIC_KEY:
        return check_symmetric(c, key_format, plain);
    case TYPE_TEMPLATE: /* attributes alone */
        return plain.len == 0 ? RC_OK : RC_INVALID_FIELD;
    case TYPE_SECRET_DATA:
        return plain.len > 0 ? RC_OK : RC_INVALID_FIELD;
    case TYPE_OPAQUE:
        return RC_OK;
    default:
        return RC_WRONG_TYPE;
    }
}
