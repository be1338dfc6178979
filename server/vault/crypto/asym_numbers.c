/*
 * The transparent key formats: TTLV Key Material structures to OpenSSL keys and back (KMIP 2.1, 3.5
 * to 3.12; 1.4, 2.1.7 has the older names of the EC ones); see asym.h. What a private key does not
 * bring of its public half is computed.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "proto/base/arena.h"
#include "proto/kmip/struct.h"
#include "server/vault/crypto/asym_int.h"

enum { MATERIAL_ARENA_MAX = 256 * 1024, NUMBER_BYTES_MAX = ASYM_BITS_MOST / 8 + 16 };

/* ---- numbers and TTLV ----------------------------------------------------------------------- */

/* A Big Integer of the message: two's complement, and no number of a key is negative. */
static rc_t take_number(struct bytes in, BN_CTX *bn, BIGNUM **out)
{
    *out = NULL;
    if (!in.data)
        return RC_OK;
    if (in.len == 0 || in.len > NUMBER_BYTES_MAX || in.data[0] & 0x80)
        return RC_INVALID_FIELD;
    *out = BN_CTX_get(bn);
    return *out && BN_bin2bn(in.data, (int)in.len, *out) ? RC_OK : RC_CRYPTO;
}

/* As a Big Integer: not negative, so the first bit is 0; a multiple of 8 bytes (KMIP 2.1, 10.1). */
static rc_t give_number(const BIGNUM *n, struct arena *a, struct bytes *out)
{
    *out = BYTES_NONE;
    if (!n)
        return RC_OK;
    size_t len = ((size_t)BN_num_bits(n) / 64 + 1) * 8;
    uint8_t *data = arena_alloc(a, len);
    if (!data)
        return RC_NO_MEMORY;
    if (BN_bn2binpad(n, data, (int)len) != (int)len)
        return RC_CRYPTO;
    *out = bytes_of(data, len);
    return RC_OK;
}

/* ---- keys from numbers ---------------------------------------------------------------------- */

/* What a key is made of: numbers by OpenSSL's names, a curve's name, a point. */
struct part {
    const char *name;
    const BIGNUM *number; /* NULL: left out */
};

static rc_t key_of_parts(const char *kind, const struct part *parts, size_t count,
                         const char *group, struct bytes point, bool is_private, EVP_PKEY **out)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    bool ok = bld != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = !parts[i].number || OSSL_PARAM_BLD_push_BN(bld, parts[i].name, parts[i].number) == 1;
    if (ok && group)
        ok = OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1;
    if (ok && point.len)
        ok = OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) ==
             1;
    OSSL_PARAM *params = ok ? OSSL_PARAM_BLD_to_param(bld) : NULL;
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, kind, NULL) : NULL;
    ok = ctx && EVP_PKEY_fromdata_init(ctx) == 1;
    bool made = ok && EVP_PKEY_fromdata(ctx, out, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                        params) == 1;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    if (!ok)
        return RC_CRYPTO;
    return made ? RC_OK : RC_INVALID_FIELD;
}

static rc_t rsa_key(const struct rsa_numbers *r, bool is_private, EVP_PKEY **out)
{
    const struct part parts[] = {
        {OSSL_PKEY_PARAM_RSA_N, r->n},          {OSSL_PKEY_PARAM_RSA_E, r->e},
        {OSSL_PKEY_PARAM_RSA_D, r->d},          {OSSL_PKEY_PARAM_RSA_FACTOR1, r->p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, r->q},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, r->dp},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, r->dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, r->qinv},
    };
    return key_of_parts("RSA", parts, is_private ? 8 : 2, NULL, BYTES_NONE, is_private, out);
}

static rc_t rsa_public(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_rsa_public *m = from;
    struct rsa_numbers r = {0};
    TRY(take_number(m->modulus, bn, &r.n));
    TRY(take_number(m->public_exponent, bn, &r.e));
    return rsa_key(&r, false, out);
}

