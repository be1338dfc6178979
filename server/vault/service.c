/* Peers, the loop and the jobs of the other threads; see service.h. What each call does is in
 * calls.c. */
#include "server/vault/service.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/vault/service_impl.h"

enum {
    PEERS_MAX = 256,
    WRITER_HIGH_BYTES = 4 * 1024 * 1024, /* a peer that does not read its answers is not read */
    PARKED_MAX = 4096,
    PARKED_BYTES_MAX = 64 * 1024 * 1024,
    TICK_SERVING_MS = 1000,
    TICK_FIRST_MS = 250, /* after a loss; doubles */
    TICK_MOST_MS = 5000,
    TELL_MS = 1000,
    BEAT_MS = 5000,       /* the status is told this often in any case: its counts, and that we live */
    LOGGED_A_SECOND = 10, /* integrity failures told one by one */
    PRESET_RSA_LEAST = 2048,
    PRESET_WRONG_MOST = 10,
    PRESET_WRONG_MS = 30000,
};

static handler_fn *const handlers[VAULT_OP_END] = {
#define CALL(op, handler, who, max) [op] = handler,
#include "server/vault/call.def"
#undef CALL
};

/* ---- peers ---- */

static bool peer_may_send(uint16_t code, uint32_t len, void *arg)
{
    const struct peer *p = arg;
    return vault_call_allowed(code, p->role, len);
}

/* What is being made for this peer alone is of no use to anybody any longer. */
static void cancel_makers(struct vault_service *s, const struct peer *p)
{
    for (struct pending *n = s->pending; n; n = n->next)
        if (n->make && n->waiting && n->waiting->peer == p->serial)
            makers_cancel(s->makers, n->make);
}

static void peer_drop(struct peer *p)
{
    struct vault_service *s = p->service;
    cancel_makers(s, p);
    if (p->next)
        p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else
        s->peers = p->next;
    s->peer_count--;
    if (p->readable)
        event_free(p->readable);
    if (p->writable)
        event_free(p->writable);
    close(p->fd);
    frame_reader_free(&p->reader);
    frame_writer_free(&p->writer);
    free(p);
    if (s->options.peer_gone)
        s->options.peer_gone(s->options.arg);
}

/* Sends what waits. False: the peer is gone. */
static bool peer_flush(struct peer *p)
{
    rc_t rc = frame_flush(&p->writer, p->fd);
    if (rc == RC_BUSY) {
        event_add(p->writable, NULL);
        if (frame_waiting(&p->writer) > WRITER_HIGH_BYTES && !p->stopped) {
            p->stopped = true;
            event_del(p->readable);
        }
        return true;
    }
    if (rc != RC_OK) {
        peer_drop(p);
        return false;
    }
    if (p->stopped) {
        p->stopped = false;
        event_add(p->readable, NULL);
    }
    return true;
}

static void tell_soon(struct vault_service *s)
{
    static const struct timeval wait = {TELL_MS / 1000, (TELL_MS % 1000) * 1000};
    if (s->options.status_changed && !evtimer_pending(s->tell, NULL))
        evtimer_add(s->tell, &wait);
}

/* Each one is an alarm, but a peer that sends nothing else must not fill the disk. */
static void tell_integrity(struct vault_service *s, const struct ask *a)
{
    char uid[UID_TEXT_SIZE];
    int64_t now = clock_wall_s();
    s->integrity++;
    s->integrity_uid = a->call.control.uid;
    s->integrity_s = now;
    tell_soon(s);
    if (now != s->log_second) {
        if (s->not_logged)
            log_error("vault.integrity_more", "count=%u", s->not_logged);
        s->log_second = now;
        s->logged = s->not_logged = 0;
    }
    if (s->logged >= LOGGED_A_SECOND) {
        s->not_logged++;
        return;
    }
    s->logged++;
    uid_print(&a->call.control.uid, uid);
    log_error("vault.integrity", "op=%s object=%s", vault_op_name(a->call.op), uid);
}

