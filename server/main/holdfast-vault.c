/*
 * holdfast-vault: wiring of the vault process. Started by the supervisor, with the control channel
 * as descriptor 3; or with --admin by `holdfast init` and `recovery`, with the CLI's socket as 3,
 * the TPM as 4 and, with --owner-auth, the file of its owner's authorisation as 5. Everything it
 * needs comes through descriptors; once the sandbox is entered it opens nothing.
 */
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/wipe.h"
#include "server/base/log.h"
#include "server/process/child.h"
#include "server/process/sandbox.h"
#include "server/vault/crypto/heap.h"
#include "server/vault/service.h"

enum { ADMIN_FD = 3, ADMIN_TPM_FD = 4, ADMIN_AUTH_FD = 5, DRAIN_LOOK_MS = 20 };
static const rlim_t LOCK_ALL_LEAST = (rlim_t)96 * 1024 * 1024;

struct vault_process {
    struct event_base *base;
    struct vault_service *service;
    struct event *control, *drain_look, *drain_end;
    bool admin, admin_auth, tpm_given;
};

static struct control_message message; /* too large for the stack */

/* All pages of the process, now and later, where the limit has room; else the pools of secrets
 * alone. */
static bool lock_memory(void)
{
    struct rlimit lim;
    mallopt(M_ARENA_MAX, 1); /* an arena a thread would reserve far more than it uses */
    if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_MEMLOCK, &lim);
    }
    if ((geteuid() == 0 || lim.rlim_cur >= LOCK_ALL_LEAST) &&
        mlockall(MCL_CURRENT | MCL_FUTURE) == 0)
        return true;
    log_warn("vault.memory", "%s",
             "locked=\"secrets only\" next=\"raise the memory lock limit of the vault\"");
    return false;
}

static void stop(struct vault_process *v)
{
    event_base_loopbreak(v->base);
}

/* The file of the owner's authorisation; without one the authorisation is empty. */
static rc_t take_owner_auth(struct vault_process *v, int fd)
{
    uint8_t text[TPM_AUTH_MAX + 2];
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, 0) : 0;
    size_t len = n > 0 ? (size_t)n : 0;
    if (len && text[len - 1] == '\n') /* as an editor leaves it */
        len--;
    rc_t rc = n < 0 ? RC_IO : vault_service_set_owner_auth(v->service, bytes_of(text, len));
    wipe(text, sizeof text);
    if (rc != RC_OK)
        log_error("vault.owner_auth", "result=%s", rc_name(rc));
    return rc;
}

/* ---- towards the supervisor ---- */

static void ask_tpm(void *arg)
{
    struct vault_process *v = arg;
    if (v->admin) {
        vault_service_give_tpm(v->service, v->tpm_given ? -1 : ADMIN_TPM_FD,
                               "the connection to the TPM was lost");
        v->tpm_given = true;
        return;
    }
    if (control_send(CONTROL_FD, BY_VAULT, CONTROL_ASK_TPM, BYTES_NONE, NULL, 0) != RC_OK)
        vault_service_give_tpm(v->service, -1, "the supervisor does not answer");
}

static void status_changed(void *arg, struct bytes json)
{
    (void)arg;
    (void)control_send(CONTROL_FD, BY_VAULT, CONTROL_VAULT_STATUS, json, NULL, 0);
}

static void signed_stub(void *arg, uint32_t number, rc_t rc, struct bytes answer)
{
    (void)arg;
    AUTO_BUF body = BUF_EMPTY;
    if (rc != RC_OK && answer.len == 0)
        answer = bytes_str(rc_text(rc));
    if (buf_add_be32(&body, number) == RC_OK && buf_add_u8(&body, rc == RC_OK) == RC_OK &&
        buf_add(&body, answer.data, answer.len < 500 ? answer.len : 500) == RC_OK)
        (void)control_send(CONTROL_FD, BY_VAULT, CONTROL_SIGNED, buf_view(&body), NULL, 0);
}

