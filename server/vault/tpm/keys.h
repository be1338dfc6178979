/*
 * The open vault: what unsealing gives. Holds the cluster secret and the domain keys opened so far,
 * in locked memory; wiped when freed. One thread (the TPM thread) calls all of this; hand copies of
 * what other threads need to them.
 */
#ifndef SERVER_VAULT_TPM_KEYS_H
#define SERVER_VAULT_TPM_KEYS_H

#include "server/base/secret.h"
#include "server/vault/hierarchy.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/state.h"
#include "server/vault/tpm/tpm.h"

struct vault_keys;

enum { VAULT_KEY_BYTES = 32, VAULT_DEGRADED_MS = 300000 };

/*
 * Unseals: checks the TPM and the rows against the pinned state, opens the cluster root under its
 * policy, takes the cluster secret and loads the active epoch parents. `report` is always filled.
 * Copies what it needs of the rows; `t` must live as long as the keys. Safe to repeat.
 * RC_OK (SERVING) | RC_TPM_LOCKED (LOCKED) | RC_TPM_FOREIGN (FOREIGN) | RC_INTEGRITY (SEALED,
 * detail names the row) | RC_SEALED (CEREMONY_WAIT) | RC_TPM, RC_UNAVAILABLE (SEALED, TPM missing).
 */
rc_t tpm_unseal(struct tpm *t, const struct hierarchy *rows, const struct node_state *pinned,
                struct vault_keys **out, struct vault_report *report);
/* Flushes, wipes, frees; NULL is fine; clears the pointer. */
void vault_keys_free(struct vault_keys **k);

/* The key that signs control records (32 bytes); empty while sealed. Borrowed: until the next call.
 */
struct bytes vault_keys_control_mac(const struct vault_keys *k);
/* The domain key, opened by the TPM at first use, then cached. A copy: the caller frees it.
 * RC_NOT_FOUND: no such row. RC_INTEGRITY: row damaged or moved. RC_UNAVAILABLE, RC_TPM: TPM lost
 * and the key not cached. RC_SEALED: TPM lost for longer than the time limit. */
rc_t vault_keys_dk(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct secret **out);
/* Epoch of the domain's active key, and of its epoch parent. RC_NOT_FOUND. */
rc_t vault_keys_dk_active(const struct vault_keys *k, uint64_t domain, uint32_t *epoch,
                          uint32_t *ep_epoch);
/*
 * Makes a new domain key under the active epoch parent and appends its row, as a hierarchy of one
 * dk row (hierarchy_encode), to row_out. Nothing is kept: it serves once the row is committed and
 * among those of the next unsealing. RC_NAME_TAKEN: that epoch exists.
 */
rc_t vault_keys_dk_new(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct buf *row_out);
/* A key derived from the cluster secret: HKDF-SHA256, info = label and fields, each with its
 * length. RC_SEALED: there is none now. */
rc_t vault_keys_derive(const struct vault_keys *k, const char *label, const struct bytes *fields,
                       size_t field_count, size_t len, struct secret **out);

/*
 * Makes every approval given so far void, by one step of the approval counter. The open vault goes
 * on; the next unsealing is LOCKED until an approval of the new count is accepted
 * (approval_request). RC_TPM: not done, or the answer got lost; approval_request tells the count.
 */
rc_t vault_keys_revoke_approvals(struct vault_keys *k);

/*
 * To be called every few seconds: pings the TPM, reconnects and unseals again after a loss, counts
 * the time without it. The report says SERVING, DEGRADED (cached keys still serve), SEALED (time is
 * up: all keys are wiped, the cluster secret too), LOCKED or FOREIGN (the TPM that came back
 * refuses; wiped as well). The object stays valid in every case and serves again when the TPM does.
 */
void vault_keys_tick(struct vault_keys *k, struct vault_report *report);
/* Milliseconds that cached keys serve without a TPM; 0 = stop at once. */
void vault_keys_set_degraded_ms(struct vault_keys *k, uint32_t ms);

/* What the operator sees of the boot state: mask of selected PCRs, and those among them that are
 * zero. */
void vault_keys_pcrs(const struct vault_keys *k, uint32_t *selected, uint32_t *not_measured);

#endif
