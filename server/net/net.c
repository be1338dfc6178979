/*
 * The listener and the queues of one turn of the loop: handshake steps (a few each turn, so that a
 * crowd at the door does not delay those inside), connections with answers to send, the round of
 * rechecks, drain.
 */
#define _GNU_SOURCE /* accept4 */
#include "server/net/net.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net/conn.h"

enum { ACCEPT_WAIT_MIN_MS = 20, ACCEPT_WAIT_MAX_MS = 1000, RECHECK_MIN_MS = 10 };
enum { WARM_MAX = 256, WARM_MS = 1000 };

static void timer_add(struct event *event, unsigned ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    event_add(event, &tv);
}

/* ---- accept --------------------------------------------------------------------------------- */

static void accept_stop(struct net *net)
{
    for (unsigned i = 0; i < net->listener_count && net->accept_on; i++)
        event_del(&net->listeners[i].on_accept);
    net->accept_on = false;
}

static void accept_pause(struct net *net)
{
    accept_stop(net);
    net->accept_wait_ms = net->accept_wait_ms ? net->accept_wait_ms * 2 : ACCEPT_WAIT_MIN_MS;
    if (net->accept_wait_ms > ACCEPT_WAIT_MAX_MS)
        net->accept_wait_ms = ACCEPT_WAIT_MAX_MS;
    timer_add(&net->accept_timer, net->accept_wait_ms);
}

static void accept_resume(struct net *net)
{
    if (net->accept_on || net->draining)
        return;
    for (unsigned i = 0; i < net->listener_count; i++)
        event_add(&net->listeners[i].on_accept, NULL);
    net->accept_on = net->listener_count > 0;
}

static void on_accept_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    accept_resume(arg);
}

/* Errors of one connection are its own; those of the system end this batch and slow us down. */
static bool accept_failed(struct net *net)
{
    switch (errno) {
    case EAGAIN:
        return true;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
        return false;
    default: /* EMFILE, ENFILE, ENOBUFS, ENOMEM */
        net->stats.accept_errors++;
        log_warn("net.accept", " errno=%d wait_ms=%u", errno, net->accept_wait_ms);
        accept_pause(net);
        return true;
    }
}

static bool is_legacy(const struct net *net, int listener)
{
    for (unsigned i = 0; i < net->listener_count; i++)
        if (net->listeners[i].fd == listener)
            return net->listeners[i].legacy;
    return false;
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    struct net *net = arg;
    bool legacy = is_legacy(net, listener);
    (void)what;
    for (unsigned i = 0; i < net->set.accept_batch && net->accept_on; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        /* Over the limit nobody is accepted: the kernel's queue holds them, other workers take
         * them. */
        if (net->limits && limits_connection_add(net->limits) != RC_OK) {
            accept_pause(net);
            return;
        }
        int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (net->limits)
                limits_connection_drop(net->limits);
            if (accept_failed(net))
                return;
            continue;
        }
        net->accept_wait_ms = 0;
        net->stats.accepted++;
        net->stats.legacy += legacy;
        conn_new(net, fd, &peer, legacy);
    }
}

rc_t net_listen(struct net *net, int fd, bool legacy)
{
    rc_t rc = RC_OK;
    if (!net->tls || net->draining)
        rc = RC_INTERNAL;
    else if (net->listener_count == NET_LISTENERS)
        rc = RC_TOO_MANY;
    else if (evutil_make_socket_nonblocking(fd) != 0)
        rc = RC_IO;
    if (rc != RC_OK) {
        close(fd);
        return rc;
    }
    accept_stop(net);
    unsigned i = net->listener_count++;
    net->listeners[i].fd = fd;
    net->listeners[i].legacy = legacy;
    event_assign(&net->listeners[i].on_accept, net->base, fd, EV_READ | EV_PERSIST, on_accept, net);
    accept_resume(net);
    return RC_OK;
}

static void listen_stop(struct net *net)
{
    accept_stop(net);
    event_del(&net->accept_timer);
    for (unsigned i = 0; i < net->listener_count; i++)
        close(net->listeners[i].fd); /* the supervisor keeps its own copies */
    net->listener_count = 0;
}

/* ---- queues of one turn --------------------------------------------------------------------- */

void net_ready(struct net *net, struct conn *c)
{
    if (c->ready || c->state == CONN_CLOSED)
        return;
    if (TAILQ_EMPTY(&net->ready))
        event_active(&net->on_ready, EV_TIMEOUT, 0); /* in this turn, after what is being called now */
    c->ready = true;
    TAILQ_INSERT_TAIL(&net->ready, c, ready_link);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    struct conn *c;
    (void)fd, (void)what;
    while ((c = TAILQ_FIRST(&net->ready)) != NULL) {
        TAILQ_REMOVE(&net->ready, c, ready_link);
        c->ready = false;
        conn_flush(c);
    }
}