static void peer_gone(void *arg)
{
    struct vault_process *v = arg;
    if (v->admin)
        stop(v); /* the CLI has ended */
}

static void on_tpm(struct vault_process *v, struct control_message *m)
{
    char reason[256];
    size_t len = m->len - 1 < sizeof reason - 1 ? m->len - 1 : sizeof reason - 1;
    memcpy(reason, m->body + 1, len);
    reason[len] = '\0';
    if (m->fd_count && take_owner_auth(v, m->fd_count == 2 ? m->fds[1] : -1) != RC_OK) {
        vault_service_give_tpm(v->service, -1, "the file of tpm_owner_auth cannot be used");
        return;
    }
    vault_service_give_tpm(v->service, control_take(m, 0), reason[0] ? reason : NULL);
}

static void on_peer(struct vault_process *v, struct control_message *m)
{
    uint32_t number = load_be32(m->body);
    rc_t rc = vault_service_add_worker(v->service, control_take(m, 0), number);
    if (rc != RC_OK)
        log_error("vault.peer", "worker=%u result=%s", number, rc_name(rc));
}

/* The supervisor sends the file, or why it cannot be read, or nothing where there is none. */
static void on_node_state(struct vault_process *v, struct control_message *m)
{
    uint8_t text[NODE_STATE_MAX];
    ssize_t n = m->fd_count ? pread(m->fds[0], text, sizeof text, 0) : -1;
    char why[160] = "node.state cannot be read";
    if (n >= 0) {
        rc_t rc = vault_service_set_node_state(v->service, bytes_of(text, (size_t)n));
        if (rc != RC_OK)
            log_error("vault.node_state", "result=%s", rc_name(rc));
        return;
    }
    if (m->len)
        snprintf(why, sizeof why, "%.*s", (int)m->len, (const char *)m->body);
    bool none = !m->fd_count && !m->len;
    vault_service_set_no_node_state(v->service, none ? RC_NOT_FOUND : RC_IO, none ? NULL : why);
}

static void on_config(struct vault_process *v, struct control_message *m)
{
    static struct config config;
    (void)v;
    (void)child_read_config(m, &config); /* the log level is all that a reload changes here */
}

static void on_sign(struct vault_process *v, struct control_message *m)
{
    uint32_t number = load_be32(m->body);
    rc_t rc = vault_service_sign_stub(v->service, number, bytes_of(m->body + 4, m->len - 4));
    if (rc != RC_OK)
        signed_stub(v, number, rc, BYTES_NONE);
}

static void on_drain_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vault_process *v = arg;
    static const struct timeval again = {0, DRAIN_LOOK_MS * 1000};
    if (vault_service_peers(v->service) == 0)
        stop(v);
    else
        evtimer_add(v->drain_look, &again);
}

static void on_drain_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    stop(arg);
}

/* Ends when the workers are gone, or the time is up. */
static void on_drain(struct vault_process *v, struct control_message *m)
{
    uint32_t ms = load_be32(m->body);
    const struct timeval end = {ms / 1000, (ms % 1000) * 1000};
    evtimer_add(v->drain_end, &end);
    event_active(v->drain_look, EV_TIMEOUT, 1);
}

static void (*const on_message[CONTROL_COUNT])(struct vault_process *, struct control_message *) = {
    [CONTROL_TPM] = on_tpm,       [CONTROL_PEER] = on_peer,   [CONTROL_NODE_STATE] = on_node_state,
    [CONTROL_CONFIG] = on_config, [CONTROL_DRAIN] = on_drain, [CONTROL_SIGN] = on_sign,
};

static void on_control(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct vault_process *v = arg;
    for (;;) {
        rc_t rc = control_receive(fd, BY_SUPERVISOR, &message);
        if (rc == RC_BUSY)
            return;
        if (rc != RC_OK) { /* the supervisor is gone: so are we */
            stop(v);
            return;
        }
        if (on_message[message.code])
            on_message[message.code](v, &message);
        control_close(&message);
    }
}