static rc_t rsa_private(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_rsa_private *m = from;
    struct rsa_numbers r = {0};
    TRY(take_number(m->modulus, bn, &r.n));
    TRY(take_number(m->private_exponent, bn, &r.d));
    TRY(take_number(m->public_exponent, bn, &r.e));
    TRY(take_number(m->p, bn, &r.p));
    TRY(take_number(m->q, bn, &r.q));
    TRY(take_number(m->prime_exponent_p, bn, &r.dp));
    TRY(take_number(m->prime_exponent_q, bn, &r.dq));
    TRY(take_number(m->crt_coefficient, bn, &r.qinv));
    TRY(rsa_complete(&r, bn));
    return rsa_key(&r, true, out);
}

/* y = g^x mod p, the public half of DSA and DH. */
static rc_t power(const BIGNUM *g, BIGNUM *x, const BIGNUM *p, BN_CTX *bn, BIGNUM **y)
{
    *y = BN_CTX_get(bn);
    if (!*y || !BN_is_odd(p) || BN_num_bits(p) > ASYM_BITS_MOST || BN_num_bits(x) > BN_num_bits(p))
        return RC_INVALID_FIELD;
    BN_set_flags(x, BN_FLG_CONSTTIME);
    return BN_mod_exp(*y, g, x, p, bn) == 1 ? RC_OK : RC_CRYPTO;
}

/* DSA and DH: p, q, g, j, and x or y. */
static rc_t field_key(const char *kind, const struct bytes in[4], struct bytes secret,
                      struct bytes open, BN_CTX *bn, EVP_PKEY **out)
{
    BIGNUM *n[4], *x = NULL, *y = NULL;
    for (int i = 0; i < 4; i++)
        TRY(take_number(in[i], bn, &n[i]));
    TRY(take_number(secret, bn, &x));
    TRY(take_number(open, bn, &y));
    if (x)
        TRY(power(n[2], x, n[0], bn, &y));
    const struct part parts[] = {
        {OSSL_PKEY_PARAM_FFC_P, n[0]},        {OSSL_PKEY_PARAM_FFC_Q, n[1]},
        {OSSL_PKEY_PARAM_FFC_G, n[2]},        {OSSL_PKEY_PARAM_FFC_COFACTOR, n[3]},
        {OSSL_PKEY_PARAM_PUB_KEY, y},         {OSSL_PKEY_PARAM_PRIV_KEY, x},
    };
    return key_of_parts(kind, parts, 6, NULL, BYTES_NONE, x != NULL, out);
}

static rc_t dsa_private(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_dsa_private *m = from;
    const struct bytes in[] = {m->p, m->q, m->g, BYTES_NONE};
    return field_key("DSA", in, m->x, BYTES_NONE, bn, out);
}

static rc_t dsa_public(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_dsa_public *m = from;
    const struct bytes in[] = {m->p, m->q, m->g, BYTES_NONE};
    return field_key("DSA", in, BYTES_NONE, m->y, bn, out);
}

/* With q it is what X9.42 calls a DH key, without it what PKCS#3 does. */
static rc_t dh_private(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_dh_private *m = from;
    const struct bytes in[] = {m->p, m->q, m->g, m->j};
    return field_key(m->q.data ? "DHX" : "DH", in, m->x, BYTES_NONE, bn, out);
}

static rc_t dh_public(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_dh_public *m = from;
    const struct bytes in[] = {m->p, m->q, m->g, m->j};
    return field_key(m->q.data ? "DHX" : "DH", in, BYTES_NONE, m->y, bn, out);
}

/* The public point of d. */
static rc_t point_of(int nid, BIGNUM *d, BN_CTX *bn, uint8_t *point, size_t room, size_t *len)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *q = group ? EC_POINT_new(group) : NULL;
    rc_t rc = q ? RC_OK : RC_CRYPTO;
    if (rc == RC_OK && (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0))
        rc = RC_INVALID_FIELD;
    BN_set_flags(d, BN_FLG_CONSTTIME);
    if (rc == RC_OK && EC_POINT_mul(group, q, d, NULL, NULL, bn) != 1)
        rc = RC_CRYPTO;
    if (rc == RC_OK)
        *len = EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, point, room, bn);
    EC_POINT_clear_free(q);
    EC_GROUP_free(group);
    return rc == RC_OK && *len == 0 ? RC_CRYPTO : rc;
}

