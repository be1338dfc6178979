/*
 * The escrow in software. See escrow.h.
 */
#include "server/vault/tpm/escrow.h"

#include <openssl/evp.h>

#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/pack.h"

enum { DIGEST = 32, OUTER_KEY = 16, SENSITIVE_MAX = 1024 };

static const char magic[] = "HFESCR01";

void cluster_key_free(struct cluster_key *k)
{
    secret_free(&k->sensitive);
}

rc_t escrow_write(const TPM2B_PUBLIC *cr, const TPM2B_PUBLIC *auth, const struct duplicate *dup,
                  const struct secret *inner, struct buf *out)
{
    AUTO_BUF cr_pub = BUF_EMPTY;
    AUTO_BUF auth_pub = BUF_EMPTY;
    size_t start = out->len;
    TRY(public_write(cr, &cr_pub));
    TRY(public_write(auth, &auth_pub));
    TRY(pack_begin(out, magic));
    TRY(pack_add(out, buf_view(&cr_pub)));
    TRY(pack_add(out, buf_view(&auth_pub)));
    TRY(pack_add(out, bytes_of(dup->seed.secret, dup->seed.size)));
    TRY(pack_add(out, bytes_of(dup->priv.buffer, dup->priv.size)));
    TRY(pack_add(out, secret_view(inner)));
    return pack_end(out, start);
}

/* ---- small steps ---- */

/* AES-CFB128 with a zero IV, in place; the key is used once. */
static rc_t cfb(const struct secret *key, bool encrypt, uint8_t *data, size_t len)
{
    static const uint8_t iv[16];
    const EVP_CIPHER *cipher = key->len == 32   ? EVP_aes_256_cfb128()
                               : key->len == 16 ? EVP_aes_128_cfb128()
                                                : NULL;
    int done = 0;
    EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
    bool ok = ctx && EVP_CipherInit_ex2(ctx, cipher, key->data, iv, encrypt, NULL) == 1 &&
              EVP_CipherUpdate(ctx, data, &done, data, (int)len) == 1 && (size_t)done == len;
    EVP_CIPHER_CTX_free(ctx);
    return ok ? RC_OK : RC_CRYPTO;
}

/* A TPM2B at the front of `in`. */
static rc_t take_2b(struct bytes *in, struct bytes *out)
{
    if (in->len < 2 || load_be16(in->data) > in->len - 2)
        return RC_INTEGRITY;
    *out = bytes_of(in->data + 2, load_be16(in->data));
    *in = bytes_of(in->data + 2 + out->len, in->len - 2 - out->len);
    return RC_OK;
}

static rc_t inner_digest(struct bytes sensitive_2b, const struct node_name *name,
                         uint8_t digest[DIGEST])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, sensitive_2b.data, sensitive_2b.len) == 1 &&
              EVP_DigestUpdate(md, name->raw, sizeof name->raw) == 1 &&
              EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    return ok ? RC_OK : RC_CRYPTO;
}

/* The seed that both sides of the ECDH arrive at. */
static rc_t seed_of(const struct p256 *own, const struct p256 *peer,
                    const struct p256_point *ephemeral, const struct p256_point *target,
                    struct secret **seed)
{
    AUTO_SECRET z = NULL;
    TRY(p256_ecdh(own, peer, &z));
    return derive_kdfe(z, "DUPLICATE", bytes_of(ephemeral->x, TEMPLATE_COORDINATE),
                       bytes_of(target->x, TEMPLATE_COORDINATE), seed);
}

/* HMAC over the encrypted area and the Name, with the key that the seed gives. */
static rc_t outer_mac(const struct secret *seed, struct bytes area, const struct node_name *name,
                      uint8_t mac[DIGEST])
{
    AUTO_SECRET key = NULL;
    const struct bytes parts[] = {area, bytes_of(name->raw, sizeof name->raw)};
    TRY(derive_kdfa(seed, "INTEGRITY", BYTES_NONE, BYTES_NONE, DIGEST, &key));
    return derive_mac(secret_view(key), parts, 2, mac);
}

static rc_t outer_key(const struct secret *seed, const struct node_name *name, struct secret **key)
{
    return derive_kdfa(seed, "STORAGE", bytes_of(name->raw, sizeof name->raw), BYTES_NONE,
                       OUTER_KEY, key);
}

/* ---- opening ---- */

