/* Calls that wait for a job of another thread; see service_impl.h. */
#include <stdlib.h>

#include "server/vault/service_impl.h"

enum { PARKED_MAX = 4096, PARKED_BYTES_MAX = 64 * 1024 * 1024 };

static struct pending *pending_find(struct vault_service *s, enum job_kind kind, uint64_t domain,
                                    uint32_t epoch, const uint8_t rows_hash[CRYPTO_HASH_BYTES])
{
    struct pending *n = s->pending;
    while (n && (!n->job || n->kind != kind || n->domain != domain || n->epoch != epoch || kind == JOB_ADMIN ||
                 memcmp(n->rows_hash, rows_hash, CRYPTO_HASH_BYTES) != 0))
        n = n->next;
    return n;
}

/* Posts a job that somebody waits for. */
static rc_t pending_new(struct vault_service *s, const struct pending *like, struct bytes in,
                        struct pending **out)
{
    struct pending *n = malloc(sizeof *n);
    struct job *j = job_new(like->kind);
    rc_t rc = n && j ? buf_add_bytes(&j->in, in) : RC_NO_MEMORY;
    if (rc == RC_OK) {
        j->domain = like->domain;
        j->epoch = like->epoch;
        rc = tpm_thread_post(s->tpm, j);
    }
    if (rc != RC_OK) {
        job_free(j);
        free(n);
        return rc;
    }
    *n = *like;
    n->job = j;
    n->next = s->pending;
    s->pending = n;
    *out = n;
    return RC_OK;
}

/* A copy of the call, counted; NULL with *rc set. */
static struct parked *parked_new(const struct ask *a, rc_t *rc)
{
    struct vault_service *s = a->service;
    struct bytes payload = a->frame->payload;
    *rc = RC_BUSY;
    if (s->parked_count == PARKED_MAX || payload.len > PARKED_BYTES_MAX - s->parked_bytes)
        return NULL;
    struct parked *w = calloc(1, sizeof *w);
    *rc = w ? buf_add_bytes(&w->payload, payload) : RC_NO_MEMORY;
    if (*rc != RC_OK) {
        free(w);
        return NULL;
    }
    w->peer = a->peer->serial;
    w->code = a->frame->code;
    w->id = a->frame->id;
    s->parked_count++;
    s->parked_bytes += payload.len;
    return w;
}

static void parked_free(struct vault_service *s, struct parked *w)
{
    s->parked_count--;
    s->parked_bytes -= w->payload.len;
    buf_free(&w->payload);
    free(w);
}

rc_t service_park(struct ask *a, enum job_kind kind, uint64_t domain, uint32_t epoch,
                  struct bytes in)
{
    struct vault_service *s = a->service;
    struct pending like = {.kind = kind, .domain = domain, .epoch = epoch};
    if (kind == JOB_UNSEAL)
        TRY(crypto_sha256(s->crypto, in, like.rows_hash));
    rc_t rc;
    struct parked *w = parked_new(a, &rc);
    if (!w)
        return rc;
    struct pending *n = pending_find(s, kind, domain, epoch, like.rows_hash);
    if (!n)
        rc = pending_new(s, &like, in, &n);
    if (rc != RC_OK) {
        parked_free(s, w);
        return rc;
    }
    w->next = n->waiting;
    n->waiting = w;
    return RC_OK;
}

rc_t service_make(struct ask *a, struct make_job *job)
{
    struct vault_service *s = a->service;
    rc_t rc;
    struct parked *w = parked_new(a, &rc);
    struct pending *n = w ? calloc(1, sizeof *n) : NULL;
    if (w)
        rc = n ? makers_post(s->makers, job) : RC_NO_MEMORY;
    if (rc != RC_OK) {
        if (w)
            parked_free(s, w);
        free(n);
        make_job_free(job);
        return rc;
    }
    *n = (struct pending){.next = s->pending, .make = job, .waiting = w};
    s->pending = n;
    return RC_OK;
}

/* Runs the parked calls again, now that their job is done. */
static void parked_run(struct vault_service *s, struct pending *n, const struct ask *like)
{
    while (n->waiting) {
        struct parked *w = n->waiting;
        n->waiting = w->next;
        struct peer *p = peer_find(s, w->peer);
        if (p) {
            const struct frame f = {.code = w->code, .id = w->id, .payload = buf_view(&w->payload)};
            struct ask a = *like;
            a.service = s;
            a.peer = p;
            a.frame = &f;
            if (run_call(s, &a) != RC_OK)
                peer_drop(p);
            else
                peer_flush(p);
        }
        parked_free(s, w);
    }
}

void pending_end(struct vault_service *s, const struct job *job, const struct make_job *make, const struct ask *like)
{
    struct pending **at = &s->pending;
    while (*at && ((*at)->job != job || (*at)->make != make))
        at = &(*at)->next;
    if (!*at)
        return;
    struct pending *n = *at;
    *at = n->next;
    parked_run(s, n, like);
    free(n);
}

void parked_cancel(struct vault_service *s, const struct peer *p)
{
    for (struct pending *n = s->pending; n; n = n->next)
        if (n->make && n->waiting && n->waiting->peer == p->serial)
            makers_cancel(s->makers, n->make);
}

void parked_free_all(struct vault_service *s)
{
    while (s->pending) {
        struct pending *n = s->pending;
        s->pending = n->next;
        while (n->waiting) {
            struct parked *w = n->waiting;
            n->waiting = w->next;
            parked_free(s, w);
        }
        free(n);
    }
}