/* Runs one call; RC_PROTOCOL and RC_NO_MEMORY end the peer. */
static rc_t run_call(struct vault_service *s, struct ask *a)
{
    rc_t rc = vault_call_read(a->frame, &a->call);
    if (rc != RC_OK && rc != RC_INTEGRITY)
        return rc;
    if (rc == RC_OK)
        rc = handlers[a->call.op](a);
    if (rc == RC_OK) {
        s->answered++;
        return RC_OK;
    }
    s->refused++;
    if (rc == RC_INTEGRITY)
        tell_integrity(s, a);
    const struct vault_reply reply = {.rc = rc};
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, &reply);
}

static rc_t peer_take_frames(struct peer *p)
{
    for (;;) {
        struct frame f;
        bool have;
        TRY(frame_next(&p->reader, &f, &have));
        if (!have)
            return RC_OK;
        struct ask a = {.service = p->service, .peer = p, .frame = &f};
        TRY(run_call(p->service, &a));
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct peer *p = arg;
    size_t got;
    rc_t rc = frame_read(&p->reader, fd, &got);
    if (rc == RC_OK)
        rc = peer_take_frames(p);
    if (rc != RC_OK) {
        if (rc != RC_IO)
            log_error("vault.peer_ended", "role=%d result=%s", (int)p->role, rc_name(rc));
        peer_drop(p);
        return;
    }
    frame_reader_settle(&p->reader);
    peer_flush(p);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    peer_flush(arg);
}

rc_t vault_service_add_peer(struct vault_service *s, int fd, enum vault_peer role)
{
    struct peer *p = s->peer_count < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        close(fd);
        return RC_BUSY;
    }
    evutil_make_socket_nonblocking(fd);
    evutil_make_socket_closeonexec(fd);
    p->service = s;
    p->serial = ++s->last_serial;
    p->fd = fd;
    p->role = role;
    frame_reader_init(&p->reader, peer_may_send, p);
    p->next = s->peers;
    if (p->next)
        p->next->prev = p;
    s->peers = p;
    s->peer_count++;
    p->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, p);
    p->writable = event_new(s->base, fd, EV_WRITE, on_writable, p);
    if (!p->readable || !p->writable || event_add(p->readable, NULL) != 0) {
        peer_drop(p);
        return RC_NO_MEMORY;
    }
    return RC_OK;
}

rc_t vault_service_add_worker(struct vault_service *s, int fd, uint32_t number)
{
    struct peer *before = s->peers;
    while (before && (!number || before->worker != number))
        before = before->next;
    if (before)
        peer_drop(before);
    TRY(vault_service_add_peer(s, fd, FROM_WORKER));
    s->peers->worker = number; /* new ones stand first */
    return RC_OK;
}

size_t vault_service_peers(const struct vault_service *s)
{
    return s->peer_count;
}

static struct peer *peer_find(struct vault_service *s, uint64_t serial)
{
    struct peer *p = s->peers;
    while (p && p->serial != serial)
        p = p->next;
    return p;
}

/* ---- calls that wait for another thread ---- */

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

/* ---- jobs ---- */

static void keys_take(struct vault_service *s, const struct job *j)
{
    rc_t rc = RC_OK;
    if (j->report.state != VAULT_SERVING && j->report.state != VAULT_DEGRADED) {
        keyring_wipe(&s->keyring);
        return;
    }
    if (j->control_key) {
        keyring_wipe(&s->keyring);
        rc = keyring_set_control(&s->keyring, s->crypto, secret_view(j->control_key));
    }
    for (size_t i = 0; rc == RC_OK && i < j->key_count; i++)
        rc = keyring_add(&s->keyring, s->crypto, j->keys[i].domain, j->keys[i].epoch,
                         j->keys[i].ep_epoch, j->keys[i].active, secret_view(j->keys[i].key));
    if (rc != RC_OK) {
        /* Without memory for its keys the vault is of no use; a fresh one starts clean. */
        log_error("vault.keys", "result=%s", rc_name(rc));
        abort();
    }
}

