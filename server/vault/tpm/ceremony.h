/*
 * Ceremonies: setting a node up, approving a boot state, recovering on another TPM. The node side
 * makes a request (JSON text), the holder of the offline keys answers it with a response (JSON
 * text); approve_request() and the escrow functions need no TPM, so that they run on any offline
 * machine. The caller reads and writes the files; what holds private keys must be root-only (0600).
 */
#ifndef SERVER_VAULT_TPM_CEREMONY_H
#define SERVER_VAULT_TPM_CEREMONY_H

#include "server/vault/hierarchy.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/state.h"
#include "server/vault/tpm/tpm.h"

enum { CEREMONY_TEXT_MAX = 64 << 10, ESCROW_MAX = 8 << 10, NV_BASE_DEFAULT = 0x01800800 };

struct init_options {
    struct uid node;       /* nil: a new one */
    uint32_t pcr_mask;     /* 0: TPM_PCR_DEFAULT_MASK */
    uint32_t nv_base;      /* 0: NV_BASE_DEFAULT; two indices are used */
    bool replace_nv;       /* our two indices may exist already (an aborted init): undefine them */
    uint64_t domain;       /* first domain; 0: 1 */
    struct bytes auth_pub; /* PEM, P-256 public key of the approver */
};

/* What init or recovery gives; all owned by the caller (ceremony_result_free). */
struct ceremony_result {
    struct buf hierarchy;  /* rows to store, hierarchy_encode() form. Recovery: the new node row and
                              the changed cr row only */
    struct buf node_state; /* text of node.state */
    struct buf escrow;     /* init: the escrow file. Keep it away from the database; REC opens it */
};
void ceremony_result_free(struct ceremony_result *r);

/*
 * Node, first half: checks what the TPM can do, makes storage root, attestation key, counters and
 * the cluster root. `pending_out`: bytes to keep (root-only) until init_finish. `request_out`: JSON
 * for the approver. RC_FEATURE: the TPM lacks something. RC_NAME_TAKEN: the NV indices exist.
 * `report.detail` says more on every failure.
 */
rc_t init_begin(struct tpm *t, const struct init_options *o, struct buf *pending_out,
                struct buf *request_out, struct vault_report *report);
/*
 * Node, second half: takes the response, makes the escrow and the rows. The rows' cr has no
 * escrow_proof yet: the vault stays in CEREMONY_WAIT until escrow_confirm().
 */
rc_t init_finish(struct tpm *t, struct bytes pending, struct bytes response,
                 struct ceremony_result *out, struct vault_report *report);

/* Offline (no TPM). Signs the request with AUTH (PEM private key); rec_pub: PEM public key of the
 * recovery key, needed for an init request, may be empty otherwise. RC_BAD_MESSAGE: not a request,
 * or its digests do not follow from its facts. RC_CRYPTO: not P-256 keys, or not this request's
 * AUTH. */
rc_t approve_request(struct bytes request, struct bytes auth_key, struct bytes rec_pub,
                     struct buf *response_out);
/* What a request asks for, in lines for the eye of the approver. */
rc_t request_describe(struct bytes request, struct buf *text_out);

/* Offline. Opens the escrow with the recovery key (PEM) and checks all of it; appends the proof
 * (JSON) that lets the vault leave CEREMONY_WAIT. RC_INTEGRITY: damaged or another key's. */
rc_t escrow_check(struct bytes escrow, struct bytes rec_key, struct buf *proof_out);
/* Puts the proof into the cr row; `hierarchy` is replaced by the new encoding. RC_INTEGRITY. */
rc_t escrow_confirm(struct buf *hierarchy, struct bytes proof);

/* A P-256 key pair as PEM (PKCS #8 and SubjectPublicKeyInfo). The private one is a secret. */
rc_t ceremony_key_new(struct buf *private_pem, struct buf *public_pem);

/* Keys made on this machine by the self-approved set-up. */
struct self_keys {
    struct buf auth_key, auth_pub, rec_key, rec_pub; /* PEM */
};
void self_keys_free(struct self_keys *k);
/* The whole ceremony on one machine: makes AUTH and REC, approves, verifies the escrow. */
rc_t init_self_approve(struct tpm *t, const struct init_options *o, struct self_keys *keys_out,
                       struct ceremony_result *out, struct vault_report *report);

/* ---- a changed boot state ---- */

/* Asks for an approval of the boot state as it is now. rows: as stored. Works while LOCKED. */
rc_t approval_request(struct tpm *t, const struct hierarchy *rows, const struct node_state *pinned,
                      uint32_t pcr_mask, struct buf *request_out, struct vault_report *report);
/* Checks the response and appends the new node row (a hierarchy of one node). No TPM needed. */
rc_t approval_accept(const struct hierarchy *rows, const struct node_state *pinned,
                     struct bytes response, struct buf *hierarchy_out);

/* ---- another TPM ---- */

struct recovery_options {
    struct init_options
        init; /* node, pcr_mask, nv_base; auth_pub and domain are taken from the rows */
    const struct hierarchy *rows; /* as stored */
    struct bytes escrow;          /* the escrow file */
    struct bytes rec_key;         /* PEM */
};
/* Opens the escrow in software, gives the cluster root to this TPM, asks for an approval. */
rc_t recovery_begin(struct tpm *t, const struct recovery_options *o, struct buf *pending_out,
                    struct buf *request_out, struct vault_report *report);
rc_t recovery_finish(struct tpm *t, struct bytes pending, struct bytes response,
                     struct ceremony_result *out, struct vault_report *report);
/* Both at once, with AUTH's private key (PEM) at hand. */
rc_t recovery_restore(struct tpm *t, const struct recovery_options *o, struct bytes auth_key,
                      struct ceremony_result *out, struct vault_report *report);

#endif
