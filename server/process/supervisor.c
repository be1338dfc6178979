/*
 * Start, loop and stop of the supervisor; see supervisor.h.
 */
#include "server/process/supervisor.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/net/limits.h"
#include "server/process/privileges.h"
#include "server/process/sandbox.h"
#include "server/process/systemd.h"

static struct timeval ms_time(uint32_t ms)
{
    return (struct timeval){ms / 1000, (suseconds_t)(ms % 1000) * 1000};
}

/* ---- what happens while it runs ---- */

static void send_tls(struct supervisor *s, bool all)
{
    for (unsigned i = 0; i < s->worker_count; i++)
        if (s->workers[i].state >= CHILD_READY ? all : s->workers[i].wants_tls)
            child_send_tls(&s->workers[i]);
}

static void check_silence_of(struct child *c)
{
    if (c->state == CHILD_READY && c->control >= 0 &&
        clock_monotonic_us() - c->heard_us > (int64_t)SILENT_MS * 1000)
        child_kill(c, "has not reported for 15 seconds");
}

static void check_silence(struct supervisor *s)
{
    check_silence_of(&s->vault);
    for (unsigned i = 0; i < s->worker_count; i++)
        check_silence_of(&s->workers[i]);
}

/* What changed on disk since the last look reaches those who use it; TLS files also when `all`. */
static void look_at_files(struct supervisor *s, bool all)
{
    bool tls, node;

    files_poll(s, &tls, &node);
    if (tls)
        log_info("tls.changed", "%s", "action=\"sent to all workers\"");
    send_tls(s, tls || all);
    if (node && s->vault.pid) {
        log_info("node_state.changed", "%s", "action=\"vault is started again\"");
        child_kill(&s->vault, "the node's state file changed");
    }
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    struct supervisor *s = arg;
    struct timeval t = ms_time(s->config.server_file_poll_ms);

    (void)fd, (void)what;
    look_at_files(s, false);
    check_silence(s);
    evtimer_add(s->poll, &t);
}

static void apply_config(struct supervisor *s)
{
    log_set_level(s->config.server_log_level);
    if (files_make_config(s) != RC_OK) {
        log_error("config.pass", "error=\"%s\"", strerror(errno));
        return;
    }
    for (unsigned i = 0; i < s->worker_count; i++)
        if (s->workers[i].state >= CHILD_READY)
            (void)child_send(&s->workers[i], CONTROL_CONFIG, BYTES_NONE, &s->config_fd, 1);
    if (s->vault.state >= CHILD_READY)
        (void)child_send(&s->vault, CONTROL_CONFIG, BYTES_NONE, &s->config_fd, 1);
}

/* Problems are told line by line; the old configuration goes on. */
static void tell_problems(const struct buf *problems)
{
    const uint8_t *at = problems->data, *end = at + problems->len, *line_end;
    char text[160];

    for (; at < end; at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        log_error("config.problem", "problem=%s",
                  log_value(bytes_of(at, (size_t)(line_end - at)), text));
    }
}

void supervisor_reload(struct supervisor *s)
{
    static struct config fresh;
    AUTO_BUF problems = BUF_EMPTY;
    AUTO_BUF later = BUF_EMPTY;

    if (s->state == SUPERVISOR_DRAINING)
        return;
    if (s->state == SUPERVISOR_SERVING)
        systemd_reloading();
    if (config_load(s->config_path, &fresh, &problems) != RC_OK) {
        tell_problems(&problems);
        log_error("config.reload", "%s", "result=\"kept the old configuration\"");
    } else if (config_reload(&s->config, &fresh, &later) == RC_OK) {
        if (later.len)
            log_warn("config.reload", "needs_restart=\"%.*s\"", (int)later.len,
                     (const char *)later.data);
        else
            log_info("config.reload", "%s", "result=done");
        apply_config(s);
    }
    look_at_files(s, true);
    if (s->state == SUPERVISOR_SERVING) /* else READY comes when it is true */
        systemd_ready();
}

void supervisor_look_at_domains(struct supervisor *s)
{
    for (unsigned i = 0; i < s->worker_count; i++)
        if (s->workers[i].state == CHILD_READY)
            (void)child_send(&s->workers[i], CONTROL_LOOK, BYTES_NONE, NULL, 0);
}

static bool all_workers(const struct supervisor *s, enum child_state state)
{
    for (unsigned i = 0; i < s->worker_count; i++)
        if (s->workers[i].state != state)
            return false;
    return true;
}

/* With the workers gone the vault has nobody left to serve. */
static void stop_vault(struct supervisor *s)
{
    struct timeval t = ms_time(VAULT_STOP_MS);
    uint8_t body[4];

    if (s->vault.state == CHILD_DRAINING)
        return;
    if (s->vault.state == CHILD_READY) { /* it wipes its secrets before it ends */
        store_be32(body, VAULT_STOP_MS);
        (void)child_send(&s->vault, CONTROL_DRAIN, bytes_of(body, sizeof body), NULL, 0);
    } else {
        child_signal(&s->vault, SIGTERM);
    }
    s->vault.state = CHILD_DRAINING;
    evtimer_add(s->drain, &t);
}

