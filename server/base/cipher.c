/* The table of ciphers and the rule of what goes together; see cipher.h. */
#include "server/base/cipher.h"

#include <string.h>

#include "proto/kmip/tables.h"

enum { COUNTER_BLOCK = 16, COUNTED_IV_LEAST = 12 };

/* clang-format off */
/* What every block cipher of so many bytes has. A counter needs blocks of 16. */
#define MODES(algorithm, bytes)                                                                                        \
    {algorithm, KMIP_MODE_ECB, bytes, 0, 0, 0, 0, 0, 0, 0},                                                            \
    {algorithm, KMIP_MODE_CBC, bytes, bytes, bytes, 1, bytes, 0, 0, 0},                                                \
    {algorithm, KMIP_MODE_CFB, 1, bytes, bytes, 1, bytes, 0, 0, 0},                                                    \
    {algorithm, KMIP_MODE_OFB, 1, bytes, bytes, 1, bytes, 0, 0, 0}
#define MODES_16(algorithm)                                                                                            \
    MODES(algorithm, 16),                                                                                              \
    {algorithm, KMIP_MODE_CTR, 1, 8, 16, 1, 16, 0, 0, 16}

/* Tags of less than 12 bytes (GCM; ChaCha20-Poly1305 has 16, and is cut like it) and 8 (CCM) are for
 * special protocols only (SP 800-38D, 5.2.1.2; 38C, B.2). */
static const struct cipher table[] = {
    MODES_16(KMIP_ALGORITHM_AES),
    {KMIP_ALGORITHM_AES, KMIP_MODE_GCM, 1, 1, 128, 1, 12, 12, 1, 0},
    {KMIP_ALGORITHM_AES, KMIP_MODE_CCM, 1, 7, 13, 1, 12, 8, 2, 0},
    MODES(KMIP_ALGORITHM_3DES, 8),
    MODES_16(KMIP_ALGORITHM_CAMELLIA),
    MODES_16(KMIP_ALGORITHM_ARIA),
    MODES_16(KMIP_ALGORITHM_SM4),
    {KMIP_ALGORITHM_CHACHA20, 0, 1, 8, 12, 4, 12, 0, 0, 64},
    {KMIP_ALGORITHM_CHACHA20POLY1305, 0, 1, 12, 12, 1, 12, 12, 1, 0},
    {KMIP_ALGORITHM_CHACHA20POLY1305, KMIP_MODE_AEAD, 1, 12, 12, 1, 12, 12, 1, 0},
};
/* clang-format on */

const struct cipher *cipher_table(size_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}

const struct cipher *cipher_find(uint32_t algorithm, uint32_t mode)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].algorithm == algorithm && table[i].mode == mode)
            return &table[i];
    return NULL;
}

static bool has_modes(uint32_t algorithm)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].algorithm == algorithm)
            return true;
    return false;
}

static rc_t plan_padding(const struct cipher_request *r, struct cipher_plan *p)
{
    if (r->padding == 0 || r->padding == KMIP_PADDING_NONE)
        return RC_OK;
    if (r->padding != KMIP_PADDING_PKCS5)
        return RC_PARAMS_UNSUPPORTED;
    p->padded = true;
    return p->cipher->block > 1 ? RC_OK : RC_PARAMS_CONFLICT;
}

static bool fits_iv(const struct cipher *c, size_t bytes)
{
    return c->iv_least <= bytes && bytes <= c->iv_most && (bytes - c->iv_least) % c->iv_step == 0;
}

/* The IV that is taken where the request does not say how long it is: room for the counter of RFC 3686 beside it. */
static size_t preset_iv(const struct cipher_request *r, const struct cipher *c)
{
    enum { NONCE_OF_3686 = 12 };
    if (c->mode != KMIP_MODE_CTR || !r->has_counter)
        return c->iv_preset;
    bool said = r->counter_bits % 8 == 0 && r->counter_bits / 8 < COUNTER_BLOCK && r->counter_bits > 0;
    return said ? COUNTER_BLOCK - r->counter_bits / 8 : NONCE_OF_3686;
}

size_t cipher_iv_bytes(const struct cipher_request *r)
{
    const struct cipher *c = cipher_find(r->algorithm, r->mode);
    if (!c || c->iv_most == 0)
        return 0;
    return r->iv_bytes ? r->iv_bytes : preset_iv(r, c);
}

/* A random IV must be long enough never to come twice: no shorter than the usual one (SP 800-38D, 8.2.2), and beside a
 * counter than that of 96 bits. */
static rc_t plan_made_iv(const struct cipher_request *r, struct cipher_plan *p)
{
    const struct cipher *c = p->cipher;
    p->make_iv = true;
    p->iv_bytes = cipher_iv_bytes(r);
    if (!fits_iv(c, p->iv_bytes) || p->iv_bytes < preset_iv(r, c) || p->iv_bytes > CIPHER_IV_MADE_MOST)
        return RC_IV_LENGTH;
    if (c->counted && p->iv_bytes < COUNTED_IV_LEAST)
        return RC_IV_LENGTH;
    /* Where the counter is a part of it, nobody knows how far it is from its end. */
    return c->counted && r->counter_bits && p->iv_bytes == COUNTER_BLOCK ? RC_PARAMS_UNSUPPORTED : RC_OK;
}

