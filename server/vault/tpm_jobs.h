/*
 * What the TPM thread does for each job. Holds the TPM context, the opened hierarchy and the rows
 * it was opened from, so that it can open it again by itself when the TPM comes back.
 */
#ifndef SERVER_VAULT_TPM_JOBS_H
#define SERVER_VAULT_TPM_JOBS_H

#include "server/vault/tpm/keys.h"
#include "server/vault/tpm_thread.h"

struct tpm_work {
    struct tpm *tpm;
    struct vault_keys *keys; /* NULL: not unsealed */
    struct buf rows;         /* the rows last seen, hierarchy_encode() form */
    struct arena rows_arena; /* ... decoded */
    struct hierarchy hierarchy;
    struct vault_report report; /* where the vault stands */
    struct vault_report told;   /* what the log says of it */
    struct tpm_no_node no_node; /* where node is NULL */
    char damaged[160]; /* a domain key that does not open, in words; empty: none */
    bool handed;       /* the event thread has the control key and the active domain keys */
    int64_t mixed_us;  /* when TPM random was last mixed in; 0: never */
    uint64_t facts_of; /* tpm_generation() of `view.facts` */
    struct tpm_view view;
    uint32_t degraded_ms;
    bool has_degraded;
};

rc_t tpm_work_init(struct tpm_work *w, const struct tpm_options *o);
void tpm_work_end(struct tpm_work *w);
/* Runs one job and fills its answer. node: the pinned state, or NULL. */
void tpm_work_run(struct tpm_work *w, const struct node_state *node, struct job *j);
/* JOB_ADMIN (tpm_admin.c): RC_OK and an encoded answer in j->out, or a sentence. */
rc_t tpm_admin_run(struct tpm *t, struct job *j);

#endif
