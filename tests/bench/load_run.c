/*
 * The engine of the load generator: one thread, epoll, non-blocking TLS. Each connection has
 * `depth` slots (load_slot.c). All requests that become due in one turn leave in one SSL_write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proto/ttlv/read.h"
#include "tests/bench/load.h"

enum {
    ANSWER_MAX = 16 << 20,
    READ_BYTES = 64 * 1024,
    GRACE_NS = 2000000000, /* for answers under way when the time is over */
};

enum link { LINK_WAIT, LINK_CONNECT, LINK_TLS, LINK_OPEN };

struct link_state {
    enum link state;
    int fd;
    SSL *ssl;
    SSL_SESSION *session;
    struct buf in, out;
    size_t out_at;
    uint32_t events;
    struct slot *slots;
    unsigned *order, order_at, order_count; /* slots in the order of their requests */
    unsigned asked;                         /* requests on this connection */
    bool ticket;                            /* the server gave a session to resume */
    uint64_t opened_at, retry_at;
    unsigned failures;
};

static SSL_CTX *tls;
static int poller;
static struct link_state *links;
static uint64_t ends;

static void link_pump(struct link_state *l);

/* ---- connections ---------------------------------------------------------------------------- */

static void link_want(struct link_state *l, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = l};
    if (l->events != events)
        epoll_ctl(poller, l->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e);
    l->events = events;
}

static void link_close(struct link_state *l)
{
    if (l->ssl) {
        if (load_options.resume && l->state == LINK_OPEN) {
            SSL_SESSION_free(l->session);
            l->session = SSL_get1_session(l->ssl);
        }
        SSL_shutdown(l->ssl);
        SSL_free(l->ssl);
        ERR_clear_error();
    }
    if (l->fd >= 0)
        close(l->fd);
    l->ssl = NULL;
    l->fd = -1;
    l->events = 0;
    l->state = LINK_WAIT;
    l->out_at = 0;
    l->asked = 0;
    buf_clear(&l->in);
    buf_clear(&l->out);
}

/* What is still under way stays unknown. */
static void link_leave(struct link_state *l)
{
    while (l->order_count) {
        slot_unknown(&l->slots[l->order[l->order_at]]);
        l->order_at = (l->order_at + 1) % load_options.depth;
        l->order_count--;
    }
    facts_write();
    link_close(l);
}

static void link_failed(struct link_state *l, const char *where)
{
    bool was_open = l->state == LINK_OPEN;
    if (!was_open)
        load_result.connect_errors++;
    else
        load_result.reconnects++;
    if (!load_result.first_problem[0])
        snprintf(load_result.first_problem, sizeof load_result.first_problem, "%s: %s", where,
                 strerror(errno));
    link_leave(l);
    if (!load_options.keep_going && !load_stopping)
        die("%s failed: %s", where, load_result.first_problem);
    l->failures = was_open ? 0 : l->failures + 1;
    l->retry_at = now_ns() + (l->failures > 6 ? 500000000u : 10000000u << l->failures);
}

static void link_open(struct link_state *l)
{
    if (load_options.mode == LOAD_HANDSHAKE && load_options.count && load_issued >= load_options.count)
        return;
    load_issued += load_options.mode == LOAD_HANDSHAKE;
    l->ticket = false;
    l->opened_at = now_ns();
    l->fd = load_connect(true);
    l->state = LINK_CONNECT;
    if (l->fd < 0) {
        link_failed(l, "connect");
        return;
    }
    l->ssl = SSL_new(tls);
    if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
        die("out of memory");
    if (l->session)
        SSL_set_session(l->ssl, l->session);
    SSL_set_app_data(l->ssl, l);
    SSL_set_connect_state(l->ssl);
    link_want(l, EPOLLOUT);
}

static void link_handshake(struct link_state *l)
{
    ERR_clear_error();
    int r = SSL_do_handshake(l->ssl);
    if (r == 1) {
        l->state = LINK_OPEN;
        l->failures = 0;
        load_result.handshakes++;
        load_result.resumed += (uint64_t)SSL_session_reused(l->ssl);
        link_want(l, EPOLLIN);
        link_pump(l);
        return;
    }
    int error = SSL_get_error(l->ssl, r);
    if (error == SSL_ERROR_WANT_READ)
        link_want(l, EPOLLIN);
    else if (error == SSL_ERROR_WANT_WRITE)
        link_want(l, EPOLLOUT);
    else
        link_failed(l, "TLS handshake");
}

