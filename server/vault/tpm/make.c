/*
 * New keys of the hierarchy. See make.h.
 */
#include "server/vault/tpm/make.h"

#include <openssl/rand.h>

#include "proto/base/wipe.h"
#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/rows.h"

void made_row_free(struct made_row *m)
{
    buf_free(&m->pub);
    buf_free(&m->priv);
}

rc_t make_random(struct tpm *t, size_t len, struct secret **out)
{
    AUTO_SECRET own = NULL;
    AUTO_SECRET theirs = NULL;
    TRY(derive_random(len, &own));
    TRY(tpm_random(t, len, &theirs));
    for (size_t i = 0; i < len; i++)
        own->data[i] ^= theirs->data[i];
    *out = secret_give(&own);
    return RC_OK;
}

static rc_t keep(const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv, struct made_row *own)
{
    TRY(public_write(pub, &own->pub));
    return private_write(priv, &own->priv);
}

rc_t make_cs(struct root *r, const struct secret *cs, struct hierarchy_cs *row,
             struct made_row *own)
{
    TPM2B_PUBLIC wanted, pub;
    TPM2B_PRIVATE priv;
    template_sealed(&wanted);
    TRY(root_create(r, &wanted, NULL, cs, &pub, &priv));
    TRY(keep(&pub, &priv, own));
    row->pub = buf_view(&own->pub);
    row->priv = buf_view(&own->priv);
    return RC_OK;
}

rc_t make_ep(struct root *r, const struct secret *cs, const struct secret *row_mac,
             struct hierarchy_ep *row, struct made_row *own)
{
    TPM2B_PUBLIC wanted, pub;
    TPM2B_PRIVATE priv;
    AUTO_SECRET auth = NULL;
    /* As strong as the cluster root was made: that is what this TPM can do. */
    template_ep(&wanted, r->pub.publicArea.parameters.eccDetail.symmetric.keyBits.aes,
                r->policy.root.raw);
    TRY(rows_ep_auth(cs, row->epoch, &auth));
    TRY(root_create(r, &wanted, auth, NULL, &pub, &priv));
    TRY(keep(&pub, &priv, own));
    row->pub = buf_view(&own->pub);
    row->priv = buf_view(&own->priv);
    TRY(rows_ep_mac(row_mac, row, own->mac));
    row->mac = bytes_of(own->mac, sizeof own->mac);
    return RC_OK;
}

rc_t make_ep_load(struct root *r, const struct secret *cs, const struct hierarchy_ep *row,
                  struct tpm_handle *out)
{
    TPM2B_PUBLIC pub;
    TPM2B_PRIVATE priv;
    TPM2B_AUTH value = {0};
    AUTO_SECRET auth = NULL;
    *out = tpm_handle_of(r->t);
    TRY(public_read(row->pub, &pub));
    TRY(private_read(row->priv, &priv));
    TRY(root_load(r, &pub, &priv, out));
    TRY(rows_ep_auth(cs, row->epoch, &auth));
    value.size = (UINT16)auth->len;
    memcpy(value.buffer, auth->data, auth->len);
    rc_t rc = TPM_RUN(r->t, "epoch parent", Esys_TR_SetAuth(r->t->esys, out->tr, &value));
    wipe(&value, sizeof value);
    return rc;
}

rc_t make_dk(struct tpm *t, ESYS_TR ep, const struct secret *row_mac, const struct secret *dk,
             struct hierarchy_dk *row, struct made_row *own)
{
    TPM2B_PUBLIC wanted, pub;
    TPM2B_PRIVATE priv;
    template_sealed(&wanted);
    TRY(key_create(t, ep, ESYS_TR_NONE, &wanted, NULL, dk, &pub, &priv));
    TRY(keep(&pub, &priv, own));
    row->pub = buf_view(&own->pub);
    row->priv = buf_view(&own->priv);
    TRY(rows_dk_mac(row_mac, row, own->mac));
    row->mac = bytes_of(own->mac, sizeof own->mac);
    return RC_OK;
}

/* A pad of its own for each nonce; the value is random, so nothing more is needed. */
static rc_t nv_pad(const struct secret *cs, const struct uid *node, struct bytes nonce,
                   struct secret **out)
{
    const struct bytes fields[] = {bytes_of(node->raw, sizeof node->raw), nonce};
    return derive_key(cs, "nv-auth", fields, 2, NV_AUTH_BYTES, out);
}

rc_t make_nv_auth_store(const struct secret *cs, const struct uid *node, const struct secret *auth,
                        uint8_t stored[NV_AUTH_STORED])
{
    enum { NONCE = NV_AUTH_STORED - NV_AUTH_BYTES };
    AUTO_SECRET pad = NULL;
    if (auth->len != NV_AUTH_BYTES)
        return RC_INTERNAL;
    if (RAND_bytes(stored, NONCE) != 1)
        return RC_CRYPTO;
    TRY(nv_pad(cs, node, bytes_of(stored, NONCE), &pad));
    for (size_t i = 0; i < NV_AUTH_BYTES; i++)
        stored[NONCE + i] = auth->data[i] ^ pad->data[i];
    return RC_OK;
}

rc_t make_nv_auth_open(const struct secret *cs, const struct uid *node, struct bytes stored,
                       struct secret **auth)
{
    enum { NONCE = NV_AUTH_STORED - NV_AUTH_BYTES };
    AUTO_SECRET pad = NULL;
    if (stored.len != NV_AUTH_STORED)
        return RC_INTEGRITY;
    TRY(nv_pad(cs, node, bytes_of(stored.data, NONCE), &pad));
    for (size_t i = 0; i < NV_AUTH_BYTES; i++)
        pad->data[i] ^= stored.data[NONCE + i];
    *auth = secret_give(&pad);
    return RC_OK;
}
