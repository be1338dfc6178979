/*
 * The open vault from inside: what unseal.c fills and keys.c serves from.
 */
#ifndef SERVER_VAULT_TPM_KEYS_STATE_H
#define SERVER_VAULT_TPM_KEYS_STATE_H

#include "server/vault/tpm/keys.h"
#include "server/vault/tpm/root.h"

enum { KEYS_CACHE_MAX = 1024 };

struct cached {
    uint64_t domain;
    uint32_t epoch;
    int64_t used_us;
    struct secret *dk;
};

struct vault_keys {
    struct tpm *t;
    struct node_state pinned;
    struct buf encoded; /* the rows; `rows` has views of it */
    struct arena arena;
    struct hierarchy rows;
    struct secret *cs, *control_mac, *row_mac; /* NULL while sealed */
    struct tpm_handle ep; /* the epoch parent that is loaded, if any */
    uint32_t ep_epoch;
    uint64_t generation; /* the connection that all of this was opened on */
    struct vault_report report;
    uint32_t degraded_ms;
    int64_t lost_us;  /* when the TPM was found lost; 0: it is there */
    int64_t tried_us; /* last try to open again */
    uint32_t pcr_selected, pcr_zero;
    size_t cached_count;
    struct cached cache[KEYS_CACHE_MAX];
};

/* From the TPM's first answer to a loaded epoch parent; k->report is set in every case. */
rc_t unseal_open(struct vault_keys *k);
/* Makes that epoch parent the loaded one. On failure k->report is set as well. */
rc_t unseal_need_ep(struct vault_keys *k, uint32_t epoch);
/* The one active epoch parent, or NULL. */
const struct hierarchy_ep *unseal_active_ep(const struct vault_keys *k);

#endif