/*
 * A connection in use keeps its TLS read buffer: to take and to wipe 16 KiB at each request costs more than
 * to decrypt it. At most WARM_MAX connections do, and none much longer than WARM_MS after it was used.
 */
void net_warm(struct net *net, struct conn *c)
{
    if (c->warm || net->warm_count == WARM_MAX)
        return;
    if (!net->warm_count++)
        timer_add(&net->on_cool, WARM_MS);
    c->warm = true;
    TAILQ_INSERT_TAIL(&net->warm, c, warm_link);
}

static void cool(struct net *net, struct conn *c)
{
    TAILQ_REMOVE(&net->warm, c, warm_link);
    net->warm_count--;
    c->warm = false;
}

static void on_cool(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    struct conn *c, *next;
    int64_t before = clock_monotonic_us() - (int64_t)WARM_MS * 1000;
    (void)fd, (void)what;
    for (c = TAILQ_FIRST(&net->warm); c; c = next) {
        next = TAILQ_NEXT(c, warm_link);
        if (c->quiet_since > before)
            continue;
        cool(net, c);
        if (conn_may_read(c))
            conn_read(c); /* finds nothing, and lets the buffer go */
    }
    if (net->warm_count)
        timer_add(&net->on_cool, WARM_MS);
}

void net_shake(struct net *net, struct conn *c)
{
    if (c->shaking)
        return;
    if (TAILQ_EMPTY(&net->shaking))
        timer_add(&net->on_shake, 0); /* the next turn: established connections go first */
    c->shaking = true;
    TAILQ_INSERT_TAIL(&net->shaking, c, shake_link);
}

static void on_shake(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    struct conn *c;
    (void)fd, (void)what;
    for (unsigned i = 0; i < net->set.handshake_batch; i++) {
        if ((c = TAILQ_FIRST(&net->shaking)) == NULL)
            return;
        TAILQ_REMOVE(&net->shaking, c, shake_link);
        c->shaking = false;
        conn_shake(c);
    }
    if (!TAILQ_EMPTY(&net->shaking))
        timer_add(&net->on_shake, 0);
}

void net_bury(struct net *net, struct conn *c)
{
    if (c->ready)
        TAILQ_REMOVE(&net->ready, c, ready_link);
    if (c->shaking)
        TAILQ_REMOVE(&net->shaking, c, shake_link);
    if (c->warm)
        cool(net, c);
    TAILQ_REMOVE(&net->conns, c, link);
    TAILQ_INSERT_TAIL(&net->dead, c, link);
    event_active(&net->on_reap, EV_TIMEOUT, 0);
    net->stats.open--;
    if (!net->accept_on && !net->draining && net->listener_count) {
        event_del(&net->accept_timer); /* a place and a descriptor are free */
        accept_resume(net);
    }
    if (net->draining && !net->stats.open)
        event_active(&net->on_drained, EV_TIMEOUT, 0);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    struct conn *c;
    (void)fd, (void)what;
    while ((c = TAILQ_FIRST(&net->dead)) != NULL) {
        TAILQ_REMOVE(&net->dead, c, link);
        conn_free(c);
    }
}

/* Whether one more failure may be told in this second. */
static bool may_log(struct net *net)
{
    int64_t now = clock_monotonic_us();
    if (now - net->failures_from >= 1000000) {
        if (net->failures_silent)
            log_info("net.failures", " more=%u", net->failures_silent);
        net->failures_from = now;
        net->failures = net->failures_silent = 0;
    }
    bool may = net->failures < net->set.failures_logged;
    if (may)
        net->failures++;
    else
        net->failures_silent++;
    return may;
}

void net_log_failure(struct net *net, const struct conn *c, const char *reason)
{
    net->stats.handshakes_failed++;
    conn_tell(c, "tls failed", reason);
    if (may_log(net))
        log_info("tls.failed", " address=%s reason=\"%s\"", c->address, reason);
}

void net_log_frame(struct net *net, const struct conn *c, rc_t rc)
{
    net->stats.bad_frames++;
    conn_tell(c, "malformed", rc_text(rc));
    if (may_log(net))
        log_info("conn.frame", " address=%s result=%s", c->address, rc_name(rc));
}

/* ---- recheck -------------------------------------------------------------------------------- */

/* One round takes half of recheck_ms: short steps, each with as few connections as will do. */
static void recheck_wait(struct net *net, unsigned *count)
{
    unsigned round = net->set.recheck_ms / 2, open = net->stats.open ? net->stats.open : 1;
    unsigned step = round / open;
    if (step < RECHECK_MIN_MS)
        step = RECHECK_MIN_MS;
    if (step > 1000)
        step = 1000;
    *count = round ? (open * step + round - 1) / round : open;
    timer_add(&net->on_recheck, step);
}