static rc_t plan_iv(const struct cipher_request *r, size_t given, struct cipher_plan *p)
{
    const struct cipher *c = p->cipher;
    if (c->iv_most == 0)
        return given ? RC_PARAMS_CONFLICT : RC_OK;
    if (given == 0)
        return r->encrypt && r->make_iv ? plan_made_iv(r, p) : RC_IV_MISSING;
    p->iv_bytes = given;
    return fits_iv(c, given) && (r->iv_bytes == 0 || r->iv_bytes == given) ? RC_OK : RC_IV_LENGTH;
}

void cipher_counter_block(const struct cipher_request *r, const struct cipher *c, struct bytes iv, uint8_t out[16])
{
    size_t rest = COUNTER_BLOCK - iv.len;
    memset(out, 0, COUNTER_BLOCK);
    if (c->mode == KMIP_MODE_CTR) { /* behind the IV, big-endian (RFC 3686) */
        memcpy(out, iv.data, iv.len);
        for (size_t i = 0; i < rest && i < sizeof r->counter; i++)
            out[COUNTER_BLOCK - 1 - i] = (uint8_t)(r->counter >> 8 * i);
    } else { /* before it, little-endian (RFC 8439) */
        memcpy(out + rest, iv.data, iv.len);
        for (size_t i = 0; i < sizeof r->counter; i++)
            out[i] = (uint8_t)(r->counter >> 8 * i);
    }
}

/* A counter block, as a number. */
__extension__ typedef unsigned __int128 wide;

static wide counter_end(uint32_t bits)
{
    return bits < COUNTER_BLOCK * 8 ? (wide)1 << bits : 0; /* 0: 2^128 */
}

/* The last bits of the counter block. */
static wide counter_value(struct bytes iv, uint32_t bits)
{
    wide value = 0;
    for (size_t i = 0; i < iv.len; i++)
        value = value << 8 | iv.data[i];
    return value & (counter_end(bits) - 1);
}

/* A counter that comes round would use its key stream twice. */
static rc_t plan_counter(const struct cipher_request *r, struct bytes iv, size_t data, const struct cipher_plan *p)
{
    const struct cipher *c = p->cipher;
    uint32_t rest = (uint32_t)(COUNTER_BLOCK - p->iv_bytes) * 8, bits = rest ? rest : r->counter_bits;
    if (!c->counted)
        return r->has_counter ? RC_PARAMS_CONFLICT : RC_OK;
    if (rest == 0 ? r->has_counter : r->counter_bits && r->counter_bits != rest)
        return RC_PARAMS_CONFLICT;
    if (rest && c->mode == KMIP_MODE_CTR && !r->has_counter)
        return RC_IV_LENGTH; /* the whole block, or what it begins to count with */
    if (bits == 0 || bits > COUNTER_BLOCK * 8)
        return bits ? RC_PARAMS_CONFLICT : RC_OK;
    wide first = rest ? r->counter : counter_value(iv, bits), end = counter_end(bits);
    uint64_t blocks = (data + c->counted - 1) / c->counted;
    if (end && first >= end)
        return RC_PARAMS_CONFLICT;
    return blocks <= end - first || end == first ? RC_OK : RC_DATA_LENGTH;
}

static rc_t plan_tag(const struct cipher_request *r, const struct cipher_lengths *have, struct cipher_plan *p)
{
    const struct cipher *c = p->cipher;
    if (c->tag_least == 0)
        return have->tag || have->additional ? RC_PARAMS_CONFLICT : RC_OK;
    p->tag_bytes = r->tag_bytes ? r->tag_bytes : CIPHER_TAG_MOST;
    if (p->tag_bytes < c->tag_least || p->tag_bytes > CIPHER_TAG_MOST ||
        (p->tag_bytes - c->tag_least) % c->tag_step != 0)
        return RC_TAG_LENGTH;
    if (r->encrypt)
        return have->tag ? RC_PARAMS_CONFLICT : RC_OK;
    if (have->tag == 0)
        return RC_TAG_MISSING;
    return have->tag == p->tag_bytes ? RC_OK : RC_CRYPTO;
}

static rc_t plan_data(const struct cipher_request *r, const struct cipher_lengths *have, const struct cipher_plan *p)
{
    const struct cipher *c = p->cipher;
    if (have->data > CIPHER_DATA_MOST || have->additional > CIPHER_DATA_MOST)
        return RC_TOO_LARGE;
    if (have->data % c->block != 0 && !(p->padded && r->encrypt))
        return RC_DATA_LENGTH;
    if (have->data == 0 && p->padded && !r->encrypt)
        return RC_DATA_LENGTH;
    /* CCM says in 15 less the nonce's bytes how long the data are (SP 800-38C, A.1). */
    if (c->mode == KMIP_MODE_CCM && p->iv_bytes > 12 && have->data > UINT16_MAX)
        return RC_DATA_LENGTH;
    return c->mode == KMIP_MODE_CCM && have->data >= 1u << 24 ? RC_DATA_LENGTH : RC_OK;
}

rc_t cipher_plan(const struct cipher_request *r, struct bytes iv, const struct cipher_lengths *have,
                 struct cipher_plan *out)
{
    struct cipher_plan p = {.cipher = cipher_find(r->algorithm, r->mode)};
    if (!p.cipher)
        return r->mode == 0 && has_modes(r->algorithm) ? RC_PARAMS_MISSING : RC_PARAMS_UNSUPPORTED;
    TRY(plan_padding(r, &p));
    TRY(plan_iv(r, iv.len, &p));
    TRY(plan_counter(r, iv, have->data, &p));
    TRY(plan_tag(r, have, &p));
    TRY(plan_data(r, have, &p));
    *out = p;
    return RC_OK;
}
