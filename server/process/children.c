/*
 * The life of a child: started, greeted, ready, dead, started again after a wait that doubles while
 * it keeps dying. Never given up, never hot. See supervisor.h.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/ipc/spawn.h"
#include "server/net/limits.h"
#include "server/process/supervisor.h"

static struct timeval after_ms(unsigned ms)
{
    return (struct timeval){ms / 1000, (suseconds_t)(ms % 1000) * 1000};
}

static void set_timer(struct child *c, unsigned ms)
{
    struct timeval t = after_ms(ms);

    evtimer_add(c->timer, &t);
}

static void close_control(struct child *c)
{
    if (c->readable)
        event_free(c->readable);
    c->readable = NULL;
    if (c->control >= 0)
        close(c->control);
    c->control = -1;
}

static void plan_restart(struct child *c)
{
    const struct config *cfg = &c->sup->config;

    if (c->wait_ms < cfg->server_restart_min_ms)
        c->wait_ms = cfg->server_restart_min_ms;
    log_info("child.restart", "child=%s in_ms=%u", c->name, c->wait_ms);
    set_timer(c, c->wait_ms);
    c->wait_ms =
        c->wait_ms > cfg->server_restart_max_ms / 2 ? cfg->server_restart_max_ms : c->wait_ms * 2;
}

void child_kill(struct child *c, const char *why)
{
    if (!c->pid)
        return;
    log_warn("child.kill", "child=%s pid=%d why=\"%s\"", c->name, (int)c->pid, why);
    (void)kill(c->pid, SIGKILL);
    close_control(c);
}

void child_signal(struct child *c, int signal)
{
    if (c->pid)
        (void)kill(c->pid, signal);
}

rc_t child_send(struct child *c, enum control_code code, struct bytes body, const int *fds,
                unsigned count)
{
    rc_t rc;

    if (c->control < 0)
        return RC_IO;
    rc = control_send(c->control, BY_SUPERVISOR, code, body, fds, count);
    if (rc == RC_BUSY)
        child_kill(c, "does not read its control channel");
    else if (rc != RC_OK)
        log_warn("child.send", "child=%s message=%s result=%s", c->name, control_name(code),
                 rc_name(rc));
    return rc;
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
    static struct control_message m; /* 32 KiB: one process, one thread, one message at a time */
    struct child *c = arg;

    (void)what;
    for (int i = 0; i < 16 && c->control == fd; i++) {
        rc_t rc = control_receive(fd, c->role, &m);
        if (rc == RC_BUSY)
            return;
        if (rc == RC_OK) {
            c->heard_us = clock_monotonic_us();
            child_answer(c, &m);
            control_close(&m);
        } else if (rc == RC_PROTOCOL) {
            child_kill(c, "sent a message that the control channel does not allow");
        } else {
            close_control(c); /* it ends; should it not, the kill makes it */
            if (c->state != CHILD_DRAINING)
                (void)kill(c->pid, SIGKILL);
        }
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;

    (void)fd, (void)what;
    if (c->state == CHILD_DOWN)
        child_start(c);
    else if (c->state == CHILD_STARTING)
        child_kill(c, "was not ready in time");
}

void child_init(struct child *c, struct supervisor *s, enum control_side role, unsigned number)
{
    memset(c, 0, sizeof *c);
    c->sup = s;
    c->role = role;
    c->number = number;
    c->control = -1;
    c->timer = evtimer_new(s->base, on_timer, c);
    if (role == BY_VAULT)
        snprintf(c->name, sizeof c->name, "vault");
    else
        snprintf(c->name, sizeof c->name, "worker-%u", number);
}

static rc_t spawn_child(struct child *c, int end, int *error, const char **step)
{
    struct supervisor *s = c->sup;
    bool vault = c->role == BY_VAULT;
    char path[600], number[12];
    const char *argv[] = {vault ? "holdfast-vault" : "holdfast-worker", vault ? NULL : number,
                          NULL};
    /* glibc asks name servers over TCP then: the sandbox has stream sockets only. */
    static const char *const environment[] = {"RES_OPTIONS=use-vc", NULL};
    struct spawn spawn = {
        .path = path,
        .argv = argv,
        .fds = {-1, -1, STDERR_FILENO, end},
        .fd_count = CONTROL_FD + 1,
        .set_user = s->switch_users,
        .uid = vault ? s->vault_uid : s->worker_uid,
        .gid = vault ? s->vault_gid : s->worker_gid,
        .nofile = s->config.limits_worker_connections + 256,
        .memlock = s->config.vault_memory_lock_bytes,
        .environ = vault ? NULL : environment,
    };

    snprintf(path, sizeof path, "%s/%s", s->libexec_dir, argv[0]);
    snprintf(number, sizeof number, "%u", c->number);
    return spawn_start(&spawn, &c->pid, error, step);
}

