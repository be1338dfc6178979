/*
 * The attestation key: a restricted signing key that is primary in the endorsement hierarchy, so it
 * is made anew, and the same, each time it is needed. It signs what the vault states to people who
 * do not trust the database.
 */
#ifndef SERVER_VAULT_TPM_ATTEST_H
#define SERVER_VAULT_TPM_ATTEST_H

#include "server/vault/tpm/session.h"

enum { ATTEST_DIGEST = 32, ATTEST_SIGNATURE = 64 };

/* Makes the key; its public area and Name come back. The handle is the caller's scope's. RC_TPM. */
rc_t attest_key(struct tpm *t, struct tpm_handle *key, struct node_name *name,
                TPM2B_PUBLIC *pub_out);

/*
 * Signs the line "holdfast audit stub HEX" and a line feed, HEX the digest in lower case: ECDSA
 * with P-256 and SHA-256, r and s of 32 bytes each. The TPM hashes the line itself: only so does a
 * restricted key sign (TPM 2.0 part 3, TPM2_Sign). `pinned` is the Name that node.state has:
 * RC_TPM_FOREIGN when this TPM makes another key. RC_TPM.
 */
rc_t attest_sign_stub(struct tpm *t, const struct node_name *pinned,
                      const uint8_t digest[ATTEST_DIGEST], uint8_t signature_out[ATTEST_SIGNATURE]);

#endif