static void recheck(struct net *net, struct conn *c)
{
    const char *why = "";
    if (c->state == CONN_HANDSHAKE || c->state == CONN_LOGIN || c->state == CONN_LINGER)
        return;
    if (tls_recheck(net->tls, c->ssl, &why) != RC_OK) {
        net->stats.rechecks_failed++;
        log_info("conn.recheck", " address=%s reason=\"%s\"", c->address, why);
        conn_tell(c, "shut out", why);
        conn_on(c, ON_REFUSED);
        return;
    }
    conn_relogin(c);
}

/* The list is the round: whoever was checked goes to its end. */
static void on_recheck_timer(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    unsigned count;
    (void)fd, (void)what;
    recheck_wait(net, &count);
    while (count-- && !TAILQ_EMPTY(&net->conns)) {
        struct conn *c = TAILQ_FIRST(&net->conns);
        TAILQ_REMOVE(&net->conns, c, link);
        TAILQ_INSERT_TAIL(&net->conns, c, link);
        recheck(net, c);
    }
}

/* ---- making and ending ---------------------------------------------------------------------- */

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    void (*done)(void *) = net->drain_done;
    (void)fd, (void)what;
    net->drain_done = NULL;
    event_del(&net->on_drain_end);
    if (done)
        done(net->drain_arg);
}

static void all_close(struct net *net)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&net->conns)) != NULL)
        conn_on(c, ON_REFUSED); /* in no state does it lead anywhere but out */
}

static void on_drain_end(evutil_socket_t fd, short what, void *arg)
{
    struct net *net = arg;
    (void)fd, (void)what;
    log_warn("net.drain", " closed=%u", net->stats.open);
    all_close(net);
}

void net_drain(struct net *net, void (*done)(void *arg), void *arg)
{
    struct conn *c, *next;
    net->draining = true;
    net->drain_done = done;
    net->drain_arg = arg;
    listen_stop(net);
    timer_add(&net->on_drain_end, net->set.drain_ms);
    for (c = TAILQ_FIRST(&net->conns); c; c = next) {
        next = TAILQ_NEXT(c, link);
        conn_on(c, ON_DRAIN);
    }
    if (!net->stats.open)
        event_active(&net->on_drained, EV_TIMEOUT, 0);
}

rc_t net_new(const struct net_config *config, struct net **out)
{
    struct net *net = calloc(1, sizeof *net);
    unsigned count;
    if (!net)
        return RC_NO_MEMORY;
    net->base = config->base;
    net->engine = config->engine;
    net->limits = config->limits;
    net->set = config->settings;
    net->trace = config->trace;
    signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error of SSL_write, not our end */
    TAILQ_INIT(&net->conns);
    TAILQ_INIT(&net->ready);
    TAILQ_INIT(&net->shaking);
    TAILQ_INIT(&net->warm);
    TAILQ_INIT(&net->dead);
    LIST_INIT(&net->logins);
    evtimer_assign(&net->accept_timer, net->base, on_accept_timer, net);
    evtimer_assign(&net->on_ready, net->base, on_ready, net);
    evtimer_assign(&net->on_shake, net->base, on_shake, net);
    evtimer_assign(&net->on_cool, net->base, on_cool, net);
    evtimer_assign(&net->on_reap, net->base, on_reap, net);
    evtimer_assign(&net->on_recheck, net->base, on_recheck_timer, net);
    evtimer_assign(&net->on_drained, net->base, on_drained, net);
    evtimer_assign(&net->on_drain_end, net->base, on_drain_end, net);
    recheck_wait(net, &count);
    *out = net;
    return RC_OK;
}

void net_free(struct net **out)
{
    struct net *net = *out;
    struct login *login;
    *out = NULL;
    if (!net)
        return;
    net->draining = true;
    net->drain_done = NULL;
    listen_stop(net);
    all_close(net);
    on_reap(-1, 0, net);
    while ((login = LIST_FIRST(&net->logins)) != NULL) {
        LIST_REMOVE(login, link);
        if (login->session)
            net->engine.session_drop(login->session);
        free(login);
    }
    event_del(&net->accept_timer);
    event_del(&net->on_ready);
    event_del(&net->on_shake);
    event_del(&net->on_cool);
    event_del(&net->on_reap);
    event_del(&net->on_recheck);
    event_del(&net->on_drained);
    event_del(&net->on_drain_end);
    tls_drop(&net->tls);
    free(net);
}

void net_set_tls(struct net *net, struct tls *tls)
{
    struct tls *old = net->tls;
    net->tls = tls_hold(tls);
    tls_drop(&old);
}

void net_set_settings(struct net *net, const struct net_settings *settings)
{
    net->set = *settings;
}

void net_get_stats(const struct net *net, struct net_stats *out)
{
    *out = net->stats;
}