/* TPMT_SENSITIVE of an ECC key: type, auth value, seed, private number; nothing behind. */
static rc_t sensitive_number(const struct secret *sensitive, struct bytes *d)
{
    struct bytes in = secret_view(sensitive), auth, seed;
    if (in.len < 2 || load_be16(in.data) != TPM2_ALG_ECC)
        return RC_INTEGRITY;
    in = bytes_of(in.data + 2, in.len - 2);
    TRY(take_2b(&in, &auth));
    TRY(take_2b(&in, &seed));
    TRY(take_2b(&in, d));
    return in.len || seed.len != DIGEST || !d->len || d->len > TEMPLATE_COORDINATE ? RC_INTEGRITY
                                                                                   : RC_OK;
}

rc_t escrow_private(const struct cluster_key *k, struct p256 *out)
{
    struct bytes d;
    struct p256_point point;
    TRY(sensitive_number(k->sensitive, &d));
    TRY(public_point(&k->pub, &point));
    return p256_from_private(d, &point, out);
}

/* Outer HMAC, then outer and inner decryption, then the inner digest. */
static rc_t unwrap(struct bytes dup, const struct secret *seed, const struct secret *inner,
                   const struct node_name *name, struct secret **sensitive)
{
    uint8_t mac[DIGEST], digest[DIGEST];
    struct bytes area = dup, want, part;
    AUTO_SECRET key = NULL;
    AUTO_SECRET plain = NULL;
    TRY(take_2b(&area, &want));
    TRY(outer_mac(seed, area, name, mac));
    if (!bytes_equal_ct(want, bytes_of(mac, sizeof mac)))
        return RC_INTEGRITY;
    TRY(secret_from(area, &plain));
    TRY(outer_key(seed, name, &key));
    TRY(cfb(key, false, plain->data, plain->len));
    TRY(cfb(inner, false, plain->data, plain->len));
    struct bytes in = secret_view(plain);
    TRY(take_2b(&in, &want));
    TRY(inner_digest(in, name, digest));
    if (!bytes_equal_ct(want, bytes_of(digest, sizeof digest)))
        return RC_INTEGRITY;
    TRY(take_2b(&in, &part));
    return in.len ? RC_INTEGRITY : secret_from(part, sensitive);
}

static rc_t read_seed(struct bytes seed, const struct p256 *rec, struct secret **out)
{
    struct bytes x, y;
    struct p256_point ephemeral, own;
    AUTO_P256 peer = {NULL};
    TRY(take_2b(&seed, &x));
    TRY(take_2b(&seed, &y));
    if (seed.len || x.len != TEMPLATE_COORDINATE || y.len != TEMPLATE_COORDINATE)
        return RC_INTEGRITY;
    memcpy(ephemeral.x, x.data, x.len);
    memcpy(ephemeral.y, y.data, y.len);
    TRY(p256_from_point(&ephemeral, &peer));
    TRY(p256_point_of(rec, &own));
    return seed_of(rec, &peer, &ephemeral, &own, out);
}

/* The public parts must belong together: the root's policy is the approver's. */
static rc_t check_public(const struct cluster_key *k)
{
    struct node_name auth;
    struct root_policy policy;
    TPM2B_PUBLIC wide, narrow;
    struct p256_point point;
    TPM2B_PUBLIC auth_want;
    TRY(public_point(&k->auth_pub, &point));
    template_auth(&auth_want, &point);
    TRY(template_name(&k->auth_pub, &auth));
    TRY(policy_of_root(&auth, &policy));
    template_cr(&wide, 256, policy.root.raw);
    template_cr(&narrow, 128, policy.root.raw);
    return template_fits(&k->auth_pub, &auth_want) &&
                   (template_fits(&k->pub, &wide) || template_fits(&k->pub, &narrow))
               ? RC_OK
               : RC_INTEGRITY;
}

