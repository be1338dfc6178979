/* The loop, the jobs of the other threads and the service's life; see service.h. Peers are in peers.c, what each call
 * does is in calls.c. */
#include "server/vault/service.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/vault/service_impl.h"

enum {
    TICK_SERVING_MS = 1000,
    TICK_FIRST_MS = 250, /* after a loss; doubles */
    TICK_MOST_MS = 5000,
    TELL_MS = 1000,
    BEAT_MS = 5000, /* the status is told this often in any case: its counts, and that we live */
    PRESET_RSA_LEAST = 2048,
    PRESET_WRONG_MOST = 10,
    PRESET_WRONG_MS = 30000,
};

/* ---- the status ---- */

void service_tell_soon(struct vault_service *s)
{
    static const struct timeval wait = {TELL_MS / 1000, (TELL_MS % 1000) * 1000};
    if (s->options.status_changed && !evtimer_pending(s->tell, NULL))
        evtimer_add(s->tell, &wait);
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vault_service *s = arg;
    AUTO_BUF json = BUF_EMPTY;
    if (s->options.status_changed && vault_service_status(s, &json) == RC_OK)
        s->options.status_changed(s->options.arg, buf_view(&json));
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
        service_tell_soon(s);
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
        s->beat = event_new(base, -1, EV_PERSIST, on_tell, s);
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
    service_tell_soon(s);
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
    parked_free_all(s);
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
