/*
 * Templates and Names. A change here changes Names, and so makes existing hierarchies foreign.
 */
#include "server/vault/tpm/template.h"

#include <openssl/evp.h>
#include <tss2/tss2_mu.h>

enum {
    /* fixedTPM and fixedParent of the storage root; a duplicable key and its children have neither
     */
    ROOTED = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT,
    STORAGE = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA |
              TPMA_OBJECT_SENSITIVEDATAORIGIN,
};

static void ecc(TPM2B_PUBLIC *out, TPMA_OBJECT attributes, uint16_t aes_bits)
{
    *out = (TPM2B_PUBLIC){0};
    TPMT_PUBLIC *p = &out->publicArea;
    p->type = TPM2_ALG_ECC;
    p->nameAlg = TPM2_ALG_SHA256;
    p->objectAttributes = attributes;
    p->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    p->parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    p->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    p->parameters.eccDetail.symmetric.algorithm = aes_bits ? TPM2_ALG_AES : TPM2_ALG_NULL;
    if (aes_bits) {
        p->parameters.eccDetail.symmetric.keyBits.aes = aes_bits;
        p->parameters.eccDetail.symmetric.mode.aes = TPM2_ALG_CFB;
    }
}

static void set_policy(TPM2B_PUBLIC *out, const uint8_t policy[TEMPLATE_POLICY])
{
    out->publicArea.authPolicy.size = TEMPLATE_POLICY;
    memcpy(out->publicArea.authPolicy.buffer, policy, TEMPLATE_POLICY);
}

static void set_point(TPM2B_PUBLIC *out, const struct p256_point *point)
{
    TPMS_ECC_POINT *p = &out->publicArea.unique.ecc;
    p->x.size = p->y.size = TEMPLATE_COORDINATE;
    memcpy(p->x.buffer, point->x, TEMPLATE_COORDINATE);
    memcpy(p->y.buffer, point->y, TEMPLATE_COORDINATE);
}

static void set_ecdsa(TPM2B_PUBLIC *out)
{
    TPMT_ECC_SCHEME *scheme = &out->publicArea.parameters.eccDetail.scheme;
    scheme->scheme = TPM2_ALG_ECDSA;
    scheme->details.ecdsa.hashAlg = TPM2_ALG_SHA256;
}

void template_srk(TPM2B_PUBLIC *out)
{
    static const struct p256_point zero;
    ecc(out, ROOTED | STORAGE | TPMA_OBJECT_USERWITHAUTH, 128);
    set_point(out, &zero); /* TCG provisioning guidance: a unique of zeros, full length */
}

void template_ak(TPM2B_PUBLIC *out)
{
    static const char unique[] = "holdfast-ak"; /* so that it is not some other program's primary */
    ecc(out,
        ROOTED | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
            TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
        0);
    set_ecdsa(out);
    out->publicArea.unique.ecc.x.size = sizeof unique - 1;
    memcpy(out->publicArea.unique.ecc.x.buffer, unique, sizeof unique - 1);
}

void template_cr(TPM2B_PUBLIC *out, uint16_t aes_bits, const uint8_t policy[TEMPLATE_POLICY])
{
    ecc(out, STORAGE | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_ENCRYPTEDDUPLICATION, aes_bits);
    set_policy(out, policy);
}

void template_ep(TPM2B_PUBLIC *out, uint16_t aes_bits, const uint8_t policy[TEMPLATE_POLICY])
{
    template_cr(out, aes_bits, policy);
    out->publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
}

static void sealed(TPM2B_PUBLIC *out, TPMA_OBJECT attributes)
{
    *out = (TPM2B_PUBLIC){0};
    out->publicArea.type = TPM2_ALG_KEYEDHASH;
    out->publicArea.nameAlg = TPM2_ALG_SHA256;
    out->publicArea.objectAttributes = attributes | TPMA_OBJECT_NODA;
    out->publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
}

void template_sealed(TPM2B_PUBLIC *out)
{
    /* encryptedDuplication must equal the parent's, fixedTPM must be clear as the parent's is. */
    sealed(out,
           TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_ENCRYPTEDDUPLICATION);
}

void template_pending(TPM2B_PUBLIC *out, const uint8_t policy[TEMPLATE_POLICY])
{
    sealed(out, ROOTED | TPMA_OBJECT_ADMINWITHPOLICY);
    set_policy(out, policy);
}

void template_auth(TPM2B_PUBLIC *out, const struct p256_point *point)
{
    ecc(out, TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT, 0);
    set_ecdsa(out);
    set_point(out, point);
}

