/*
 * The escrow: the cluster root as TPM2_Duplicate encrypted it to the recovery key, and the software
 * that opens it and wraps it again for another TPM. TPM 2.0 part 1, 23.3, "Duplication": inner wrap
 * (AES-CFB over integrity and sensitive area), outer wrap (seed by ECDH, AES-CFB, HMAC).
 */
#ifndef SERVER_VAULT_TPM_ESCROW_H
#define SERVER_VAULT_TPM_ESCROW_H

#include "server/vault/tpm/p256.h"
#include "server/vault/tpm/root.h"

/* The cluster root outside a TPM. */
struct cluster_key {
    TPM2B_PUBLIC pub, auth_pub;
    struct secret *sensitive; /* TPMT_SENSITIVE, wire form */
};
#define AUTO_CLUSTER_KEY __attribute__((cleanup(cluster_key_free))) struct cluster_key
void cluster_key_free(struct cluster_key *k);

/* Appends the escrow file. */
rc_t escrow_write(const TPM2B_PUBLIC *cr, const TPM2B_PUBLIC *auth, const struct duplicate *dup,
                  const struct secret *inner, struct buf *out);
/* Opens it with the recovery key and checks all of it. One result for every damage: RC_INTEGRITY.
 */
rc_t escrow_open(struct bytes escrow, const struct p256 *rec, struct cluster_key *out);
/* The private number of the cluster root, checked against its public point. */
rc_t escrow_private(const struct cluster_key *k, struct p256 *out);
/* Encrypts it to a storage key with P-256 and AES-128-CFB, as TPM2_Duplicate would. */
rc_t escrow_wrap(const struct cluster_key *k, const TPM2B_PUBLIC *new_parent, struct duplicate *out,
                 struct secret **inner);

#endif