void child_start(struct child *c)
{
    struct supervisor *s = c->sup;
    int ends[2], error = 0;
    const char *step = "channel";
    rc_t rc;

    if (s->state == SUPERVISOR_DRAINING || c->pid)
        return;
    c->greeted = c->wants_channel = c->wants_tls = c->listens = false;
    memset(&c->stats, 0, sizeof c->stats);
    rc = control_pair(ends);
    if (rc == RC_OK) {
        rc = spawn_child(c, ends[1], &error, &step);
        close(ends[1]);
        if (rc != RC_OK)
            close(ends[0]);
    }
    if (rc != RC_OK) {
        c->pid = 0;
        log_error("child.spawn", "child=%s step=\"%s\" error=\"%s\" dir=%s", c->name, step,
                  strerror(error), s->libexec_dir);
        plan_restart(c);
        return;
    }
    c->control = ends[0];
    c->started_us = c->heard_us = clock_monotonic_us();
    c->state = CHILD_STARTING;
    c->readable = event_new(s->base, c->control, EV_READ | EV_PERSIST, on_control, c);
    if (!c->readable || event_add(c->readable, NULL)) {
        child_kill(c, "no memory for its events");
        return;
    }
    files_write_pid(s, c->name, c->pid);
    set_timer(c, START_MS);
    log_info("child.start", "child=%s pid=%d", c->name, (int)c->pid);
}

static void tell_death(const struct child *c, int status)
{
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int64_t lived_ms = (clock_monotonic_us() - c->started_us) / 1000;

    if (sig)
        log_warn("child.died", "child=%s pid=%d signal=%d%s lived_ms=%lld", c->name, (int)c->pid,
                 sig, sig == SIGSYS ? " why=\"sandbox violation\"" : "", (long long)lived_ms);
    else
        log_info("child.died", "child=%s pid=%d status=%d lived_ms=%lld", c->name, (int)c->pid,
                 WEXITSTATUS(status), (long long)lived_ms);
}

static void died(struct child *c, int status)
{
    struct supervisor *s = c->sup;
    bool steady =
        c->state != CHILD_STARTING && clock_monotonic_us() - c->started_us >= STEADY_MS * 1000;

    tell_death(c, status);
    close_control(c);
    evtimer_del(c->timer);
    c->pid = 0;
    c->state = CHILD_DOWN;
    if (c->role == BY_WORKER) {
        stats_total(&s->past, &c->stats, true, false);
        memset(&c->stats, 0, sizeof c->stats);
        if (s->counters)
            limits_clear_worker(s->counters, c->number - 1);
    }
    free(c->report);
    c->report = NULL;
    if (s->state == SUPERVISOR_DRAINING) {
        supervisor_look(s);
        return;
    }
    c->restarts++;
    if (steady)
        c->wait_ms = 0;
    plan_restart(c);
}

void children_reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (s->vault.pid == pid)
            died(&s->vault, status);
        for (unsigned i = 0; i < s->worker_count; i++)
            if (s->workers[i].pid == pid)
                died(&s->workers[i], status);
    }
}

void child_free(struct child *c)
{
    close_control(c);
    if (c->timer)
        event_free(c->timer);
    c->timer = NULL;
    free(c->report);
    c->report = NULL;
}

void child_link(struct child *worker)
{
    struct child *vault = &worker->sup->vault;
    uint8_t who[8];
    int ends[2];

    if (!worker->wants_channel || worker->control < 0 || vault->control < 0 ||
        vault->state != CHILD_READY)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) {
        log_error("channel.make", "child=%s error=\"%s\"", worker->name, strerror(errno));
        return;
    }
    store_be32(who, worker->number);
    store_be32(who + 4, (uint32_t)worker->pid);
    if (child_send(vault, CONTROL_PEER, bytes_of(who, sizeof who), &ends[0], 1) == RC_OK)
        (void)child_send(worker, CONTROL_CHANNEL, BYTES_NONE, &ends[1], 1);
    close(ends[0]);
    close(ends[1]);
}