/* A session to resume is what a TLS 1.3 server sends once it has let the client in. */
static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct link_state *l = SSL_get_app_data(ssl);
    (void)session;
    l->ticket = true;
    return 0; /* not kept: link_close() takes what it resumes */
}

/* Mode handshake: one is complete, on to the next. */
static void link_shaken(struct link_state *l)
{
    load_result.answers++;
    if (l->opened_at >= load_measured_from && !load_stopping)
        hist_add(&load_result.hist, now_ns() - l->opened_at);
    link_close(l);
    l->retry_at = 0;
    if (!load_stopping)
        link_open(l);
}

static void link_write(struct link_state *l)
{
    while (l->out_at < l->out.len) {
        ERR_clear_error();
        int n = SSL_write(l->ssl, l->out.data + l->out_at, (int)(l->out.len - l->out_at));
        if (n <= 0) {
            int error = SSL_get_error(l->ssl, n);
            if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) {
                link_failed(l, "write");
                return;
            }
            link_want(l, EPOLLIN | EPOLLOUT);
            return;
        }
        l->out_at += (size_t)n;
    }
    buf_clear(&l->out);
    l->out_at = 0;
    link_want(l, EPOLLIN);
}

/* Puts the next request of every free slot into one piece, and sends it. */
static void link_pump(struct link_state *l)
{
    uint64_t now = now_ns();
    if (load_options.mode == LOAD_HANDSHAKE || (load_options.hold && l->asked))
        return;
    if (load_options.per_connection && l->asked >= load_options.per_connection) {
        if (!l->order_count) {
            link_close(l);
            l->retry_at = 0;
        }
        return;
    }
    for (unsigned i = 0; i < load_options.depth && !load_stopping; i++) {
        struct slot *s = &l->slots[i];
        if (s->under_way || (s->not_before && s->not_before > now))
            continue;
        if (load_options.per_connection && l->asked >= load_options.per_connection)
            break;
        if (s->not_before == 0 && !slot_prepare(s))
            continue;
        struct load_request rq = {s->step, s->uid, s->name[0] ? s->name : NULL, s->correlation};
        size_t had = l->out.len;
        if (load_request_write(&rq, &l->out) != RC_OK)
            die("a request cannot be written");
        load_result.request_bytes = l->out.len - had;
        s->under_way = true;
        s->not_before = 0;
        s->sent_at = now;
        l->order[(l->order_at + l->order_count++) % load_options.depth] = i;
        l->asked++;
    }
    if (l->out.len)
        link_write(l);
}

/* Whole answers in `in`. False: the connection is broken. */
static bool link_answers(struct link_state *l)
{
    size_t at = 0, total;
    while (l->in.len - at >= TTLV_HEADER_BYTES) {
        if (ttlv_frame_check_response(l->in.data + at, ANSWER_MAX, &total) != RC_OK ||
            !l->order_count) {
            load_wrong("bytes that are no answer");
            return false;
        }
        if (l->in.len - at < total)
            break;
        slot_answer(&l->slots[l->order[l->order_at]], bytes_of(l->in.data + at, total));
        l->order_at = (l->order_at + 1) % load_options.depth;
        l->order_count--;
        at += total;
    }
    if (at)
        buf_drop_front(&l->in, at);
    facts_write(); /* before anything more is sent */
    return true;
}

static void link_read(struct link_state *l)
{
    for (;;) {
        if (buf_reserve(&l->in, READ_BYTES) != RC_OK)
            die("out of memory");
        ERR_clear_error();
        int n = SSL_read(l->ssl, l->in.data + l->in.len, READ_BYTES);
        if (n <= 0) {
            int error = SSL_get_error(l->ssl, n);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                break;
            errno = ECONNRESET;
            link_failed(l, "read");
            return;
        }
        l->in.len += (size_t)n;
        if (!link_answers(l)) {
            link_failed(l, "answer");
            return;
        }
        if (!SSL_has_pending(l->ssl))
            break;
    }
    if (load_options.mode == LOAD_HANDSHAKE && l->ticket)
        link_shaken(l);
    else
        link_pump(l);
}

