/*
 * What the rows mean to the TPM side: their MACs and derived authorisations, and reading them
 * against the pinned state, with a sentence for each thing that can be wrong.
 */
#ifndef SERVER_VAULT_TPM_ROWS_H
#define SERVER_VAULT_TPM_ROWS_H

#include "server/vault/hierarchy.h"
#include "server/vault/tpm/root.h"
#include "server/vault/tpm/state.h"

/* The MAC key for ep and dk rows, from the cluster secret. */
rc_t rows_mac_key(const struct secret *cs, struct secret **out);
/* MACs over all fields but the MAC itself. */
rc_t rows_ep_mac(const struct secret *key, const struct hierarchy_ep *row, uint8_t mac[32]);
rc_t rows_dk_mac(const struct secret *key, const struct hierarchy_dk *row, uint8_t mac[32]);
/* The authorisation value of an epoch parent, from the cluster secret. */
rc_t rows_ep_auth(const struct secret *cs, uint32_t epoch, struct secret **out);

/*
 * Fills `r` (all but what root_open() makes) and `priv` from this node's row and its cluster
 * root's, checked against the pinned names. On failure the report names the row: SEALED and
 * RC_INTEGRITY, or CEREMONY_WAIT and RC_SEALED while approval or escrow proof are missing.
 */
rc_t rows_root(const struct hierarchy *rows, const struct node_state *pinned, struct root *r,
               TPM2B_PRIVATE *priv, struct vault_report *report);

/* The digest that an escrow proof signs. */
rc_t rows_escrow_statement(struct bytes escrow_digest, uint8_t digest[32]);
/* RC_INTEGRITY unless the proof was made with the cluster root's private key for this escrow. */
rc_t rows_escrow_proven(const TPM2B_PUBLIC *cr_pub, struct bytes escrow_digest, struct bytes proof);

#endif
