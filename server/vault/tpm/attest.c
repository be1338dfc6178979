/* The attestation key and what it signs; see attest.h. */
#include "server/vault/tpm/attest.h"

#include "server/vault/tpm/hex.h"
#include "server/vault/tpm/template.h"

rc_t attest_key(struct tpm *t, struct tpm_handle *key, struct node_name *name,
                TPM2B_PUBLIC *pub_out)
{
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PUBLIC wanted;
    AUTO_ESYS TPM2B_PUBLIC *pub = NULL;
    template_ak(&wanted);
    TRY(TPM_RUN(t, "CreatePrimary(attestation key)",
                Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, tpm_session(t, 0), ESYS_TR_NONE,
                                   ESYS_TR_NONE, &sensitive, &wanted, &outside, &pcrs, &key->tr,
                                   &pub, NULL, NULL, NULL)));
    *pub_out = *pub;
    return template_name(pub, name);
}

static rc_t stub_line(const uint8_t digest[ATTEST_DIGEST], TPM2B_MAX_BUFFER *line)
{
    AUTO_BUF text = BUF_EMPTY;
    TRY(buf_add_str(&text, "holdfast audit stub "));
    TRY(hex_add(&text, bytes_of(digest, ATTEST_DIGEST)));
    TRY(buf_add_u8(&text, '\n'));
    line->size = (UINT16)text.len;
    memcpy(line->buffer, text.data, text.len);
    return RC_OK;
}

/* Right-aligned in 32 bytes. */
static bool put_number(uint8_t out[32], const TPM2B_ECC_PARAMETER *n)
{
    if (n->size > 32)
        return false;
    memset(out, 0, 32);
    memcpy(out + 32 - n->size, n->buffer, n->size);
    return true;
}

rc_t attest_sign_stub(struct tpm *t, const struct node_name *pinned,
                      const uint8_t digest[ATTEST_DIGEST], uint8_t signature_out[ATTEST_SIGNATURE])
{
    const TPMT_SIG_SCHEME as_key = {.scheme = TPM2_ALG_NULL};
    TPM2B_MAX_BUFFER line;
    TPM2B_PUBLIC pub;
    struct node_name name;
    TRY(tpm_ready(t));
    AUTO_HANDLE key = tpm_handle_of(t);
    AUTO_ESYS TPM2B_DIGEST *hash = NULL;
    AUTO_ESYS TPMT_TK_HASHCHECK *ticket = NULL;
    AUTO_ESYS TPMT_SIGNATURE *signature = NULL;
    TRY(stub_line(digest, &line));
    TRY(attest_key(t, &key, &name, &pub));
    if (memcmp(name.raw, pinned->raw, sizeof name.raw) != 0)
        return tpm_fail(t, RC_TPM_FOREIGN,
                        "the attestation key is not the one that this node pins");
    TRY(TPM_RUN(t, "Hash",
                Esys_Hash(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &line, TPM2_ALG_SHA256,
                          ESYS_TR_RH_ENDORSEMENT, &hash, &ticket)));
    TRY(TPM_RUN(t, "Sign(attestation key)",
                Esys_Sign(t->esys, key.tr, tpm_session(t, 0), ESYS_TR_NONE, ESYS_TR_NONE, hash,
                          &as_key, ticket, &signature)));
    const TPMS_SIGNATURE_ECC *ecdsa = &signature->signature.ecdsa;
    if (signature->sigAlg != TPM2_ALG_ECDSA || !put_number(signature_out, &ecdsa->signatureR) ||
        !put_number(signature_out + 32, &ecdsa->signatureS))
        return tpm_fail(t, RC_TPM, "Sign: the TPM gave another kind of signature than asked for");
    return RC_OK;
}
