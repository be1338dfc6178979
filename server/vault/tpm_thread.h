/*
 * The one thread that talks to the TPM. The event thread posts jobs and gets them back, done,
 * through an eventfd; it never waits. The queue is bounded. The thread holds the opened hierarchy
 * (tpm/keys.h) and hands copies of what the event thread needs. It asks for TPM descriptors through
 * the event thread, which knows the supervisor.
 */
#ifndef SERVER_VAULT_TPM_THREAD_H
#define SERVER_VAULT_TPM_THREAD_H

#include "proto/base/buf.h"
#include "server/base/secret.h"
#include "server/vault/crew.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/state.h"
#include "server/vault/tpm/tpm.h"

enum job_kind {
    JOB_UNSEAL,     /* `in`: rows */
    JOB_DOMAIN_KEY, /* domain, epoch (0: the active one) */
    JOB_NEW_KEY,    /* domain, epoch; `out`: the row of the new domain key */
    JOB_TICK,       /* look after the TPM; unseal again when it is back */
    JOB_ADMIN,      /* `in`: admin_request; `out`: admin_answer, or a sentence */
    JOB_SIGN,       /* `in`: digest of an audit stub; `out`: node id and signature, or a sentence */
};

enum { JOBS_MAX = 256, JOB_KEYS_MAX = 64 };

/* A domain key on its way from the TPM thread to the keyring. */
struct job_key {
    uint64_t domain;
    uint32_t epoch, ep_epoch;
    bool active;
    struct secret *key;
};

/* What the status tells of the TPM. */
struct tpm_view {
    bool known, connected;
    struct tpm_facts facts;
    uint32_t pcrs_selected, pcrs_not_measured;
};

struct job {
    struct crew_job link;
    enum job_kind kind;
    /* asked */
    struct buf in;
    uint64_t domain; /* JOB_SIGN: the number of the request */
    uint32_t epoch;
    void *owner; /* the event thread's own */
    /* answered */
    rc_t rc;
    struct vault_report report; /* where the vault stands now */
    struct tpm_view view;
    struct buf out;
    struct secret *control_key; /* set when the keys are (again) to be used */
    struct job_key keys[JOB_KEYS_MAX];
    size_t key_count;
};

/* Why there is no pinned state to go by. */
struct tpm_no_node {
    rc_t rc; /* RC_NOT_FOUND: never set up; else it is there and cannot be used */
    char why[200];
};

struct tpm_thread;

struct tpm_thread_options {
    uint32_t command_ms; /* deadline of one TPM command; 0: 20,000 */
    uint32_t fd_wait_ms; /* wait for a descriptor; 0: 10,000 */
    uint32_t degraded_ms; /* opened keys serve this long without the TPM */
    bool has_degraded;   /* degraded_ms is set (0 means: stop at once) */
};

/* Makes the TPM context; the thread starts with tpm_thread_start(), after the sandbox is entered.
 */
rc_t tpm_thread_new(const struct tpm_thread_options *o, struct tpm_thread **out);
rc_t tpm_thread_start(struct tpm_thread *t);
/* Ends and joins the thread (after the command under way), wipes and frees all. */
void tpm_thread_free(struct tpm_thread *t);

/* Readable when jobs are done or a descriptor is wanted. */
int tpm_thread_fd(const struct tpm_thread *t);
/* A new job; `in` is empty. NULL: no memory. */
struct job *job_new(enum job_kind kind);
void job_free(struct job *j);
/* Takes the job over. RC_BUSY: the queue is full (the job stays the caller's). */
rc_t tpm_thread_post(struct tpm_thread *t, struct job *j);
/* The next done job, or NULL. Event thread, after tpm_thread_fd() became readable. */
struct job *tpm_thread_take(struct tpm_thread *t);
/* True once for each time the thread waits for a descriptor. */
bool tpm_thread_wants_fd(struct tpm_thread *t);
/* Answers it; takes fd over; -1: there is none now. */
void tpm_thread_give_fd(struct tpm_thread *t, int fd);
/* The owner's authorisation, for the descriptor given next; empty where the TPM has none. Copied.
 * RC_INVALID_FIELD: longer than TPM_AUTH_MAX. */
rc_t tpm_thread_set_owner_auth(struct tpm_thread *t, struct bytes auth);
/* The pinned state of this node. Before start, or at any time later. */
void tpm_thread_set_node(struct tpm_thread *t, const struct node_state *state);
/* There is none to go by. rc: RC_NOT_FOUND when the node was never set up (so it is until told
 * otherwise), else what is wrong with the state; `why` (may be NULL) says it to people. */
void tpm_thread_set_no_node(struct tpm_thread *t, rc_t rc, const char *why);

#endif
