/*
 * NV counters: definition, increment, read. See counter.h.
 */
#include "server/vault/tpm/counter.h"

#include <openssl/evp.h>
#include <tss2/tss2_mu.h>

#include "proto/base/wipe.h"
#include "server/vault/tpm/session.h"

static const TPMA_NV attributes[] = {
    /* Read by the owner: PolicyNV must read it before the cluster secret is known. */
    [COUNTER_POLICY] = TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT | TPMA_NV_OWNERREAD |
                       TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA,
    /* Never ORDERLY: such a counter jumps after a power loss. */
    [COUNTER_CHECKPOINT] = TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT | TPMA_NV_AUTHREAD |
                           TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA,
};

rc_t counter_public(uint32_t index, enum counter_kind kind, const struct uid *node, bool written,
                    TPM2B_NV_PUBLIC *out)
{
    static const char label[] = "holdfast-node";
    uint8_t in[sizeof label - 1 + sizeof node->raw];
    memcpy(in, label, sizeof label - 1);
    memcpy(in + sizeof label - 1, node->raw, sizeof node->raw);
    *out = (TPM2B_NV_PUBLIC){0};
    out->nvPublic.nvIndex = index;
    out->nvPublic.nameAlg = TPM2_ALG_SHA256;
    out->nvPublic.attributes = attributes[kind] | (written ? TPMA_NV_WRITTEN : 0);
    out->nvPublic.dataSize = 8;
    /* Never satisfiable and never allowed (no POLICYREAD, no POLICYWRITE): it only sets the Name
     * apart. */
    out->nvPublic.authPolicy.size = 32;
    return EVP_Digest(in, sizeof in, out->nvPublic.authPolicy.buffer, NULL, EVP_sha256(), NULL) == 1
               ? RC_OK
               : RC_CRYPTO;
}

rc_t counter_name(const TPM2B_NV_PUBLIC *pub, struct node_name *out)
{
    uint8_t area[sizeof(TPMS_NV_PUBLIC)];
    size_t len = 0;
    if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(&pub->nvPublic, area, sizeof area, &len) != TSS2_RC_SUCCESS)
        return RC_INTERNAL;
    store_be16(out->raw, TPM2_ALG_SHA256);
    return EVP_Digest(area, len, out->raw + 2, NULL, EVP_sha256(), NULL) == 1 ? RC_OK : RC_CRYPTO;
}

static rc_t use_auth(struct tpm *t, ESYS_TR nv, const struct secret *auth)
{
    TPM2B_AUTH value = {.size = (UINT16)auth->len};
    if (auth->len > sizeof value.buffer)
        return RC_INTERNAL;
    memcpy(value.buffer, auth->data, auth->len);
    rc_t rc = TPM_RUN(t, "counter authorisation", Esys_TR_SetAuth(t->esys, nv, &value));
    wipe(&value, sizeof value);
    return rc;
}

rc_t counter_make(struct tpm *t, uint32_t index, enum counter_kind kind, const struct uid *node,
                  const struct secret *auth)
{
    TPM2B_NV_PUBLIC pub;
    TPM2B_AUTH value = {.size = (UINT16)auth->len};
    ESYS_TR made = ESYS_TR_NONE;
    TRY(tpm_ready(t));
    TRY(counter_public(index, kind, node, false, &pub));
    if (auth->len > 32)
        return RC_INTERNAL;
    memcpy(value.buffer, auth->data, auth->len);
    rc_t rc = TPM_RUN(t, "NV_DefineSpace",
                      Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, tpm_session(t, TPM_CRYPT_IN),
                                          ESYS_TR_NONE, ESYS_TR_NONE, &value, &pub, &made));
    wipe(&value, sizeof value);
    if (rc != RC_OK)
        return tpm_last_code(t) == TPM2_RC_NV_DEFINED ? RC_NAME_TAKEN : rc;
    tpm_nv_forget(t);
    t->nv_handle = made;
    t->nv_index = index;
    return counter_increment(t, index, auth);
}

rc_t counter_read(struct tpm *t, uint32_t index, uint64_t *value)
{
    ESYS_TR nv;
    AUTO_ESYS TPM2B_MAX_NV_BUFFER *data = NULL;
    TRY(tpm_ready(t));
    TRY(tpm_nv_handle(t, index, &nv));
    TRY(TPM_RUN(t, "NV_Read(approval counter)",
                Esys_NV_Read(t->esys, ESYS_TR_RH_OWNER, nv, tpm_session(t, 0), ESYS_TR_NONE,
                             ESYS_TR_NONE, 8, 0, &data)));
    if (data->size != 8)
        return tpm_fail(t, RC_TPM, "NV_Read: the approval counter is not 8 bytes long");
    *value = load_be64(data->buffer);
    return RC_OK;
}

rc_t counter_increment(struct tpm *t, uint32_t index, const struct secret *auth)
{
    ESYS_TR nv;
    TRY(tpm_ready(t));
    TRY(tpm_nv_handle(t, index, &nv));
    TRY(use_auth(t, nv, auth));
    return TPM_RUN(
        t, "NV_Increment",
        Esys_NV_Increment(t->esys, nv, nv, tpm_session(t, 0), ESYS_TR_NONE, ESYS_TR_NONE));
}

rc_t counter_remove(struct tpm *t, uint32_t index)
{
    ESYS_TR nv;
    TRY(tpm_ready(t));
    rc_t rc = tpm_nv_handle(t, index, &nv);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    rc = TPM_RUN(t, "NV_UndefineSpace",
                 Esys_NV_UndefineSpace(t->esys, ESYS_TR_RH_OWNER, nv, tpm_session(t, 0),
                                       ESYS_TR_NONE, ESYS_TR_NONE));
    if (rc == RC_OK) { /* ESYS closed the handle with the index */
        t->nv_handle = ESYS_TR_NONE;
        t->nv_index = 0;
    }
    return rc;
}