static rc_t ec_private(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    const struct kmip_material_ec_private *m = from;
    int nid = asym_curve_nid(m->recommended_curve);
    uint8_t point[256];
    size_t len = 0;
    BIGNUM *d;
    if (!nid)
        return RC_FEATURE;
    TRY(take_number(m->d, bn, &d));
    TRY(point_of(nid, d, bn, point, sizeof point, &len));
    const struct part part = {OSSL_PKEY_PARAM_PRIV_KEY, d};
    return key_of_parts("EC", &part, 1, OBJ_nid2sn(nid), bytes_of(point, len), true, out);
}

static rc_t ec_public(const void *from, BN_CTX *bn, EVP_PKEY **out)
{
    (void)bn;
    const struct kmip_material_ec_public *m = from;
    int nid = asym_curve_nid(m->recommended_curve);
    if (!nid)
        return RC_FEATURE;
    if (m->q_string.len == 0)
        return RC_INVALID_FIELD;
    return key_of_parts("EC", NULL, 0, OBJ_nid2sn(nid), m->q_string, false, out);
}

/* ---- numbers from keys ---------------------------------------------------------------------- */

static rc_t give(const struct asym *key, const char *name, BN_CTX *bn, struct arena *a,
                 struct bytes *out)
{
    return give_number(asym_number(key->pkey, name, bn), a, out);
}

static rc_t rsa_public_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_rsa_public *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_RSA_N, bn, a, &m->modulus));
    return give(key, OSSL_PKEY_PARAM_RSA_E, bn, a, &m->public_exponent);
}

static rc_t rsa_private_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_rsa_private *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_RSA_N, bn, a, &m->modulus));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_D, bn, a, &m->private_exponent));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_E, bn, a, &m->public_exponent));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_FACTOR1, bn, a, &m->p));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_FACTOR2, bn, a, &m->q));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, bn, a, &m->prime_exponent_p));
    TRY(give(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, bn, a, &m->prime_exponent_q));
    return give(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, bn, a, &m->crt_coefficient);
}

static rc_t dsa_private_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_dsa_private *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_FFC_P, bn, a, &m->p));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_Q, bn, a, &m->q));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_G, bn, a, &m->g));
    return give(key, OSSL_PKEY_PARAM_PRIV_KEY, bn, a, &m->x);
}

static rc_t dsa_public_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_dsa_public *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_FFC_P, bn, a, &m->p));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_Q, bn, a, &m->q));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_G, bn, a, &m->g));
    return give(key, OSSL_PKEY_PARAM_PUB_KEY, bn, a, &m->y);
}

static rc_t dh_private_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_dh_private *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_FFC_P, bn, a, &m->p));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_Q, bn, a, &m->q));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_G, bn, a, &m->g));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_COFACTOR, bn, a, &m->j));
    return give(key, OSSL_PKEY_PARAM_PRIV_KEY, bn, a, &m->x);
}

static rc_t dh_public_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_dh_public *m = to;
    TRY(give(key, OSSL_PKEY_PARAM_FFC_P, bn, a, &m->p));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_Q, bn, a, &m->q));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_G, bn, a, &m->g));
    TRY(give(key, OSSL_PKEY_PARAM_FFC_COFACTOR, bn, a, &m->j));
    return give(key, OSSL_PKEY_PARAM_PUB_KEY, bn, a, &m->y);
}

static rc_t ec_private_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    struct kmip_material_ec_private *m = to;
    m->recommended_curve = key->facts.curve;
    return give(key, OSSL_PKEY_PARAM_PRIV_KEY, bn, a, &m->d);
}

static rc_t ec_public_out(const struct asym *key, BN_CTX *bn, struct arena *a, void *to)
{
    (void)bn;
    struct kmip_material_ec_public *m = to;
    uint8_t point[256];
    size_t len = 0;
    if (EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                        &len) != 1)
        return RC_CRYPTO;
    m->recommended_curve = key->facts.curve;
    m->q_string = arena_copy(a, bytes_of(point, len));
    return m->q_string.data ? RC_OK : RC_NO_MEMORY;
}

/* ---- the formats ---------------------------------------------------------------------------- */

