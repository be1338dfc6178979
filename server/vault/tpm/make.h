/*
 * New keys of the hierarchy, made by init, recovery and the open vault.
 */
#ifndef SERVER_VAULT_TPM_MAKE_H
#define SERVER_VAULT_TPM_MAKE_H

#include "server/vault/hierarchy.h"
#include "server/vault/tpm/root.h"

/* Memory behind the views of a new row. */
struct made_row {
    struct buf pub, priv;
    uint8_t mac[32];
};
#define AUTO_ROW __attribute__((cleanup(made_row_free))) struct made_row
void made_row_free(struct made_row *m);

/* The system's random and the TPM's, added: no weaker than the better of the two. */
rc_t make_random(struct tpm *t, size_t len, struct secret **out);

/* Seals the cluster secret under the root. `row` gets cr_id from the caller, views from here. */
rc_t make_cs(struct root *r, const struct secret *cs, struct hierarchy_cs *row,
             struct made_row *own);
/* A new epoch parent; the caller filled epoch, cr_id and state. */
rc_t make_ep(struct root *r, const struct secret *cs, const struct secret *row_mac,
             struct hierarchy_ep *row, struct made_row *own);
/* Loads it with its authorisation. */
rc_t make_ep_load(struct root *r, const struct secret *cs, const struct hierarchy_ep *row,
                  struct tpm_handle *out);
/* Seals a domain key under the loaded epoch parent; the caller filled the other fields. */
rc_t make_dk(struct tpm *t, ESYS_TR ep, const struct secret *row_mac, const struct secret *dk,
             struct hierarchy_dk *row, struct made_row *own);

/* The counters' authorisation as the node row stores it: nonce(16) | auth(32) under a key from CS.
 */
enum { NV_AUTH_BYTES = 32, NV_AUTH_STORED = 48 };
rc_t make_nv_auth_store(const struct secret *cs, const struct uid *node, const struct secret *auth,
                        uint8_t stored[NV_AUTH_STORED]);
rc_t make_nv_auth_open(const struct secret *cs, const struct uid *node, struct bytes stored,
                       struct secret **auth);

#endif