static rc_t open_fields(struct bytes in, const struct p256 *rec, struct cluster_key *out)
{
    struct bytes fields, cr_pub, auth_pub, seed_point, dup, inner_key;
    struct node_name name;
    AUTO_SECRET seed = NULL;
    AUTO_SECRET inner = NULL;
    AUTO_P256 private = {NULL};
    TRY(pack_open(in, magic, &fields));
    TRY(pack_take(&fields, sizeof(TPM2B_PUBLIC), &cr_pub));
    TRY(pack_take(&fields, sizeof(TPM2B_PUBLIC), &auth_pub));
    TRY(pack_take(&fields, sizeof(TPM2B_ENCRYPTED_SECRET), &seed_point));
    TRY(pack_take(&fields, SENSITIVE_MAX, &dup));
    TRY(pack_take(&fields, 32, &inner_key));
    if (fields.len)
        return RC_INTEGRITY;
    TRY(public_read(cr_pub, &out->pub));
    TRY(public_read(auth_pub, &out->auth_pub));
    TRY(check_public(out));
    TRY(template_name(&out->pub, &name));
    TRY(read_seed(seed_point, rec, &seed));
    TRY(secret_from(inner_key, &inner));
    TRY(unwrap(dup, seed, inner, &name, &out->sensitive));
    return escrow_private(out, &private);
}

rc_t escrow_open(struct bytes escrow, const struct p256 *rec, struct cluster_key *out)
{
    *out = (struct cluster_key){.sensitive = NULL};
    if (escrow.len > ESCROW_MAX)
        return RC_INTEGRITY;
    rc_t rc = open_fields(escrow, rec, out);
    if (rc != RC_OK)
        cluster_key_free(out);
    return rc == RC_OK || rc == RC_NO_MEMORY ? rc : RC_INTEGRITY;
}

/* ---- wrapping for another TPM ---- */

static rc_t make_seed(const TPM2B_PUBLIC *new_parent, TPM2B_ENCRYPTED_SECRET *out,
                      struct secret **seed)
{
    AUTO_P256 own = {NULL};
    AUTO_P256 peer = {NULL};
    struct p256_point ephemeral, target;
    TRY(public_point(new_parent, &target));
    TRY(p256_from_point(&target, &peer));
    TRY(p256_generate(&own));
    TRY(p256_point_of(&own, &ephemeral));
    uint8_t *p = out->secret;
    store_be16(p, TEMPLATE_COORDINATE);
    memcpy(p + 2, ephemeral.x, TEMPLATE_COORDINATE);
    store_be16(p + 2 + TEMPLATE_COORDINATE, TEMPLATE_COORDINATE);
    memcpy(p + 4 + TEMPLATE_COORDINATE, ephemeral.y, TEMPLATE_COORDINATE);
    out->size = 4 + 2 * TEMPLATE_COORDINATE;
    return seed_of(&own, &peer, &ephemeral, &target, seed);
}

rc_t escrow_wrap(const struct cluster_key *k, const TPM2B_PUBLIC *new_parent, struct duplicate *out,
                 struct secret **inner_out)
{
    struct node_name name;
    AUTO_SECRET inner = NULL;
    AUTO_SECRET seed = NULL;
    AUTO_SECRET key = NULL;
    AUTO_SECRET area = NULL;
    const size_t len = k->sensitive->len;
    *out = (struct duplicate){0};
    if (len > SENSITIVE_MAX || 2 + DIGEST + 2 + DIGEST + 2 + len > sizeof out->priv.buffer)
        return RC_TOO_LARGE;
    TRY(template_name(&k->pub, &name));
    TRY(derive_random(k->pub.publicArea.parameters.eccDetail.symmetric.keyBits.aes / 8, &inner));
    TRY(make_seed(new_parent, &out->seed, &seed));

    /* digest | sensitive, each a TPM2B; the digest covers the second with its size */
    TRY(secret_new(2 + DIGEST + 2 + len, &area));
    uint8_t *sensitive = area->data + 2 + DIGEST;
    store_be16(area->data, DIGEST);
    store_be16(sensitive, (uint16_t)len);
    memcpy(sensitive + 2, k->sensitive->data, len);
    TRY(inner_digest(bytes_of(sensitive, 2 + len), &name, area->data + 2));
    TRY(cfb(inner, true, area->data, area->len));
    TRY(outer_key(seed, &name, &key));
    TRY(cfb(key, true, area->data, area->len));

    store_be16(out->priv.buffer, DIGEST);
    TRY(outer_mac(seed, secret_view(area), &name, out->priv.buffer + 2));
    memcpy(out->priv.buffer + 2 + DIGEST, area->data, area->len);
    out->priv.size = (UINT16)(2 + DIGEST + area->len);
    *inner_out = secret_give(&inner);
    return RC_OK;
}