/* ---- start ---- */

/* config NULL: for a ceremony, with the presets. */
static rc_t make_service(struct vault_process *v, const struct config *config)
{
    struct vault_service_options o = {
        .ask_tpm = ask_tpm,
        .status_changed = v->admin ? NULL : status_changed,
        .signed_stub = v->admin ? NULL : signed_stub,
        .peer_gone = peer_gone,
        .arg = v,
        .admin = v->admin,
        .memory_locked = lock_memory(),
    };
    if (config) {
        o.tpm = (struct tpm_thread_options){.command_ms = config->vault_tpm_command_ms,
                                            .degraded_ms = config->vault_degraded_ms,
                                            .has_degraded = true};
        o.makers = (struct makers_options){config->vault_key_threads, config->vault_key_queue};
        o.wrong_most = config->limits_factor_failures;
        o.wrong_ms = config->limits_factor_refill_ms;
        o.rsa_bits_least = config->vault_rsa_bits_min;
        o.rsa_bits_most = config->vault_rsa_bits_max;
    }
    v->base = event_base_new();
    if (!v->base)
        return RC_NO_MEMORY;
    return vault_service_new(v->base, &o, &v->service);
}

static rc_t start_admin(struct vault_process *v)
{
    log_open("holdfast-vault", LOG_WARN);
    signal(SIGPIPE, SIG_IGN);
    TRY(sandbox_harden());
    TRY(make_service(v, NULL));
    if (v->admin_auth)
        TRY(take_owner_auth(v, ADMIN_AUTH_FD));
    TRY(sandbox_enter(SANDBOX_VAULT));
    TRY(vault_service_start(v->service));
    return vault_service_add_peer(v->service, ADMIN_FD, FROM_ADMIN);
}

static rc_t start_child(struct vault_process *v)
{
    static struct config config;
    TRY(child_begin(BY_VAULT, "holdfast-vault", &config));
    TRY(make_service(v, &config));
    TRY(child_ask(BY_VAULT, CONTROL_ASK_NODE_STATE, CONTROL_NODE_STATE, &message));
    on_node_state(v, &message);
    control_close(&message);
    v->control = event_new(v->base, CONTROL_FD, EV_READ | EV_PERSIST, on_control, v);
    v->drain_look = evtimer_new(v->base, on_drain_look, v);
    v->drain_end = evtimer_new(v->base, on_drain_end, v);
    if (!v->control || !v->drain_look || !v->drain_end || event_add(v->control, NULL) != 0)
        return RC_NO_MEMORY;
    TRY(sandbox_enter(SANDBOX_VAULT));
    TRY(vault_service_start(v->service));
    return control_send(CONTROL_FD, BY_VAULT, CONTROL_READY, BYTES_NONE, NULL, 0);
}

/* Secrets are wiped before the end, not only by it. */
static void finish(struct vault_process *v)
{
    struct event *const events[] = {v->control, v->drain_look, v->drain_end};
    vault_service_free(v->service);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i])
            event_free(events[i]);
    if (v->base)
        event_base_free(v->base);
}

int main(int argc, char **argv)
{
    struct vault_process v = {
        .admin = argc > 1 && argc < 4 && strcmp(argv[1], "--admin") == 0,
        .admin_auth = argc == 3 && strcmp(argv[2], "--owner-auth") == 0,
    };
    if (argc > 1 && (!v.admin || (argc == 3 && !v.admin_auth))) {
        fputs("holdfast-vault: started by holdfastd and by `holdfast init`, not by hand\n", stderr);
        return 2;
    }
    rc_t rc = crypto_heap_install();
    if (rc == RC_OK)
        rc = v.admin ? start_admin(&v) : start_child(&v);
    if (rc == RC_OK)
        event_base_dispatch(v.base);
    else
        log_error("vault.start", "result=%s", rc_name(rc));
    finish(&v);
    return rc == RC_OK ? 0 : 1;
}
