/*
 * Policy digests, computed in plain C: what a TPM arrives at when it runs the same commands, so
 * that the approver needs no TPM. TPM 2.0 part 3, chapter 23, "Enhanced Authorization Commands".
 */
#ifndef SERVER_VAULT_TPM_POLICY_H
#define SERVER_VAULT_TPM_POLICY_H

#include "server/vault/node_state.h"
#include "server/vault/tpm/tpm.h"

struct policy {
    uint8_t raw[32];
};

#define POLICY_REF_USE "holdfast-use" /* approves the use of the cluster root in a boot state */
#define POLICY_REF_DUP "holdfast-dup" /* approves its duplication to one target */

/* SHA-256 over the values of the selected PCRs, in order: what PolicyPCR compares. */
rc_t policy_pcr_digest(uint32_t mask, const uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES],
                       uint8_t digest[32]);
/* Each goes on from *p; start with a zeroed policy. RC_CRYPTO when hashing fails. */
rc_t policy_pcr(struct policy *p, uint32_t mask, const uint8_t pcr_digest[32]);
/* NV counter equal to `value`. nv_name: Name of the index, 34 bytes. */
rc_t policy_nv_equal(struct policy *p, const struct node_name *nv_name, uint64_t value);
rc_t policy_duplication_select(struct policy *p, const struct node_name *object,
                               const struct node_name *new_parent);
/* Starts anew: any policy that the key signed with this reference. */
rc_t policy_authorize(struct policy *p, const struct node_name *auth, const char *ref);
/* Starts anew: one of the two. */
rc_t policy_or(struct policy *p, const struct policy *a, const struct policy *b);

/* What the approver signs: SHA-256(policy | ref). */
rc_t policy_to_sign(const struct policy *p, const char *ref, uint8_t digest[32]);

/* The cluster root's policy and its two branches. */
struct root_policy {
    struct policy use, dup, root;
};
rc_t policy_of_root(const struct node_name *auth, struct root_policy *out);
/* The approved policy of the use branch. */
rc_t policy_of_use(uint32_t pcr_mask, const uint8_t pcr_digest[32], const struct node_name *nv_name,
                   uint64_t value, struct policy *out);
/* The approved policy of the duplication branch. */
rc_t policy_of_dup(const struct node_name *cr, const struct node_name *target, struct policy *out);

/* The Name of the approval counter of a node once it was written: attributes and node id decide it.
 */
rc_t policy_counter_name(uint32_t nv_index, const struct uid *node, struct node_name *out);

#endif