static void link_event(struct link_state *l, uint32_t events)
{
    if (l->state == LINK_CONNECT)
        l->state = LINK_TLS;
    if (l->state == LINK_TLS)
        link_handshake(l);
    else if (l->state == LINK_OPEN && (events & EPOLLOUT) && l->out.len)
        link_write(l);
    if (l->state == LINK_OPEN && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        link_read(l);
}

/* ---- the run -------------------------------------------------------------------------------- */

static unsigned under_way(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < load_options.connections; i++)
        sum += links[i].order_count;
    return sum;
}

static bool all_asked(void)
{
    if (load_options.mode == LOAD_CHECK)
        return load_issued >= load_key_count;
    if (load_options.hold)
        return load_result.answers >= load_options.connections;
    if (load_options.mode == LOAD_HANDSHAKE)
        return load_options.count && load_result.answers >= load_options.count;
    return load_options.count && load_issued >= load_options.count && load_options.mode != LOAD_LIFE;
}

static bool slots_idle(void)
{
    for (unsigned i = 0; i < load_options.connections; i++)
        for (unsigned d = 0; d < load_options.depth; d++)
            if (links[i].slots[d].under_way || links[i].slots[d].not_before)
                return false;
    return true;
}

static void links_look_after(void)
{
    uint64_t now = now_ns();
    for (unsigned i = 0; i < load_options.connections; i++) {
        struct link_state *l = &links[i];
        if (l->state == LINK_WAIT && now >= l->retry_at && !load_stopping)
            link_open(l);
        else if (l->state == LINK_OPEN && load_delayed)
            link_pump(l);
    }
}

static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void links_make(void)
{
    links = calloc(load_options.connections, sizeof *links);
    for (unsigned i = 0; links && i < load_options.connections; i++) {
        links[i].fd = -1;
        links[i].slots = calloc(load_options.depth, sizeof *links[i].slots);
        links[i].order = calloc(load_options.depth, sizeof *links[i].order);
        if (!links[i].slots || !links[i].order)
            die("out of memory");
        for (unsigned d = 0; d < load_options.depth; d++)
            slot_begin(&links[i].slots[d]);
    }
    if (!links)
        die("out of memory");
}

/* --hold: says so, and keeps all connections open and silent until standard input ends. */
static void hold(void)
{
    char byte;
    printf("held %u\n", load_options.connections);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static void turn(int wait_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, wait_ms);
    for (int i = 0; i < n; i++)
        link_event(events[i].data.ptr, events[i].events);
}

void load_run(SSL_CTX *ctx)
{
    double cpu = 0;
    bool measuring = false;
    tls = ctx;
    if (load_options.mode == LOAD_HANDSHAKE)
        SSL_CTX_sess_set_new_cb(tls, on_ticket);
    poller = epoll_create1(EPOLL_CLOEXEC);
    links_make();
    uint64_t length = (uint64_t)(load_options.seconds * 1e9);
    load_measured_from = now_ns() + (load_options.warm ? 500000000u : 0);
    ends = load_options.seconds > 0 ? load_measured_from + length : UINT64_MAX;
    for (;;) {
        uint64_t now = now_ns();
        if (!measuring && now >= load_measured_from) {
            measuring = true;
            cpu = cpu_now();
        }
        if (now >= ends || (all_asked() && slots_idle()))
            break;
        links_look_after();
        turn(10);
    }
    uint64_t stop = now_ns();
    if (load_options.hold)
        hold();
    load_result.seconds = (double)(stop - load_measured_from) / 1e9;
    load_result.cpu_seconds = cpu_now() - cpu;
    load_stopping = true;
    while (under_way() && now_ns() < stop + GRACE_NS)
        turn(10);
    for (unsigned i = 0; i < load_options.connections; i++) {
        link_leave(&links[i]);
        SSL_SESSION_free(links[i].session);
        buf_free(&links[i].in);
        buf_free(&links[i].out);
        free(links[i].slots);
        free(links[i].order);
    }
    free(links);
    slots_free();
    close(poller);
}
