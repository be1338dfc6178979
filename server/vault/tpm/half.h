/*
 * The two halves of a ceremony on the node's side, common to init and recovery: what is made before
 * the request leaves, what is kept meanwhile, what the response opens.
 */
#ifndef SERVER_VAULT_TPM_HALF_H
#define SERVER_VAULT_TPM_HALF_H

#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm/request.h"

/* Kept between the halves; views point into `pending` (second half) or into the caller's memory. */
struct half {
    enum request_kind kind;
    struct node_state state;
    uint64_t domain;
    struct hierarchy rows;        /* the new node, its cluster root; recovery: the cluster secret */
    struct bytes nv_pub, nv_priv; /* the counters' authorisation, sealed to the present PCRs */
};

/*
 * First half. `h` has kind, domain, state (self_approved, node, nv indices), and rows with one node
 * (id, cr_id, cr_priv, pcr_mask) and its cluster root (pub, auth_pub). Makes attestation key and
 * counters, and writes both texts.
 */
rc_t half_begin(struct tpm *t, struct half *h, bool replace_nv, struct buf *pending_out,
                struct buf *request_out, struct vault_report *report);

/* Second half: checks the response and opens the cluster root under it. */
struct half_open {
    struct half half;
    struct response response;
    struct root root;
    struct secret *nv_auth;
    struct arena arena;
};
#define AUTO_HALF __attribute__((cleanup(half_close))) struct half_open
void half_close(struct half_open *o);
rc_t half_finish(struct tpm *t, enum request_kind kind, struct bytes pending, struct bytes response,
                 struct half_open *o, struct vault_report *report);

/* Settings with their defaults put in. RC_CONFIG: a PCR or NV index out of range. */
rc_t half_settings(const struct init_options *o, struct half *h, struct hierarchy_node *node,
                   struct vault_report *report);
/* Fills the report from the TPM's last error; gives rc. */
rc_t half_fail(struct tpm *t, struct vault_report *report, rc_t rc, const char *what);
/* The certificate of the endorsement key, DER, if the TPM has one; empty otherwise. */
rc_t half_ek_cert(struct tpm *t, struct buf *out);

#endif