void template_rec(TPM2B_PUBLIC *out, const struct p256_point *point)
{
    ecc(out, TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT, 128);
    set_point(out, point);
}

/* ---- names and wire forms ---- */

static rc_t area_write(const TPM2B_PUBLIC *pub, uint8_t *out, size_t size, size_t *len)
{
    *len = 0;
    return Tss2_MU_TPMT_PUBLIC_Marshal(&pub->publicArea, out, size, len) == TSS2_RC_SUCCESS
               ? RC_OK
               : RC_BAD_VALUE;
}

bool template_fits(const TPM2B_PUBLIC *pub, const TPM2B_PUBLIC *from)
{
    uint8_t a[sizeof(TPMT_PUBLIC)], b[sizeof(TPMT_PUBLIC)];
    size_t a_len, b_len;
    TPM2B_PUBLIC made = *from;
    if (pub->publicArea.type != from->publicArea.type)
        return false;
    made.publicArea.unique = pub->publicArea.unique;
    return area_write(pub, a, sizeof a, &a_len) == RC_OK &&
           area_write(&made, b, sizeof b, &b_len) == RC_OK && a_len == b_len &&
           memcmp(a, b, a_len) == 0;
}

rc_t template_name(const TPM2B_PUBLIC *pub, struct node_name *out)
{
    uint8_t area[sizeof(TPMT_PUBLIC)];
    size_t len;
    if (pub->publicArea.nameAlg != TPM2_ALG_SHA256)
        return RC_BAD_VALUE;
    TRY(area_write(pub, area, sizeof area, &len));
    store_be16(out->raw, TPM2_ALG_SHA256);
    return EVP_Digest(area, len, out->raw + 2, NULL, EVP_sha256(), NULL) == 1 ? RC_OK : RC_CRYPTO;
}

rc_t public_write(const TPM2B_PUBLIC *pub, struct buf *out)
{
    uint8_t raw[sizeof(TPM2B_PUBLIC)];
    size_t len = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(pub, raw, sizeof raw, &len) != TSS2_RC_SUCCESS)
        return RC_BAD_VALUE;
    return buf_add(out, raw, len);
}

rc_t public_read(struct bytes in, TPM2B_PUBLIC *out)
{
    uint8_t again[sizeof(TPM2B_PUBLIC)];
    size_t used = 0, len = 0;
    *out = (TPM2B_PUBLIC){0};
    /* The TSS reads leniently (it does not even compare the size in front): one form only is taken.
     */
    if (in.len == 0 ||
        Tss2_MU_TPM2B_PUBLIC_Unmarshal(in.data, in.len, &used, out) != TSS2_RC_SUCCESS ||
        Tss2_MU_TPM2B_PUBLIC_Marshal(out, again, sizeof again, &len) != TSS2_RC_SUCCESS ||
        !bytes_equal(in, bytes_of(again, len)))
        return RC_INTEGRITY;
    return RC_OK;
}

rc_t private_write(const TPM2B_PRIVATE *priv, struct buf *out)
{
    TRY(buf_add_be16(out, priv->size));
    return buf_add(out, priv->buffer, priv->size);
}

rc_t private_read(struct bytes in, TPM2B_PRIVATE *out)
{
    *out = (TPM2B_PRIVATE){0};
    if (in.len < 2 || load_be16(in.data) != in.len - 2 || in.len - 2 > sizeof out->buffer)
        return RC_INTEGRITY;
    out->size = (UINT16)(in.len - 2);
    memcpy(out->buffer, in.data + 2, out->size);
    return RC_OK;
}

rc_t public_point(const TPM2B_PUBLIC *pub, struct p256_point *out)
{
    const TPMS_ECC_POINT *p = &pub->publicArea.unique.ecc;
    *out = (struct p256_point){{0}, {0}};
    if (pub->publicArea.type != TPM2_ALG_ECC ||
        pub->publicArea.parameters.eccDetail.curveID != TPM2_ECC_NIST_P256 ||
        p->x.size > TEMPLATE_COORDINATE || p->y.size > TEMPLATE_COORDINATE || !p->x.size ||
        !p->y.size)
        return RC_INTEGRITY;
    memcpy(out->x + TEMPLATE_COORDINATE - p->x.size, p->x.buffer, p->x.size);
    memcpy(out->y + TEMPLATE_COORDINATE - p->y.size, p->y.buffer, p->y.size);
    return RC_OK;
}