static void tell_now(struct vault_service *s)
{
    AUTO_BUF json = BUF_EMPTY;
    if (s->options.status_changed && vault_service_status(s, &json) == RC_OK)
        s->options.status_changed(s->options.arg, buf_view(&json));
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    tell_now(arg);
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    tell_now(arg);
}

static void tick_in(struct vault_service *s, uint32_t ms)
{
    struct timeval wait = {ms / 1000, (ms % 1000) * 1000};
    if (!s->options.admin)
        evtimer_add(s->tick, &wait);
}

/* Often while all is well, soon after a loss, then with growing waits. */
static void tick_next(struct vault_service *s)
{
    if (s->report.state == VAULT_SERVING)
        s->tick_ms = TICK_SERVING_MS;
    else
        s->tick_ms = s->tick_ms * 2 < TICK_MOST_MS ? s->tick_ms * 2 : TICK_MOST_MS;
    tick_in(s, s->tick_ms);
}

static void status_take(struct vault_service *s, const struct job *j)
{
    bool news = s->report.state != j->report.state || s->view.connected != j->view.connected ||
                strcmp(s->report.detail, j->report.detail) != 0;
    bool lost = s->report.state == VAULT_SERVING && j->report.state != VAULT_SERVING;
    s->report = j->report;
    s->view = j->view;
    if (s->view.connected)
        s->tpm_reason[0] = '\0';
    if (lost)
        s->tick_ms = TICK_FIRST_MS / 2;
    if (news)
        tell_soon(s);
}

/* Takes what waits for this job out of the list, and runs it again. */
static void pending_end(struct vault_service *s, const struct job *job, const struct make_job *make,
                        const struct ask *like)
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

static void job_finish(struct vault_service *s, struct job *j)
{
    if (j->kind != JOB_ADMIN) {
        status_take(s, j);
        keys_take(s, j);
    }
    if (j->kind == JOB_TICK) {
        s->ticking = false;
        tick_next(s);
    }
    if (j->kind == JOB_SIGN && s->options.signed_stub)
        s->options.signed_stub(s->options.arg, (uint32_t)j->domain, j->rc, buf_view(&j->out));
    const struct ask like = {.again = true, .job_rc = j->rc, .job_out = buf_view(&j->out)};
    pending_end(s, j, NULL, &like);
    job_free(j);
}

static void on_made(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct vault_service *s = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        count = 0; /* another turn took it; the list tells */
    struct make_job *j;
    while ((j = makers_take(s->makers)) != NULL) {
        const struct ask like = {.again = true, .job_rc = j->rc, .made = j};
        pending_end(s, NULL, j, &like);
        make_job_free(j);
    }
}

static void on_jobs(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct vault_service *s = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        count = 0; /* another turn took it; the lists tell */
    if (tpm_thread_wants_fd(s->tpm))
        s->options.ask_tpm(s->options.arg);
    struct job *j;
    while ((j = tpm_thread_take(s->tpm)) != NULL)
        job_finish(s, j);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vault_service *s = arg;
    struct job *j = s->ticking ? NULL : job_new(JOB_TICK);
    if (j && tpm_thread_post(s->tpm, j) == RC_OK) {
        s->ticking = true;
        return;
    }
    job_free(j);
    tick_in(s, TICK_SERVING_MS);
}

/* ---- life ---- */