void supervisor_look(struct supervisor *s)
{
    if (s->state == SUPERVISOR_STARTING && s->vault.state == CHILD_READY &&
        all_workers(s, CHILD_READY)) {
        s->state = SUPERVISOR_SERVING;
        log_info("server.ready", "workers=%u port=%u", s->worker_count, s->config.server_port);
        systemd_ready();
    }
    if (s->state == SUPERVISOR_DRAINING && all_workers(s, CHILD_DOWN)) {
        if (s->vault.pid)
            stop_vault(s);
        else
            event_base_loopbreak(s->base);
    }
}

void supervisor_stop(struct supervisor *s, bool drain)
{
    struct timeval t = ms_time(drain ? s->config.server_drain_ms + DRAIN_EXTRA_MS : 0);
    uint8_t body[4];
    bool first = s->state != SUPERVISOR_DRAINING;

    log_info("server.stop", "drain=%s again=%s", drain ? "yes" : "no", first ? "no" : "yes");
    s->state = SUPERVISOR_DRAINING;
    systemd_stopping();
    for (unsigned i = 0; i < s->listener_count; i++)
        close(s->listeners[i]);
    s->listener_count = 0;
    store_be32(body, s->config.server_drain_ms);
    for (unsigned i = 0; i < s->worker_count; i++) {
        struct child *c = &s->workers[i];
        evtimer_del(c->timer);
        if (c->state == CHILD_READY && drain && first) {
            c->state = CHILD_DRAINING;
            (void)child_send(c, CONTROL_DRAIN, bytes_of(body, sizeof body), NULL, 0);
        } else if (c->pid) {
            (void)kill(c->pid, SIGKILL); /* a worker holds nothing that matters */
        }
    }
    if (first)
        evtimer_add(s->drain, &t);
    else
        event_active(s->drain, EV_TIMEOUT, 0);
    supervisor_look(s);
}

/* Time is up: for the workers first, then for the vault. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
    struct supervisor *s = arg;

    (void)fd, (void)what;
    if (!all_workers(s, CHILD_DOWN)) {
        for (unsigned i = 0; i < s->worker_count; i++)
            child_kill(&s->workers[i], "its time to end is over");
    } else {
        child_kill(&s->vault, "its time to end is over");
    }
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct supervisor *s = arg;

    (void)what;
    switch (sig) {
    case SIGHUP:
        supervisor_reload(s);
        break;
    case SIGCHLD:
        children_reap(s);
        break;
    default:
        supervisor_stop(s, s->state != SUPERVISOR_DRAINING);
    }
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    systemd_watchdog();
}

/* ---- start ---- */

static rc_t find_user(const char *option, const char *name, uid_t *uid, gid_t *gid)
{
    if (privileges_user(name, uid, gid) == RC_OK && *uid)
        return RC_OK;
    log_error("user.find",
              "option=%s user=%s error=\"no such user, or it is root; make it: adduser --system "
              "--group --no-create-home %s\"",
              option, name, name);
    return RC_CONFIG;
}

static rc_t find_users(struct supervisor *s)
{
    const struct config *c = &s->config;

    if (*c->server_admin_group) {
        if (privileges_group(c->server_admin_group, &s->admin_gid) != RC_OK) {
            log_error("group.find", "option=server.admin_group group=%s error=\"no such group\"",
                      c->server_admin_group);
            return RC_CONFIG;
        }
        s->has_admin_gid = true;
    }
    s->switch_users = geteuid() == 0;
    if (!s->switch_users) {
        log_warn("user.same",
                 "uid=%d warning=\"not started as root: vault and workers run as the "
                 "same user and are not protected from each other\"",
                 (int)geteuid());
        return RC_OK;
    }
    TRY(find_user("server.worker_user", c->server_worker_user, &s->worker_uid, &s->worker_gid));
    TRY(find_user("server.vault_user", c->server_vault_user, &s->vault_uid, &s->vault_gid));
    if (s->worker_uid == s->vault_uid)
        log_warn("user.same", "%s", "warning=\"workers and vault share one user\"");
    return RC_OK;
}

static rc_t make_counters(struct supervisor *s)
{
    TRY(limits_make(&s->counters_fd));
    return limits_map(s->counters_fd, 0, &s->counters);
}

/* A worker that is busy keeps its own share of the vault and of PostgreSQL busy, too; and the fewer
 * there are, the more requests share a load and a commit. Never one alone: while a worker that died
 * is started again, the connections of another are served. */