struct transparent {
    uint32_t key_format, family;
    bool is_private;
    int structure; /* KMIP_S_x */
    rc_t (*read)(const void *from, BN_CTX *bn, EVP_PKEY **out);
    rc_t (*write)(const struct asym *key, BN_CTX *bn, struct arena *a, void *to);
};

#define PRIVATE(format, family, kind)                                                              \
    {                                                                                              \
        KMIP_FORMAT_TRANSPARENT_##format##_PRIVATE_KEY, KMIP_ALGORITHM_##family, true,             \
            KMIP_S_material_##kind##_private, kind##_private, kind##_private_out                   \
    }
#define PUBLIC(format, family, kind)                                                               \
    {                                                                                              \
        KMIP_FORMAT_TRANSPARENT_##format##_PUBLIC_KEY, KMIP_ALGORITHM_##family, false,             \
            KMIP_S_material_##kind##_public, kind##_public, kind##_public_out                      \
    }

static const struct transparent *find(uint32_t key_format)
{
    static const struct transparent formats[] = {
        PRIVATE(RSA, RSA, rsa), PUBLIC(RSA, RSA, rsa),  PRIVATE(DSA, DSA, dsa),
        PUBLIC(DSA, DSA, dsa),  PRIVATE(DH, DH, dh),    PUBLIC(DH, DH, dh),
        PRIVATE(EC, EC, ec),    PUBLIC(EC, EC, ec),     PRIVATE(ECDSA, EC, ec),
        PUBLIC(ECDSA, EC, ec),  PRIVATE(ECDH, EC, ec),  PUBLIC(ECDH, EC, ec),
        PRIVATE(ECMQV, EC, ec), PUBLIC(ECMQV, EC, ec),
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].key_format == key_format)
            return &formats[i];
    return NULL;
}

static BN_CTX *numbers_begin(void)
{
    BN_CTX *bn = BN_CTX_new();
    if (bn)
        BN_CTX_start(bn);
    return bn;
}

static void numbers_end(BN_CTX *bn)
{
    BN_CTX_end(bn);
    BN_CTX_free(bn); /* wipes */
}

static rc_t read_material(const struct transparent *t, struct bytes in, struct arena *a,
                          EVP_PKEY **out)
{
    /* The fields are the same in every version; some of the formats are not. */
    const struct kmip_context cx = {.arena = a, .version = V1_4};
    struct node *node = NULL;
    void *material = NULL;
    rc_t rc = ttlv_read(a, in, NULL, &node);
    if (rc == RC_OK && node->tag != KMIP_TAG_KEY_MATERIAL)
        rc = RC_INVALID_FIELD;
    if (rc == RC_OK)
        rc = kmip_struct_read(&cx, t->structure, node, &material);
    if (rc != RC_OK)
        return rc == RC_NO_MEMORY ? rc : RC_INVALID_FIELD;
    BN_CTX *bn = numbers_begin();
    if (!bn)
        return RC_NO_MEMORY;
    rc = t->read(material, bn, out);
    numbers_end(bn);
    return rc;
}

rc_t asym_read_transparent(bool is_private, uint32_t key_format, struct bytes in, EVP_PKEY **out)
{
    const struct transparent *t = find(key_format);
    if (!t || t->is_private != is_private)
        return RC_KEY_FORMAT;
    struct arena a = ARENA_OF(MATERIAL_ARENA_MAX);
    rc_t rc = read_material(t, in, &a, out);
    arena_free(&a);
    return rc;
}

rc_t asym_write_transparent(const struct asym *key, bool as_private, uint32_t key_format,
                            struct buf *out)
{
    const struct transparent *t = find(key_format);
    if (!t || t->is_private != as_private || t->family != key->facts.algorithm)
        return RC_KEY_FORMAT;
    struct arena a = ARENA_OF(MATERIAL_ARENA_MAX);
    const struct kmip_context cx = {.arena = &a, .version = V1_4};
    void *material = kmip_struct_new(&a, t->structure);
    BN_CTX *bn = numbers_begin();
    rc_t rc = material && bn ? t->write(key, bn, &a, material) : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = kmip_struct_write(out, &cx, t->structure, KMIP_TAG_KEY_MATERIAL, material);
    if (bn)
        numbers_end(bn);
    arena_free(&a);
    return rc;
}