rc_t vault_service_new(struct event_base *base, const struct vault_service_options *o,
                       struct vault_service **out)
{
    struct vault_service *s = calloc(1, sizeof *s);
    if (!s)
        return RC_NO_MEMORY;
    s->base = base;
    s->options = *o;
    s->guard.most = o->wrong_most ? o->wrong_most : PRESET_WRONG_MOST;
    s->guard.step_us = (int64_t)(o->wrong_ms ? o->wrong_ms : PRESET_WRONG_MS) * 1000;
    if (!s->options.rsa_bits_least)
        s->options.rsa_bits_least = PRESET_RSA_LEAST;
    if (!s->options.rsa_bits_most)
        s->options.rsa_bits_most = ASYM_BITS_MOST;
    s->started_s = clock_wall_s();
    s->tick_ms = TICK_FIRST_MS;
    vault_report_set(&s->report, VAULT_SEALED, RC_SEALED, "starting");
    rc_t rc = crypto_new(&s->crypto);
    if (rc == RC_OK)
        rc = tpm_thread_new(&o->tpm, &s->tpm);
    if (rc == RC_OK)
        rc = makers_new(&o->makers, &s->makers);
    if (rc == RC_OK) {
        s->jobs_done = event_new(base, tpm_thread_fd(s->tpm), EV_READ | EV_PERSIST, on_jobs, s);
        s->made = event_new(base, makers_fd(s->makers), EV_READ | EV_PERSIST, on_made, s);
        s->tick = evtimer_new(base, on_tick, s);
        s->tell = evtimer_new(base, on_tell, s);
        s->beat = event_new(base, -1, EV_PERSIST, on_beat, s);
        if (!s->jobs_done || !s->made || !s->tick || !s->tell || !s->beat ||
            event_add(s->jobs_done, NULL) != 0 || event_add(s->made, NULL) != 0)
            rc = RC_NO_MEMORY;
    }
    if (rc != RC_OK) {
        vault_service_free(s);
        return rc;
    }
    *out = s;
    return RC_OK;
}

rc_t vault_service_start(struct vault_service *s)
{
    static const struct timeval beat = {BEAT_MS / 1000, 0};
    TRY(tpm_thread_start(s->tpm));
    TRY(makers_start(s->makers));
    tick_in(s, 0);
    tell_soon(s);
    return s->options.status_changed && event_add(s->beat, &beat) != 0 ? RC_NO_MEMORY : RC_OK;
}

void vault_service_free(struct vault_service *s)
{
    if (!s)
        return;
    s->options.peer_gone = NULL;
    while (s->peers)
        peer_drop(s->peers);
    tpm_thread_free(s->tpm);
    makers_free(s->makers);
    s->makers = NULL;
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
    keyring_wipe(&s->keyring);
    crypto_free(s->crypto);
    struct event *const events[] = {s->jobs_done, s->made, s->tick, s->tell, s->beat};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i])
            event_free(events[i]);
    free(s);
}

rc_t vault_service_set_node_state(struct vault_service *s, struct bytes text)
{
    rc_t rc = node_state_decode(text, &s->node);
    s->has_node = rc == RC_OK;
    if (s->has_node)
        tpm_thread_set_node(s->tpm, &s->node);
    else
        tpm_thread_set_no_node(s->tpm, rc, "node.state is damaged");
    return rc;
}

void vault_service_set_no_node_state(struct vault_service *s, rc_t rc, const char *why)
{
    s->has_node = false;
    tpm_thread_set_no_node(s->tpm, rc, why);
}

rc_t vault_service_set_owner_auth(struct vault_service *s, struct bytes auth)
{
    return tpm_thread_set_owner_auth(s->tpm, auth);
}

void vault_service_give_tpm(struct vault_service *s, int fd, const char *reason)
{
    if (fd < 0 && reason)
        snprintf(s->tpm_reason, sizeof s->tpm_reason, "%s", reason);
    tpm_thread_give_fd(s->tpm, fd);
}

rc_t vault_service_sign_stub(struct vault_service *s, uint32_t number, struct bytes digest)
{
    struct job *j = job_new(JOB_SIGN);
    rc_t rc = j ? buf_add_bytes(&j->in, digest) : RC_NO_MEMORY;
    if (rc == RC_OK) {
        j->domain = number;
        rc = tpm_thread_post(s->tpm, j);
    }
    if (rc != RC_OK)
        job_free(j);
    return rc;
}
