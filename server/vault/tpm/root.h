/*
 * The cluster root, loaded in this TPM: its policy sessions and what can be done under them.
 * A policy session serves one command; each function here runs the whole sequence anew, and once
 * more when a PCR moved in between.
 */
#ifndef SERVER_VAULT_TPM_ROOT_H
#define SERVER_VAULT_TPM_ROOT_H

#include "server/vault/tpm/policy.h"
#include "server/vault/tpm/session.h"
#include "server/vault/tpm/template.h"

enum { ROOT_SIGNATURE = 64, ROOT_PCR_TRIES = 10 };

/* An approval: which policy, signed by AUTH as r | s. */
struct approval {
    struct policy policy;
    uint8_t signature[ROOT_SIGNATURE];
};

struct root {
    struct tpm *t;
    struct tpm_handle key;
    TPM2B_PUBLIC pub, auth_pub;
    struct node_name name, auth_name;
    struct root_policy policy;
    uint32_t nv_index;
    uint32_t pcr_mask;
    uint64_t counter; /* value that the approval binds */
    struct approval use;
    TPMT_TK_VERIFIED ticket; /* the TPM's word that the approval's signature is good */
};
#define AUTO_ROOT __attribute__((cleanup(root_close))) struct root

/*
 * Loads the cluster root under the storage root. `r` has t, pub, auth_pub, nv_index, pcr_mask,
 * counter and use filled; the rest is made here. RC_INTEGRITY: public areas do not fit together, or
 * the private part is not this TPM's (or damaged).
 */
rc_t root_open(struct root *r, const TPM2B_PRIVATE *priv);
void root_close(struct root *r);

/*
 * All below: RC_TPM_LOCKED when boot state, counter or signature do not allow it; RC_INTEGRITY when
 * the given parts are damaged.
 */
rc_t root_create(struct root *r, const TPM2B_PUBLIC *template, const struct secret *auth,
                 const struct secret *data, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv);
rc_t root_load(struct root *r, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv,
               struct tpm_handle *out);

/* The cluster root encrypted to an outside storage key, approved by `dup`. */
struct duplicate {
    TPM2B_PRIVATE priv;
    TPM2B_ENCRYPTED_SECRET seed;
};
rc_t root_duplicate(struct root *r, const TPM2B_PUBLIC *target, const struct approval *dup,
                    struct duplicate *out, struct secret **inner_key);

/* Opens a child sealed under `parent` (TPM2_Load, TPM2_Unseal); the parent's auth is empty or set.
 */
rc_t sealed_open(struct tpm *t, ESYS_TR parent, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv,
                 struct secret **out);
/* TPM2_Unseal of a loaded object with a session of the caller. */
rc_t sealed_read(struct tpm *t, ESYS_TR object, ESYS_TR session, struct secret **out);
/* TPM2_Create under a parent whose authorisation `session` gives; second session encrypts. */
rc_t key_create(struct tpm *t, ESYS_TR parent, ESYS_TR session, const TPM2B_PUBLIC *template,
                const struct secret *auth, const struct secret *data, TPM2B_PUBLIC *pub,
                TPM2B_PRIVATE *priv);
/* A policy session that has run PolicyPCR(mask) and no more. */
rc_t policy_session_pcr(struct tpm *t, uint32_t mask, struct tpm_handle *out);
/* Waits a little, at random, before a policy sequence is run again. */
void policy_jitter(void);

#endif