static unsigned count_workers(const struct config *c)
{
    if (c->server_workers)
        return (unsigned)c->server_workers;
    long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    return n < 2 ? 2 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static rc_t check_tls_files(struct supervisor *s)
{
    int fds[4];
    unsigned count;
    char why[300];

    if (files_open_tls(&s->config, fds, &count, why, sizeof why) != RC_OK) {
        log_error("tls.files", "error=\"%s\"", why);
        return RC_CONFIG;
    }
    while (count)
        close(fds[--count]);
    return RC_OK;
}

/* All that needs rights, then the rights go. */
static rc_t open_all(struct supervisor *s)
{
    unsigned long nofile = s->config.limits_worker_connections + 256;

    TRY(find_users(s));
    privileges_prepare(s->config.vault_memory_lock_bytes, nofile,
                       s->has_admin_gid ? &s->admin_gid : NULL);
    TRY(files_open_run_dir(s));
    TRY(check_tls_files(s));
    TRY(files_open_listeners(s));
    TRY(files_make_config(s));
    TRY(make_counters(s));
    TRY(control_socket_open(s));
    if (s->switch_users)
        TRY(privileges_drop());
    files_write_pid(s, "supervisor", getpid());
    files_watch(s);
    return RC_OK;
}

static rc_t make_events(struct supervisor *s)
{
    struct timeval poll = ms_time(s->config.server_file_poll_ms), dog;
    struct event **const all[] = {&s->on_hup, &s->on_term, &s->on_int, &s->on_child};
    const int signals[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD};

    for (unsigned i = 0; i < 4; i++) {
        *all[i] = evsignal_new(s->base, signals[i], on_signal, s);
        if (!*all[i] || evsignal_add(*all[i], NULL))
            return RC_NO_MEMORY;
    }
    s->poll = evtimer_new(s->base, on_poll, s);
    s->drain = evtimer_new(s->base, on_drain, s);
    if (!s->poll || !s->drain || evtimer_add(s->poll, &poll))
        return RC_NO_MEMORY;
    if (systemd_watchdog_ms()) {
        dog = ms_time(systemd_watchdog_ms());
        s->watchdog = event_new(s->base, -1, EV_PERSIST, on_watchdog, s);
        if (!s->watchdog || event_add(s->watchdog, &dog))
            return RC_NO_MEMORY;
    }
    return RC_OK;
}

static void start_children(struct supervisor *s)
{
    s->worker_count = count_workers(&s->config);
    child_init(&s->vault, s, BY_VAULT, 0);
    for (unsigned i = 0; i < s->worker_count; i++)
        child_init(&s->workers[i], s, BY_WORKER, i + 1);
    child_start(&s->vault);
    for (unsigned i = 0; i < s->worker_count; i++)
        child_start(&s->workers[i]);
}

static void close_all(struct supervisor *s)
{
    struct event *events[] = {s->on_hup, s->on_term, s->on_int,  s->on_child,
                              s->poll,   s->drain,   s->watchdog};

    control_socket_close(s);
    if (s->run_dir >= 0) {
        for (unsigned i = 0; i < s->worker_count; i++)
            files_remove_pid(s, s->workers[i].name);
        if (s->worker_count) {
            files_remove_pid(s, s->vault.name);
            files_remove_pid(s, "supervisor");
        }
        close(s->run_dir);
    }
    for (unsigned i = 0; i < s->worker_count; i++)
        child_free(&s->workers[i]);
    if (s->worker_count)
        child_free(&s->vault);
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i])
            event_free(events[i]);
    for (unsigned i = 0; i < s->listener_count; i++)
        close(s->listeners[i]);
    if (s->counters)
        limits_unmap(&s->counters);
    if (s->counters_fd >= 0)
        close(s->counters_fd);
    if (s->config_fd >= 0)
        close(s->config_fd);
    if (s->base)
        event_base_free(s->base);
}

int supervisor_run(const char *config_path, const char *libexec_dir, const struct config *config)
{
    struct supervisor *s = calloc(1, sizeof *s);
    rc_t rc;

    if (!s)
        return 1;
    s->config = *config;
    s->config_path = config_path;
    snprintf(s->libexec_dir, sizeof s->libexec_dir, "%s", libexec_dir);
    s->run_dir = s->config_fd = s->counters_fd = s->control_socket = -1;
    s->started_us = clock_monotonic_us();
    (void)signal(SIGPIPE, SIG_IGN);
    systemd_open();
    s->base = event_base_new();
    rc = s->base ? sandbox_harden() : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = open_all(s);
    if (rc == RC_OK)
        rc = make_events(s);
    if (rc == RC_OK) {
        start_children(s);
        event_base_dispatch(s->base);
        log_info("server.stopped", "%s", "result=done");
    } else {
        log_error("server.start", "result=%s", rc_name(rc));
    }
    close_all(s);
    free(s);
    return rc == RC_OK ? 0 : 1;
}
