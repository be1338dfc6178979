/*
 * The two NV counters of a node. The approval counter is compared by PolicyNV, so that an old
 * approval can be revoked by one increment; its policy field carries the node's id, so that its
 * Name, and with it an approval, belongs to one node. The checkpoint counter is for the audit
 * chain.
 */
#ifndef SERVER_VAULT_TPM_COUNTER_H
#define SERVER_VAULT_TPM_COUNTER_H

#include <tss2/tss2_tpm2_types.h>

#include "server/base/secret.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/tpm.h"

enum counter_kind { COUNTER_POLICY, COUNTER_CHECKPOINT };

/* The public area before (written = false) or after the first increment. */
rc_t counter_public(uint32_t index, enum counter_kind kind, const struct uid *node, bool written,
                    TPM2B_NV_PUBLIC *out);
/* Name = 000b | SHA-256 of the public area. */
rc_t counter_name(const TPM2B_NV_PUBLIC *pub, struct node_name *out);

/* Defines it and increments it once, which gives it its final Name. RC_NAME_TAKEN: exists. */
rc_t counter_make(struct tpm *t, uint32_t index, enum counter_kind kind, const struct uid *node,
                  const struct secret *auth);
/* The approval counter's value, read with owner authorisation. RC_NOT_FOUND: no such index. */
rc_t counter_read(struct tpm *t, uint32_t index, uint64_t *value);
/* One up; every approval given before is void afterwards. Not to be repeated blindly: read first.
 */
rc_t counter_increment(struct tpm *t, uint32_t index, const struct secret *auth);
/* Removes it; RC_OK when it is not there. */
rc_t counter_remove(struct tpm *t, uint32_t index);

#endif
