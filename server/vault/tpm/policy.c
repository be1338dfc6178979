/*
 * Policy digests. Every step is policy' = SHA-256(policy | command code | arguments).
 */
#include "server/vault/tpm/policy.h"

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "server/vault/tpm/counter.h"

enum { DIGEST = 32, STEP_MAX = 256 };

static rc_t digest(const void *data, size_t len, uint8_t out[DIGEST])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? RC_OK : RC_CRYPTO;
}

static rc_t step(struct policy *p, uint32_t command, struct bytes args)
{
    uint8_t in[DIGEST + 4 + STEP_MAX];
    if (args.len > STEP_MAX)
        return RC_TOO_LARGE;
    memcpy(in, p->raw, DIGEST);
    store_be32(in + DIGEST, command);
    if (args.len)
        memcpy(in + DIGEST + 4, args.data, args.len);
    return digest(in, DIGEST + 4 + args.len, p->raw);
}

rc_t policy_pcr_digest(uint32_t mask, const uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES],
                       uint8_t out[DIGEST])
{
    uint8_t all[TPM_PCR_COUNT * TPM_PCR_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < TPM_PCR_COUNT; i++)
        if (mask >> i & 1) {
            memcpy(all + len, values[i], TPM_PCR_BYTES);
            len += TPM_PCR_BYTES;
        }
    return digest(all, len, out);
}

rc_t policy_pcr(struct policy *p, uint32_t mask, const uint8_t pcr_digest[DIGEST])
{
    uint8_t args[10 + DIGEST];
    store_be32(args, 1); /* TPML_PCR_SELECTION: one bank, three octets */
    store_be16(args + 4, TPM2_ALG_SHA256);
    args[6] = 3;
    args[7] = (uint8_t)mask;
    args[8] = (uint8_t)(mask >> 8);
    args[9] = (uint8_t)(mask >> 16);
    memcpy(args + 10, pcr_digest, DIGEST);
    return step(p, TPM2_CC_PolicyPCR, bytes_of(args, sizeof args));
}

rc_t policy_nv_equal(struct policy *p, const struct node_name *nv_name, uint64_t value)
{
    uint8_t compared[8 + 2 + 2], args[DIGEST + NODE_NAME_BYTES];
    store_be64(compared, value);
    store_be16(compared + 8, 0); /* offset */
    store_be16(compared + 10, TPM2_EO_EQ);
    TRY(digest(compared, sizeof compared, args));
    memcpy(args + DIGEST, nv_name->raw, NODE_NAME_BYTES);
    return step(p, TPM2_CC_PolicyNV, bytes_of(args, sizeof args));
}

rc_t policy_duplication_select(struct policy *p, const struct node_name *object,
                               const struct node_name *new_parent)
{
    uint8_t args[2 * NODE_NAME_BYTES + 1];
    memcpy(args, object->raw, NODE_NAME_BYTES);
    memcpy(args + NODE_NAME_BYTES, new_parent->raw, NODE_NAME_BYTES);
    args[2 * NODE_NAME_BYTES] = TPM2_YES; /* the object is part of what is approved */
    return step(p, TPM2_CC_PolicyDuplicationSelect, bytes_of(args, sizeof args));
}

rc_t policy_authorize(struct policy *p, const struct node_name *auth, const char *ref)
{
    uint8_t second[DIGEST + 64];
    size_t ref_len = strlen(ref);
    if (ref_len > sizeof second - DIGEST)
        return RC_TOO_LARGE;
    *p = (struct policy){{0}};
    TRY(step(p, TPM2_CC_PolicyAuthorize, bytes_of(auth->raw, NODE_NAME_BYTES)));
    memcpy(second, p->raw, DIGEST);
    memcpy(second + DIGEST, ref, ref_len);
    return digest(second, DIGEST + ref_len, p->raw);
}

rc_t policy_or(struct policy *p, const struct policy *a, const struct policy *b)
{
    uint8_t args[2 * DIGEST];
    memcpy(args, a->raw, DIGEST);
    memcpy(args + DIGEST, b->raw, DIGEST);
    *p = (struct policy){{0}};
    return step(p, TPM2_CC_PolicyOR, bytes_of(args, sizeof args));
}

rc_t policy_to_sign(const struct policy *p, const char *ref, uint8_t out[DIGEST])
{
    uint8_t in[DIGEST + 64];
    size_t ref_len = strlen(ref);
    if (ref_len > sizeof in - DIGEST)
        return RC_TOO_LARGE;
    memcpy(in, p->raw, DIGEST);
    memcpy(in + DIGEST, ref, ref_len);
    return digest(in, DIGEST + ref_len, out);
}

rc_t policy_of_root(const struct node_name *auth, struct root_policy *out)
{
    TRY(policy_authorize(&out->use, auth, POLICY_REF_USE));
    TRY(policy_authorize(&out->dup, auth, POLICY_REF_DUP));
    return policy_or(&out->root, &out->use, &out->dup);
}

rc_t policy_of_use(uint32_t pcr_mask, const uint8_t pcr_digest[DIGEST],
                   const struct node_name *nv_name, uint64_t value, struct policy *out)
{
    *out = (struct policy){{0}};
    TRY(policy_pcr(out, pcr_mask, pcr_digest));
    return policy_nv_equal(out, nv_name, value);
}

rc_t policy_of_dup(const struct node_name *cr, const struct node_name *target, struct policy *out)
{
    *out = (struct policy){{0}};
    return policy_duplication_select(out, cr, target);
}

rc_t policy_counter_name(uint32_t nv_index, const struct uid *node, struct node_name *out)
{
    TPM2B_NV_PUBLIC pub;
    TRY(counter_public(nv_index, COUNTER_POLICY, node, true, &pub));
    return counter_name(&pub, out);
}
