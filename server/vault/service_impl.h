/*
 * The inside of the vault's service, shared by service.c (loop, jobs, life), peers.c (peers and their calls), parked.c
 * (calls that wait), calls.c (what each call does) and status.c. Nobody else includes it.
 */
#ifndef SERVER_VAULT_SERVICE_IMPL_H
#define SERVER_VAULT_SERVICE_IMPL_H

#include "server/vault/envelope.h"
#include "server/vault/guard.h"
#include "server/vault/keyring.h"
#include "server/vault/makers.h"
#include "server/vault/service.h"

struct event;

struct peer {
    struct peer *next, *prev;
    struct vault_service *service;
    uint64_t serial;
    int fd;
    enum vault_peer role;
    uint32_t worker; /* its number, 0: not told */
    struct frame_reader reader;
    struct frame_writer writer;
    struct event *readable, *writable;
    bool stopped; /* not read until its answers are taken */
};

/* A call that waits for a job of the TPM thread or of a maker; its frame is copied here. */
struct parked {
    struct parked *next;
    uint64_t peer; /* serial: the peer may be gone meanwhile */
    uint16_t code;
    uint64_t id;
    struct buf payload;
};

/* A job under way and who waits for it. One of job and make is set: the other thread's until it is
 * done, only compared here and handed back. */
struct pending {
    struct pending *next;
    struct job *job;
    struct make_job *make; /* for one call alone */
    enum job_kind kind;
    uint64_t domain;
    uint32_t epoch;
    uint8_t rows_hash[CRYPTO_HASH_BYTES]; /* JOB_UNSEAL: equal rows wait for one job */
    struct parked *waiting;
};

struct vault_service {
    struct event_base *base;
    struct vault_service_options options;
    struct crypto *crypto;
    struct keyring keyring;
    struct tpm_thread *tpm;
    struct makers *makers;
    struct guard guard;
    struct event *jobs_done, *made, *tick, *tell, *beat;
    struct peer *peers;
    size_t peer_count;
    uint64_t last_serial;
    struct pending *pending;
    size_t parked_count, parked_bytes;
    bool ticking;     /* a tick is with the TPM thread */
    uint32_t tick_ms; /* wait until the next one: grows while the TPM stays away */
    /* status */
    struct vault_report report;
    struct tpm_view view;
    struct node_state node;
    bool has_node;
    char tpm_reason[160]; /* why the supervisor has no descriptor */
    int64_t started_s;
    uint64_t answered, refused, integrity; /* calls, by outcome */
    struct uid integrity_uid; /* the last object that failed its check */
    int64_t integrity_s;      /* and when */
    int64_t log_second; /* the second whose integrity failures are counted below */
    uint32_t logged, not_logged;
};

/* One call under way: what a handler gets. */
struct ask {
    struct vault_service *service;
    struct peer *peer;
    const struct frame *frame;
    struct vault_call call;
    bool again;  /* it was parked before: its job is done, so it must not wait for the same again */
    rc_t job_rc; /* how that job ended */
    struct bytes job_out;
    struct make_job *made; /* it was parked for a maker: what came of that */
};

/* RC_OK: answered or parked; otherwise the dispatcher answers with that result. */
typedef rc_t handler_fn(struct ask *a);
handler_fn do_generate, do_generate_pair, do_register, do_get, do_transition, do_unseal, do_status,
    do_domain_key, do_password, do_cipher, do_admin;

/* calls.c, for what uses a stored key. */
/* The record as stored: it must be ours, unchanged, and of the domain that the worker speaks for. */
rc_t service_verify(struct ask *a, struct binding *binding);
/* The domain key that the call's envelope asks for, or the call is parked and *key stays NULL. RC_INTEGRITY. */
rc_t service_envelope_key(struct ask *a, const struct domain_key **key);

/* parked.c. Parks the call until a job of this kind is done; RC_BUSY past the limits. */
rc_t service_park(struct ask *a, enum job_kind kind, uint64_t domain, uint32_t epoch,
                  struct bytes in);
/* Parks the call until a maker has done this job, which is taken over in any case. RC_BUSY past the
 * limits. */
rc_t service_make(struct ask *a, struct make_job *job);

/* The status is told within a second. */
void service_tell_soon(struct vault_service *s);

/* peers.c. Runs one call; RC_PROTOCOL and RC_NO_MEMORY end the peer. */
rc_t run_call(struct vault_service *s, struct ask *a);
/* NULL: it is gone. */
struct peer *peer_find(struct vault_service *s, uint64_t serial);
void peer_drop(struct peer *p);
/* Sends what waits. False: the peer is gone. */
bool peer_flush(struct peer *p);

/* parked.c. Takes what waits for this job (one of both) out of the list, and runs it again; `like` tells how the job
 * ended. */
void pending_end(struct vault_service *s, const struct job *job, const struct make_job *make, const struct ask *like);
/* What is being made for this peer alone is of no use to anybody any longer. */
void parked_cancel(struct vault_service *s, const struct peer *p);
void parked_free_all(struct vault_service *s);

#endif
